"""Whatever customers, publishers and functions have written, every command can be used."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from support.command_line import PATIENCE_SECONDS, PROGRAM, commands, run_here
from support.hostile import HOSTILE, IN_A_MESSAGE, WELL_FORMED, assert_harmless
from support.pipeline import PipelineUnderTest

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

ORDER = "hostile-1"
DEEP = "[" * 100_000
TABLES = ("OrdersTableName", "PaymentsTableName", "ReservationsTableName")

# What each command is told. A command that is not here fails the test.
ARGUMENTS: Mapping[str, list[list[str]]] = {
    "run": [["--param", f"{HOSTILE}=1"]],
    "up": [["--param", f"{HOSTILE}=1"], ["--param", HOSTILE]],
    "down": [[HOSTILE]],  # without it the cloud would be gone
    "env": [[], ["--json"], ["--unset"], ["--context", HOSTILE]],
    "exec": [["--", HOSTILE]],  # a program that there is would take the place of this process
    "context list": [[], ["--json"]],
    "context show": [[], ["--context", HOSTILE], ["--stack", HOSTILE]],
    "context use": [[HOSTILE]],
    "context add": [[HOSTILE, "--stack", HOSTILE, "--endpoint", "http://127.0.0.1:1"]],
    "context remove": [[HOSTILE]],
    "deploy": [["--local", "--plan", "--param", f"{HOSTILE}=1"], ["--local", "--stack", HOSTILE]],
    "destroy": [["--local", "--yes", "--stack", HOSTILE]],
    "schemas": [[HOSTILE]],  # without it files would be written
    "submit": [["--amount", "1", "--customer", HOSTILE], ["--amount", "1", "--item", HOSTILE]],
    "order": [[ORDER], [ORDER, "--json"], [HOSTILE]],
    "orders": [[], ["--json"], ["--stuck", "--minutes", "0"], ["--all"], ["--all", "--csv"]],
    "cancel": [[ORDER, "--no-wait"], [HOSTILE]],
    "updates": [["--json"], []],
    "events": [["--count", "1", "--pattern", HOSTILE], ["--follow", "--order", HOSTILE]],
    "stock list": [[], ["--reserved"], ["--reserved", "--json"], [HOSTILE]],
    "stock set": [[f"{HOSTILE}=1"], ["mug=" + "9" * 5000]],
    "stock shelves": [[HOSTILE], [HOSTILE, "--count", HOSTILE]],
    "stock add": [[f"{HOSTILE}=1"]],
    "status": [[], ["--json"]],
    "audit": [[], ["--json"]],
    "watch": [["--since", HOSTILE]],
    "token": [[HOSTILE]],
    "trace": [[ORDER], [ORDER, "--json"], [HOSTILE], [ORDER, "--since", "0001-01-01T00:00+14:00"]],
    "logs": [[], ["payments"], ["--json"], [HOSTILE]],
    "pause": [[HOSTILE]],
    "capacity": [["--param", f"{HOSTILE}=1"], ["--region", HOSTILE]],
    "console": [[HOSTILE]],  # without it a server would run
    "resume": [[HOSTILE]],
    "incident": [[HOSTILE]],
    "demo": [["--seconds", HOSTILE]],
    "replay": [["--from", HOSTILE], ["--from", "-2m", "--yes", "--rule", HOSTILE]],
    "tune": [[HOSTILE]],
    "dlq list": [[], ["--json"]],
    "dlq show": [[], ["--json"], [HOSTILE]],
    "dlq redrive": [["--message", HOSTILE], ["notifications-dlq"], ["undeliverable-events-dlq"]],
    "dlq purge": [[HOSTILE, "--yes"], ["payments-dlq", "--message", HOSTILE, "--yes"]],
}


@pytest.fixture(scope="module")
def said(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hostile words in every place where others can put some; gone again afterwards."""
    cloud = request.getfixturevalue("cloud")
    pipeline = PipelineUnderTest(cloud.session(), cloud.state.stack_name, cloud)
    with _in_tables(pipeline):
        _on_queues(pipeline)
        _in_logs(pipeline)
        yield
        pipeline.drain_dead_letter_queues()
        pipeline.sqs.purge_queue(QueueUrl=pipeline.stack.outputs["OrderUpdatesQueueUrl"])


@contextmanager
def _in_tables(pipeline: PipelineUnderTest) -> Iterator[None]:
    word = {"S": WELL_FORMED}
    odd = {"L": [{"M": {"sku": word, "quantity": word}}, word, {"M": {}}]}
    item: dict[str, Any] = {
        **dict.fromkeys(("placed_at", "at", "status", "state", "payment", "inventory"), word),
        **dict.fromkeys(("reason", "currency", "customer_id", "amount", WELL_FORMED), word),
        "version": {"N": "1"},
        "unfinished": {"S": "0"},
        **dict.fromkeys(("lines", "items"), odd),
        "history": {"L": [{"M": {"type": word, "at": word, WELL_FORMED: word}}, word]},
    }
    keys = [(table, {"order_id": {"S": i}}) for table in TABLES for i in (ORDER, WELL_FORMED)]
    keys.append(("StockTableName", {"sku": word}))
    for table, key in keys:
        state = {"state": {"S": "reserved"}} if table == "ReservationsTableName" else {}
        pipeline.dynamodb.put_item(
            TableName=pipeline.stack.outputs[table],
            Item={**item, **key, **state, "available": word},
        )
    try:
        yield
    finally:
        for table, key in keys:
            pipeline.dynamodb.delete_item(TableName=pipeline.stack.outputs[table], Key=key)


