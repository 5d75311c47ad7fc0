"""What each function's role may do, tried with its own credentials: AWS's answers, one by one."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from textwrap import dedent
from typing import Any

import pytest

from orderctl.deploying import Template
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline.steps import STEPS, url_output
from orders.events import ROUTING
from support.publishing import published_by

Call = tuple[str, str, dict[str, Any]]
FUNCTIONS = {
    step.function_name: Template.load().resources()[step.function]["Properties"]
    for step in STEPS
    if step.function
}
# Its package in `orders`, by the name of the function.
ROOMS = {name: function["Handler"].split(".")[1] for name, function in FUNCTIONS.items()}
# Where the caretaker sends back what their consumers have parked.
SOURCES = {url_output(step.queue) for step in STEPS if step.event_source}
# Reads tables as a whole, and counts the messages of queues that it does not receive from.
AUDITOR = "auditor"
SCANNED = {f"{table}TableName" for table in ("Orders", "Payments", "Reservations", "Stock")}
# Makes calls under the role it has, and says how each ended.
CALLER = """
    import boto3
    from botocore.exceptions import ClientError

    def handler(calls, context):
        return [answer(*call) for call in calls]

    def answer(service, operation, arguments):
        try:
            getattr(boto3.client(service), operation)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "done"
"""
# How the circuit breaker has a few orders tried.
TRIES = {"send_message", "invoke"}
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}


class Caller:
    """A function beside each of the pipeline's, with the same role."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._functions = cloud.session().client("lambda")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as files:
            files.writestr("index.py", dedent(CALLER))
        for name in ROOMS:
            self._functions.create_function(
                FunctionName=f"as-{name}",
                Runtime="python3.13",
                Handler="index.handler",
                Role=self._functions.get_function(FunctionName=name)["Configuration"]["Role"],
                Code={"ZipFile": code.getvalue()},
                Timeout=60,
            )

    def close(self) -> None:
        """Take the functions away again."""
        for name in ROOMS:
            self._functions.delete_function(FunctionName=f"as-{name}")

    def answers(self, function: str, calls: list[Call]) -> list[str]:
        """How calls end that a function's role makes: `done`, or the code of the error."""
        answer = self._functions.invoke(FunctionName=f"as-{function}", Payload=json.dumps(calls))
        assert not answer.get("FunctionError"), answer["Payload"].read()
        found: list[str] = json.load(answer["Payload"])
        return found


@pytest.fixture(scope="module")
def caller(cloud: LocalCloud) -> Iterator[Caller]:
    caller = Caller(cloud)
    yield caller
    caller.close()


def put_events(*pairs: tuple[str, str]) -> Call:
    """A call that publishes events which mean nothing to anybody."""
    entries = [
        {
            "EventBusName": "order-events",
            "Source": source,
            "DetailType": detail_type,
            "Detail": json.dumps({"order_id": "nobody-s"}),
        }
        for source, detail_type in pairs
    ]
    return ("events", "put_events", {"Entries": entries})


@pytest.fixture(scope="module", autouse=True)
def silence(cloud: LocalCloud) -> Iterator[None]:
    """The rules are off, so that what may be published reaches nobody."""
    events = cloud.session().client("events")
    rules = [r["Name"] for r in events.list_rules(EventBusName="order-events")["Rules"]]
    for rule in rules:
        events.disable_rule(Name=rule, EventBusName="order-events")
    yield
    for rule in rules:
        events.enable_rule(Name=rule, EventBusName="order-events")


@pytest.mark.parametrize("function", ROOMS)
def test_each_may_publish_its_own_events_and_no_other(caller: Caller, function: str) -> None:
    own = published_by(ROOMS[function])
    every = sorted(ROUTING.values())
    answers = caller.answers(function, [put_events(pair) for pair in every])
    assert {pair for pair, said in zip(every, answers, strict=True) if said == "done"} == own
    assert set(answers) - {"done"} <= DENIED


@pytest.mark.parametrize("function", [name for name in ROOMS if published_by(ROOMS[name])])
def test_one_foreign_event_refuses_the_whole_call(caller: Caller, function: str) -> None:
    own = sorted(published_by(ROOMS[function]))
    foreign = sorted(set(ROUTING.values()) - set(own))
    calls = [put_events(*own), *(put_events(*own, pair) for pair in foreign)]
    first, *mixed = caller.answers(function, calls)
    assert first == "done"
    assert set(mixed) <= DENIED


@pytest.mark.parametrize("function", [name for name in ROOMS if published_by(ROOMS[name])])
def test_an_event_without_a_name_of_its_own_is_refused(caller: Caller, function: str) -> None:
    (source, detail_type), *_ = sorted(published_by(ROOMS[function]))
    whole = put_events((source, detail_type))[2]["Entries"][0]
    partial = [{k: v for k, v in whole.items() if k != name} for name in ("Source", "DetailType")]
    spelt = [whole | {"Source": source.upper()}, whole | {"DetailType": f"{detail_type} "}]
    elsewhere = [whole | {"EventBusName": "default"}]
    calls: list[Call] = [
        ("events", "put_events", {"Entries": [entry]}) for entry in (*partial, *spelt, *elsewhere)
    ]
    assert set(caller.answers(function, calls)) <= DENIED


