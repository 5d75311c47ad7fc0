import json
from concurrent.futures import ThreadPoolExecutor

from .account import Account

FAIL = "def handler(event, context): raise ValueError('no')"
ANSWER = "def handler(event, context): return {'answer': event['n']}"


def invoke(account: Account, name: str) -> None:
    account.functions.invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps({"n": 1})
    )


def test_a_success_is_recorded_where_the_role_may_send(account: Account, name: str) -> None:
    queue = account.queue(name)
    arn = account.queue_arn(queue)
    account.function(name, ANSWER, {"Action": "sqs:SendMessage", "Resource": arn})
    account.functions.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    invoke(account, name)
    (message,) = account.receive(queue)
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responsePayload"] == {"answer": 1}


def test_nothing_is_recorded_where_the_role_may_not_send(account: Account, name: str) -> None:
    queue = account.queue(name)
    account.function(name, ANSWER)
    account.functions.put_function_event_invoke_config(
        FunctionName=name,
        DestinationConfig={"OnSuccess": {"Destination": account.queue_arn(queue)}},
    )
    invoke(account, name)
    assert not account.take(queue, wait=1)


def test_the_functions_dead_letter_queue_gets_the_event_itself(account: Account, name: str) -> None:
    queue = account.queue(name)
    arn = account.queue_arn(queue)
    account.function(name, FAIL, {"Action": "sqs:SendMessage", "Resource": arn})
    account.functions.update_function_configuration(
        FunctionName=name, DeadLetterConfig={"TargetArn": arn}
    )
    account.functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    invoke(account, name)
    (message,) = account.receive(queue)
    assert json.loads(message["Body"]) == {"n": 1}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no"
    assert message["MessageAttributes"]["RequestID"]["StringValue"]


def test_a_throttled_event_waits_and_uses_up_no_retry(account: Account, name: str) -> None:
    queue = account.queue(name)
    arn = account.queue_arn(queue)
    account.function(name, ANSWER, {"Action": "sqs:SendMessage", "Resource": arn})
    account.functions.put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": arn}, "OnFailure": {"Destination": arn}},
    )
    account.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    invoke(account, name)
    assert not account.take(queue, wait=1)
    account.functions.delete_function_concurrency(FunctionName=name)
    (message,) = account.receive(queue)
    assert json.loads(message["Body"])["requestContext"]["condition"] == "Success"


MORE_THAN_THE_ACCOUNT_RUNS_AT_ONCE = 1050
FAIL_SLOWLY = """
    import time

    def handler(event, context):
        time.sleep(1)
        raise ValueError("no")
"""


def test_events_that_wait_throttle_no_other_function(account: Account, name: str) -> None:
    flooded, other = f"{name}-flooded", f"{name}-other"
    account.function(flooded, FAIL_SLOWLY)
    account.function(other, ANSWER)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(MORE_THAN_THE_ACCOUNT_RUNS_AT_ONCE):
            pool.submit(invoke, account, flooded)
    try:
        for _ in range(5):
            answer = account.functions.invoke(FunctionName=other, Payload=json.dumps({"n": 1}))
            assert json.load(answer["Payload"]) == {"answer": 1}
    finally:
        account.functions.delete_function(FunctionName=flooded)
