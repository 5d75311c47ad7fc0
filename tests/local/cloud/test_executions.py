import json

import pytest

from .account import Account, wait_for

HANDLER = """
    def handler(event, context):
        if "fail" in str(event):
            raise ValueError("no")
        return {}
"""


def test_executions_for_a_queue_are_counted(account: Account, name: str) -> None:
    queue = account.queue(name, VisibilityTimeout="600")
    account.function(name, HANDLER, {"Action": "sqs:*", "Resource": "*"})
    account.functions.create_event_source_mapping(
        EventSourceArn=account.queue_arn(queue), FunctionName=name, BatchSize=1
    )
    for body in ("work", "fail"):
        account.sqs.send_message(QueueUrl=queue, MessageBody=body)
    wait_for(lambda: account.total("AWS/Lambda", "Invocations", FunctionName=name) == 2)
    assert account.total("AWS/Lambda", "Errors", FunctionName=name) == 1
    assert account.total("AWS/Lambda", "Duration", FunctionName=name) > 0


def test_every_attempt_of_an_asynchronous_invocation_is_counted(
    account: Account, name: str
) -> None:
    account.function(name, HANDLER)
    account.functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    account.functions.invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps({"n": "fail"})
    )
    wait_for(lambda: account.total("AWS/Lambda", "Errors", FunctionName=name) == 2)
    assert account.total("AWS/Lambda", "Invocations", FunctionName=name) == 2


def test_a_throttled_call_is_no_invocation(account: Account, name: str) -> None:
    account.function(name, HANDLER)
    account.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(account.functions.exceptions.TooManyRequestsException):
        account.functions.invoke(FunctionName=name)
    assert account.total("AWS/Lambda", "Throttles", FunctionName=name) >= 1
    assert account.total("AWS/Lambda", "Invocations", FunctionName=name) == 0