def _on_queues(pipeline: PipelineUnderTest) -> None:
    word: MessageAttributeValueTypeDef = {"DataType": "String", "StringValue": IN_A_MESSAGE}
    names = ("ERROR_CODE", "ERROR_MESSAGE", "RULE_ARN", "TARGET_ARN", "ErrorMessage")
    event = {"detail-type": WELL_FORMED, "time": WELL_FORMED, "detail": {"order_id": ORDER}}
    record = {
        "requestContext": {"functionArn": WELL_FORMED, "condition": WELL_FORMED},
        "responsePayload": {"errorMessage": WELL_FORMED},
        "requestPayload": event,
        "timestamp": WELL_FORMED,
    }
    update = dict.fromkeys(("at", "reason", WELL_FORMED), WELL_FORMED) | {
        "order_id": ORDER,
        "status": "placed",
    }
    bodies = [json.dumps(event), json.dumps(record), json.dumps(update), IN_A_MESSAGE, DEEP]
    for output, url in pipeline.stack.outputs.items():
        if not (output.endswith("DLQUrl") or output == "OrderUpdatesQueueUrl"):
            continue
        for number, body in enumerate(bodies):
            fifo = {"MessageGroupId": "1", "MessageDeduplicationId": f"hostile-{number}"}
            pipeline.sqs.send_message(
                QueueUrl=url,
                MessageBody=body,
                MessageAttributes=dict.fromkeys(names, word),
                **(fifo if ".fifo" in url else {}),  # type: ignore[arg-type]
            )


def _in_logs(pipeline: PipelineUnderTest) -> None:
    group, stream = "/aws/lambda/payments-processor", "hostile"
    structured = dict.fromkeys(("level", "message", "reason", WELL_FORMED, "exception"), HOSTILE)
    lines = [
        json.dumps({**structured, "order_id": ORDER, "timestamp": "9999-12-31T23:59:59-14:00"}),
        json.dumps({"level": "ERROR", "message": [HOSTILE], "order_id": ORDER, "timestamp": 1}),
        '{"level":"ERROR","n":' + "9" * 5000 + "}",
        '{"level":' + DEEP,
        f"{WELL_FORMED} {ORDER}",
    ]
    with suppress(pipeline.logs.exceptions.ResourceAlreadyExistsException):
        pipeline.logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    pipeline.logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": now, "message": line} for line in lines],
    )


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("command", list(commands()))
def test_a_command_shows_it_harmlessly(command: str, environment: dict[str, str]) -> None:
    for arguments in ARGUMENTS[command]:
        result = run_here(*command.split(), *arguments, environment=environment)
        assert "Something unexpected" not in result.stderr
        assert_harmless(result.output)
        if result.status == 0 and "--json" in arguments:
            for document in [result.stdout] if command != "updates" else result.stdout.splitlines():
                assert document.isascii()


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("command", [["status"], ["orders"], ["orders", "--stuck"], ["trace"]])
def test_what_cannot_be_read_hides_nothing_else(
    command: list[str], environment: dict[str, str]
) -> None:
    arguments = [*command, ORDER] if command == ["trace"] else command
    result = run_here(*arguments, environment=environment)
    assert result.status == 0, result.stderr
    if command != ["status"]:
        assert ORDER in result.output
        assert "unreadable" in result.output


def test_updates_name_the_messages_that_cannot_be_read(
    pipeline: PipelineUnderTest, environment: dict[str, str]
) -> None:
    sent = pipeline.sqs.send_message(
        QueueUrl=pipeline.stack.outputs["OrderUpdatesQueueUrl"],
        MessageBody=DEEP,
        MessageGroupId="deep",
        MessageDeduplicationId="deep",
    )
    result = run_here("updates", environment=environment)
    assert result.status == 1
    assert sent["MessageId"] in result.stderr


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("arguments", [["watch"], ["logs", "--follow"]])
def test_in_a_terminal(arguments: list[str], environment: dict[str, str]) -> None:
    """A real one, in which rich moves the cursor and colours; until Ctrl-C."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *arguments],
        env=environment | {"TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        shown = b""
        wanted = b"alarms" if arguments == ["watch"] else ORDER.encode()
        while wanted not in shown:
            shown += os.read(master, 65_536)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # the terminal's end
            while more := os.read(master, 65_536):
                shown += more
        assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGINT
    os.close(master)
    assert_harmless(shown.decode(), in_terminal=True)
