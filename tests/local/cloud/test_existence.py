"""A mapping or a permission of what is not there is refused, and a stack with it rolled back."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from .account import ACCOUNT, REGION, Account

CODE = """
    def handler(event, context):
        return None
"""
NO_QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue"
NO_FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:no-such-function"


def refused(account: Account, **mapping: Any) -> str:  # noqa: ANN401
    with pytest.raises(ClientError) as error:
        account.functions.create_event_source_mapping(**mapping)
    return str(error.value)


def test_a_mapping_of_no_queue_is_refused(account: Account, name: str) -> None:
    account.function(name, CODE)
    said = refused(account, EventSourceArn=NO_QUEUE, FunctionName=name)
    assert "does not exist" in said


def test_a_function_that_works_longer_than_its_messages_are_hidden_is_refused(
    account: Account, name: str
) -> None:
    account.function(name, CODE)
    account.functions.update_function_configuration(FunctionName=name, Timeout=20)
    arn = account.queue_arn(account.queue(name, VisibilityTimeout="19"))
    said = refused(account, EventSourceArn=arn, FunctionName=name)
    assert "Queue visibility timeout: 19 seconds is less than Function timeout: 20" in said


@pytest.mark.parametrize(
    ("kind", "properties", "why"),
    [
        (
            "AWS::Lambda::EventSourceMapping",
            {"EventSourceArn": NO_QUEUE, "FunctionName": "NAME"},
            "does not exist",
        ),
        (
            "AWS::Lambda::EventSourceMapping",
            {"EventSourceArn": "QUEUE", "FunctionName": NO_FUNCTION},
            "Function not found",
        ),
        (
            "AWS::Lambda::Permission",
            {
                "FunctionName": NO_FUNCTION,
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
            },
            "Function not found",
        ),
    ],
    ids=["no queue", "no function", "a permission of no function"],
)
def test_a_stack_with_one_is_rolled_back(
    account: Account, name: str, kind: str, properties: dict[str, Any], why: str
) -> None:
    account.function(name, CODE)
    queue = account.queue_arn(account.queue(name))
    places = {"NAME": name, "QUEUE": queue}
    wrong = {key: places.get(value, value) for key, value in properties.items()}
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}
    resources = {
        "Topic": topic,
        "Wrong": {"Type": kind, "DependsOn": "Topic", "Properties": wrong},
    }
    stacks = account.cloudformation
    stacks.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    (failed,) = [e for e in events if e["ResourceStatus"] == "CREATE_FAILED"]
    assert failed["LogicalResourceId"] == "Wrong"
    assert why in failed["ResourceStatusReason"]
    (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert not [t for t in account.sns.list_topics()["Topics"] if t["TopicArn"].endswith(name)]
