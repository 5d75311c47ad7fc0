import pytest

from .account import Account, wait_for

RESPOND = """
    import os

    def handler(event, context):
        ids = [record["messageId"] for record in event["Records"]]
        bodies = {record["body"]: record["messageId"] for record in event["Records"]}
        assert set(bodies) == {"good", "bad"}, "both messages must be in one batch"
        return RESPONSE
"""
CONSUME = {
    "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    "Resource": "*",
}
NOTHING: set[str] = set()
BOTH = {"good", "bad"}


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        ("None", NOTHING),
        ("{}", NOTHING),
        ('{"batchItemFailures": []}', NOTHING),
        ('{"batchItemFailures": None}', NOTHING),
        ('{"batchItemFailures": [{"itemIdentifier": bodies["bad"]}]}', {"bad"}),
        ('"no object"', BOTH),
        ("[]", BOTH),
        ('{"batchItemFailures": "bad"}', BOTH),
        ('{"batchItemFailures": [{"itemIdentifier": ""}]}', BOTH),
        ('{"batchItemFailures": [{"itemIdentifier": None}]}', BOTH),
        ('{"batchItemFailures": [{"itemidentifier": bodies["bad"]}]}', BOTH),
        ('{"batchItemFailures": [bodies["bad"]]}', BOTH),
        ('{"batchItemFailures": [{"itemIdentifier": "unknown"}]}', BOTH),
        ("1 / 0", BOTH),
        ("os._exit(1)", BOTH),
    ],
)
def test_keeps_what_the_response_says(
    account: Account, name: str, response: str, kept: set[str]
) -> None:
    queue = account.queue(name, VisibilityTimeout="600")
    account.function(name, RESPOND.replace("RESPONSE", response), CONSUME)
    mapping = account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue),
        FunctionName=name,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )["UUID"]
    account.sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": body, "MessageBody": body} for body in sorted(BOTH)],
    )
    wait_for(lambda: _processed(account, mapping))

    assert int(account.attribute(queue, "ApproximateNumberOfMessagesNotVisible")) == len(kept)
    assert account.attribute(queue, "ApproximateNumberOfMessages") == "0"


def test_without_reports_the_response_means_nothing(account: Account, name: str) -> None:
    queue = account.queue(name, VisibilityTimeout="600")
    account.function(name, RESPOND.replace("RESPONSE", '{"batchItemFailures": [{}]}'), CONSUME)
    mapping = account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue), FunctionName=name
    )["UUID"]
    account.sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": body, "MessageBody": body} for body in sorted(BOTH)],
    )
    wait_for(lambda: _processed(account, mapping))
    assert account.attribute(queue, "ApproximateNumberOfMessagesNotVisible") == "0"


def _processed(account: Account, mapping: str) -> bool:
    found = account.functions.get_event_source_mapping(UUID=mapping)
    return found["LastProcessingResult"] != "No records processed"
