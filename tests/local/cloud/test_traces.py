"""The local cloud knows what each execution got, which calls it made, and how they went."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from orderctl.localcloud.state import TRACES_PATH
from orderctl.localcloud.traces import Traces

from .account import REGION, Account, wait_for

SENDS_ON = """
    import boto3

    def handler(event, context):
        sqs = boto3.client("sqs")
        failed = []
        for record in event["Records"]:
            queue, text = record["body"].split()
            try:
                sqs.send_message(QueueUrl=queue, MessageBody=text)
            except Exception as error:
                failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}
"""
MAY_SEND = {"Action": "sqs:*", "Resource": "*"}


def answered(
    account: Account, query: Mapping[str, str], session: boto3.Session | None = None
) -> tuple[int, dict[str, Any]]:
    """The status and the body of what the local cloud answers, to the root user by default."""
    address = f"{account.server.url}{TRACES_PATH}?{urlencode(query)}"
    request = AWSRequest("GET", address)
    signer = session or boto3.Session(account.server.access_key, account.server.secret_key)
    credentials = signer.get_credentials()
    assert credentials
    SigV4Auth(credentials, "orderctl", REGION).add_auth(request)
    answer = urllib3.request("GET", address, headers=dict(request.headers))
    return answer.status, answer.json()


def traced(account: Account, text: str) -> list[dict[str, Any]]:
    """The executions that name a text."""
    status, told = answered(account, {"naming": text})
    assert status == HTTPStatus.OK
    executions: list[dict[str, Any]] = told["executions"]
    return executions


def consumer(account: Account, name: str) -> tuple[str, str]:
    """A function that sends on what it finds on a queue; the queue and another one."""
    queue, other = account.queue(name, VisibilityTimeout="600"), account.queue(f"{name}-other")
    account.function(name, SENDS_ON, MAY_SEND)
    account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue),
        FunctionName=name,
        BatchSize=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    return queue, other


def test_an_execution_is_told_with_its_message_and_its_calls(account: Account, name: str) -> None:
    queue, other = consumer(account, name)
    account.sqs.send_message(QueueUrl=queue, MessageBody=f"{other} {name}")
    account.sqs.send_message(QueueUrl=queue, MessageBody=f"{other} {name}-2")
    account.receive(other, 2)

    (execution,) = wait_for(lambda: [e for e in traced(account, name) if e["ended"]])
    assert execution["function"] == name
    assert execution["error"] == ""
    assert execution["records"] == 1
    (message,) = execution["naming"]
    assert message["body"] == f"{other} {name}"
    assert message["attempt"] == 1
    assert not message["failed"]
    (call,) = execution["calls"]
    assert (call["service"], call["operation"]) == ("sqs", "SendMessage")
    assert call["on"] == [f"{name}-other"]
    assert call["error"] == ""
    assert call["names_it"]
    times = [message["sent_at"], execution["began"], execution["loaded"] or execution["began"]]
    assert times == sorted(times)
    assert execution["began"] <= call["began"] <= call["ended"] <= execution["ended"]


def test_a_message_that_failed_and_a_call_that_was_refused_are_told_so(
    account: Account, name: str
) -> None:
    queue, other = consumer(account, name)
    account.sqs.send_message(QueueUrl=queue, MessageBody=f"{other}-gone {name}")

    def failed() -> list[dict[str, Any]]:
        found = traced(account, name)
        return [e for e in found if e["naming"] and e["naming"][0]["failed"]]

    (execution,) = wait_for(failed)
    assert execution["error"] == ""
    (call,) = execution["calls"]
    assert "NonExistentQueue" in call["error"] or "QueueDoesNotExist" in call["error"]


def test_an_exception_fails_what_it_was_called_with(account: Account, name: str) -> None:
    account.function(name, "def handler(event, context):\n    raise ValueError('no')\n")
    account.functions.invoke(FunctionName=name, Payload=json.dumps({"of": name}))

    (execution,) = traced(account, name)
    assert execution["error"] == "no"
    assert execution["naming"][0]["failed"]
    assert json.loads(execution["naming"][0]["body"]) == {"of": name}


def test_only_the_root_user_is_told(account: Account, name: str) -> None:
    user = account.user(name, {"Action": "*", "Resource": "*"})
    assert answered(account, {"naming": name}, user)[0] == HTTPStatus.FORBIDDEN
    unsigned = urllib3.request("GET", f"{account.server.url}{TRACES_PATH}?naming={name}")
    assert unsigned.status == HTTPStatus.FORBIDDEN
    assert answered(account, {})[0] == HTTPStatus.BAD_REQUEST


def test_the_oldest_executions_are_forgotten_first() -> None:
    traces = Traces(most_bytes=5000)
    for number in range(10):
        execution = traces.begin("function", f"request-{number}", {"of": f"order-{number}"})
        traces.end(execution, "")

    assert not traces.naming("order-0")["executions"]
    (last,) = traces.naming("order-9")["executions"]
    kept = [n for n in range(10) if traces.naming(f"order-{n}")["executions"]]
    assert kept == list(range(kept[0], 10))
    assert 1 < len(kept) < 10
    assert traces.naming("order-9")["since"] < last["began"]


@pytest.mark.parametrize(
    "records",
    [
        [{"messageId": "1", "receiptHandle": "handle", "body": "NAME"}],
        [{"messageId": "1", "receiptHandle": "handle", "body": "NAME", "attributes": {}}],
        [{"messageId": "1", "receiptHandle": "handle", "attributes": "NAME"}],
        ["NAME"],
        "NAME",
    ],
)
def test_whatever_a_function_is_invoked_with_it_runs_and_is_told(
    account: Account, name: str, records: object
) -> None:
    account.function(name, "def handler(event, context):\n    return event", MAY_SEND)
    event = {"Records": records, "of": name}
    text = json.dumps(event).replace("NAME", name)
    answer = account.functions.invoke(FunctionName=name, Payload=text)
    assert not answer.get("FunctionError")
    assert json.loads(answer["Payload"].read()) == json.loads(text)
    (execution,) = wait_for(lambda: traced(account, name))
    assert name in execution["naming"][0]["body"]
