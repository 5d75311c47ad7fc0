import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from mypy_boto3_sqs.type_defs import MessageTypeDef

from .account import Account, wait_for

MESSAGES = 400
# Messages that only lie there: the longer a queue, the longer it takes to filter it.
BALLAST = 1000
FORWARD = """
    import boto3

    sqs = boto3.client("sqs")

    def handler(event, context):
        seen = sqs.get_queue_url(QueueName=context.function_name + "-seen")["QueueUrl"]
        entries = [
            {"Id": record["messageId"], "MessageBody": record["body"]}
            for record in event["Records"]
        ]
        assert not sqs.send_message_batch(QueueUrl=seen, Entries=entries).get("Failed")
"""


def test_no_message_is_lost_or_comes_back(account: Account, name: str) -> None:
    """Senders, a mapping and its function, and another consumer, all at the same queue."""
    seen = account.queue(f"{name}-seen")
    redrive = {
        "deadLetterTargetArn": account.queue_arn(account.queue(f"{name}-dlq")),
        "maxReceiveCount": 3,
    }
    queue = account.queue(name, VisibilityTimeout="60", RedrivePolicy=json.dumps(redrive))
    account.function(name, FORWARD, {"Action": "sqs:*", "Resource": "*"})
    account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue), FunctionName=name, BatchSize=10
    )

    sent = Event()

    def lay(first: int) -> None:
        account.sqs.send_message_batch(
            QueueUrl=queue,
            Entries=[
                {"Id": str(n), "MessageBody": "ballast", "DelaySeconds": 900}
                for n in range(first, first + 10)
            ],
        )

    def send(number: int) -> None:
        account.sqs.send_message(QueueUrl=queue, MessageBody=str(number))

    def consume() -> list[MessageTypeDef]:
        consumed: list[MessageTypeDef] = []
        while not sent.is_set():
            consumed += account.take(queue)
        return consumed

    with ThreadPoolExecutor() as pool:
        list(pool.map(lay, range(0, BALLAST, 10)))
        consumer = pool.submit(consume)
        list(pool.map(send, range(MESSAGES)))
        sent.set()
    consumed = consumer.result()
    assert consumed
    consumed += account.receive(seen, MESSAGES - len(consumed), seconds=20)

    assert sorted(int(message["Body"]) for message in consumed) == list(range(MESSAGES))
    assert account.attribute(queue, "ApproximateNumberOfMessages") == "0"
    # A batch is deleted only when its function has returned.
    wait_for(lambda: account.attribute(queue, "ApproximateNumberOfMessagesNotVisible") == "0")
    assert account.attribute(queue, "ApproximateNumberOfMessagesDelayed") == str(BALLAST)
