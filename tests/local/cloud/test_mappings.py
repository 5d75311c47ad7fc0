import time
from typing import Any

from .account import Account, wait_for

COUNT = """
    def handler(event, context):
        print("batch of", len(event["Records"]))
"""
SLOW = """
    import time

    def handler(event, context):
        time.sleep(1)
        print("slow batch")
"""
CONSUME = {
    "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    "Resource": "*",
}
LOG = {"Action": "logs:*", "Resource": "*"}


def consume(account: Account, name: str, code: str, **settings: Any) -> str:  # noqa: ANN401
    """A queue with a function behind it."""
    queue = account.queue(name, VisibilityTimeout="60")
    account.function(name, code, CONSUME, LOG)
    account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue), FunctionName=name, **settings
    )
    return queue


def send(account: Account, queue: str, count: int) -> None:
    account.sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": str(number), "MessageBody": "a"} for number in range(count)],
    )


def batches(account: Account, name: str) -> list[str]:
    """The lines that the function has logged about its batches."""
    logs = account.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []  # it has not run
    return [e["message"].strip() for e in events if "batch" in e["message"]]


def test_a_window_collects_a_batch(account: Account, name: str) -> None:
    queue = consume(account, name, COUNT, BatchSize=10, MaximumBatchingWindowInSeconds=2)
    started = time.monotonic()
    send(account, queue, 1)
    time.sleep(1)
    send(account, queue, 2)
    assert wait_for(lambda: batches(account, name)) == ["batch of 3"]
    assert time.monotonic() - started >= 2


def test_a_full_batch_does_not_wait_for_the_window(account: Account, name: str) -> None:
    queue = consume(account, name, COUNT, BatchSize=2, MaximumBatchingWindowInSeconds=300)
    send(account, queue, 2)
    assert wait_for(lambda: batches(account, name)) == ["batch of 2"]


def test_a_batch_holds_more_than_ten_messages(account: Account, name: str) -> None:
    queue = consume(account, name, COUNT, BatchSize=100, MaximumBatchingWindowInSeconds=1)
    for _ in range(3):
        send(account, queue, 9)
    assert wait_for(lambda: batches(account, name)) == ["batch of 27"]


def test_a_batch_fits_into_an_invocation(account: Account, name: str) -> None:
    queue = account.queue(name)
    account.sqs.set_queue_attributes(
        QueueUrl=queue, Attributes={"MaximumMessageSize": str(1024 * 1024)}
    )
    for _ in range(8):
        account.sqs.send_message(QueueUrl=queue, MessageBody="a" * 1_000_000)
    account.function(name, COUNT, CONSUME, LOG)
    account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue), FunctionName=name, BatchSize=10
    )
    wait_for(lambda: len(batches(account, name)) == 2)
    assert sorted(batches(account, name)) == ["batch of 3", "batch of 5"]


def test_no_more_batches_run_at_once_than_the_mapping_allows(account: Account, name: str) -> None:
    queue = consume(account, name, SLOW, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    send(account, queue, 6)
    in_work = set()

    def done() -> bool:
        in_work.add(int(account.attribute(queue, "ApproximateNumberOfMessagesNotVisible")))
        return len(batches(account, name)) == 6

    wait_for(done, seconds=20)
    assert max(in_work) == 2


def test_a_function_that_may_not_run_is_throttled_and_its_messages_come_back(
    account: Account, name: str
) -> None:
    queue = account.queue(name, VisibilityTimeout="1")
    account.function(name, COUNT, CONSUME, LOG, timeout=1)
    account.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue), FunctionName=name
    )
    send(account, queue, 1)
    wait_for(lambda: throttles(account, name))
    account.functions.delete_function_concurrency(FunctionName=name)
    assert wait_for(lambda: batches(account, name)) == ["batch of 1"]


def throttles(account: Account, name: str) -> bool:
    metrics = account.cloudwatch.list_metrics(
        Namespace="AWS/Lambda",
        MetricName="Throttles",
        Dimensions=[{"Name": "FunctionName", "Value": name}],
    )["Metrics"]
    return bool(metrics)