def foreign_calls(outputs: Mapping[str, str]) -> list[Call]:
    """Calls that no function makes."""
    tables = [value for name, value in outputs.items() if name.endswith("TableName")]
    queues = [value for name, value in outputs.items() if name.endswith("QueueUrl")]
    key = {"order_id": {"S": "nobody-s"}}
    return [
        *(("dynamodb", "delete_item", {"TableName": table, "Key": key}) for table in tables),
        *(("dynamodb", "scan", {"TableName": table}) for table in tables),
        *(("sqs", "purge_queue", {"QueueUrl": url}) for url in queues),
        *(("sqs", "send_message", {"QueueUrl": url, "MessageBody": "x"}) for url in queues),
        ("sns", "publish", {"TopicArn": outputs["PipelineAlarmsTopicArn"], "Message": "x"}),
        ("events", "put_rule", {"Name": "x", "ScheduleExpression": "rate(1 day)"}),
        ("events", "put_permission", {"StatementId": "x"}),
        ("lambda", "invoke", {"FunctionName": "payments-processor"}),
        ("lambda", "list_functions", {}),
        ("iam", "list_roles", {}),
        ("s3", "list_buckets", {}),
        ("logs", "describe_log_groups", {}),
        ("cloudformation", "describe_stacks", {}),
    ]


@pytest.mark.parametrize("function", ROOMS)
def test_none_may_do_what_no_function_does(
    caller: Caller, cloud: LocalCloud, function: str
) -> None:
    outputs = cloud.state.outputs
    calls = foreign_calls(outputs)
    if function == "caretaker":
        own = {outputs[name] for name in SOURCES}
        calls = [c for c in calls if c[1] != "send_message" or c[2]["QueueUrl"] not in own]
    if function == "inventory-processor":  # it sends anew what has met other transactions
        own = {outputs["InventoryQueueUrl"]}
        calls = [c for c in calls if c[1] != "send_message" or c[2]["QueueUrl"] not in own]
    if function == AUDITOR:
        own = {outputs[name] for name in SCANNED}
        calls = [c for c in calls if c[1] != "scan" or c[2]["TableName"] not in own]
    if function == "circuit-breaker":
        own = {outputs["PaymentsQueueUrl"], "payments-processor"}
        calls = [c for c in calls if c[1] not in TRIES or own.isdisjoint(c[2].values())]
    answers = caller.answers(function, calls)
    done = [call for call, said in zip(calls, answers, strict=True) if said not in DENIED]
    assert not done


# Tables of which a function reads no single items: it changes them, or scans them.
NOT_READ = {(AUDITOR, "StockTableName")}
# Queues that a function reads, though it is not their consumer.
ALSO_READ = {("circuit-breaker", "PaymentsQueueUrl")}
KEYS = {"StockTableName": "sku", "CircuitsTableName": "consumer"}


def read_by(function: str) -> set[str]:
    """The outputs of the tables and queues that a function reads."""
    variables = FUNCTIONS[function]["Environment"]["Variables"].values()
    named = {value["Ref"] for value in variables if isinstance(value, dict) and "Ref" in value}
    tables = {f"{name}Name" for name in named if name.endswith("Table")}
    own = {
        url_output(step.queue) for step in STEPS if step.function_name == function and step.queue
    }
    parked = {url_output(dlq) for step in STEPS if (dlq := step.dead_letter_queue) in named}
    if function == AUDITOR:
        parked = set()
    also = {name for reader, name in ALSO_READ if reader == function}
    return {name for name in tables if (function, name) not in NOT_READ} | own | parked | also


def legs_of(table: str) -> dict[str, Any]:
    """What asks the table of the audit, the only one with a sort key."""
    return {
        "TableName": table,
        "KeyConditionExpression": "#run = :run",
        "ExpressionAttributeNames": {"#run": "run"},
        "ExpressionAttributeValues": {":run": {"S": "nobody-s"}},
    }


@pytest.mark.parametrize("function", ROOMS)
def test_each_reads_its_own_table_and_queue_only(
    caller: Caller, cloud: LocalCloud, function: str
) -> None:
    outputs = cloud.state.outputs
    single = function in ("order-api", "notifications", "circuit-breaker")
    read = "get_item" if single else "batch_get_item"
    asked: dict[str, Call] = {}
    for name, value in outputs.items():
        if name.endswith("TableName"):
            key = {KEYS.get(name, "order_id"): {"S": "nobody-s"}}
            keys = {"TableName": value, "Key": key}
            batch = {"RequestItems": {value: {"Keys": [key]}}}
            asked[name] = ("dynamodb", read, keys if read == "get_item" else batch)
            if name == "AuditTableName":
                asked[name] = ("dynamodb", "query", legs_of(value))
        elif name.endswith(("QueueUrl", "DLQUrl")):
            asked[name] = ("sqs", "receive_message", {"QueueUrl": value})
    answers = caller.answers(function, list(asked.values()))
    done = {name for name, said in zip(asked, answers, strict=True) if said not in DENIED}
    assert done == read_by(function)
