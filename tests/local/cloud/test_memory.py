"""A caller's permissions are remembered, and still a change of them is seen by the next call."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from orderctl.localcloud.gaps.iam import memory

from .account import Account, policy, wait_for

DENIED = policy({"Effect": "Deny", "Action": "*", "Resource": "*"})


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    memory._forget()
    yield
    memory._forget()


def test_what_is_known_is_not_looked_up_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.05, 0.09, 0.11, 0.11])
    monkeypatch.setattr(memory, "_known_since", 0.0)
    monkeypatch.setattr("orderctl.localcloud.gaps.iam.memory.time.monotonic", lambda: next(times))
    looked_up: list[str] = []

    def look_up(name: str) -> str:
        looked_up.append(name)
        return name

    for name in ("a", "a", "b", "a"):
        assert memory.remembered(name, lambda name=name: look_up(name)) == name  # type: ignore[misc]
    assert looked_up == ["a", "b", "a"], "the last one was asked after a tenth of a second"


def test_a_change_of_policies_is_seen_by_the_next_call(account: Account, name: str) -> None:
    user = account.user(name, {"Action": "sqs:ListQueues", "Resource": "*"})
    sqs, iam = user.client("sqs", endpoint_url=account.server.url), account.client("iam")

    def may() -> bool:
        try:
            sqs.list_queues()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error
            return False
        return True

    for _ in range(5):
        assert may()
        iam.put_user_policy(UserName=name, PolicyName="denied", PolicyDocument=DENIED)
        assert not may()
        iam.delete_user_policy(UserName=name, PolicyName="denied")
    assert may()
    key = user.get_credentials()
    assert key
    iam.update_access_key(UserName=name, AccessKeyId=key.access_key, Status="Inactive")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sqs.list_queues()


def test_a_change_of_a_resource_s_policy_is_seen_by_the_next_call(
    account: Account, name: str
) -> None:
    queue = account.sqs.create_queue(QueueName=name)["QueueUrl"]
    user = account.user(name, {"Action": "sqs:SendMessage", "Resource": "*"})
    sqs = user.client("sqs", endpoint_url=account.server.url)
    denied = policy(
        {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    )
    for _ in range(5):
        sqs.send_message(QueueUrl=queue, MessageBody="1")
        account.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": denied})
        with pytest.raises(ClientError, match="AccessDenied"):
            sqs.send_message(QueueUrl=queue, MessageBody="2")
        account.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})


def test_what_one_may_do_is_not_remembered_for_another(account: Account, name: str) -> None:
    may, may_not = (
        account.user(f"{name}-{each}", {"Action": f"sqs:{action}", "Resource": "*"}).client(
            "sqs", endpoint_url=account.server.url
        )
        for each, action in (("a", "ListQueues"), ("b", "CreateQueue"))
    )
    for _ in range(5):
        may.list_queues()
        with pytest.raises(ClientError, match="AccessDenied"):
            may_not.list_queues()


def test_a_change_by_a_stack_is_seen_by_the_next_call(account: Account, name: str) -> None:
    user = account.user(name, {"Action": "sqs:ListQueues", "Resource": "*"})
    sqs = user.client("sqs", endpoint_url=account.server.url)
    denied = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": "denied",
            "PolicyDocument": json.loads(DENIED),
            "Users": [name],
        },
    }
    sqs.list_queues()
    account.cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps({"Resources": {"Denied": denied}}),
        Capabilities=["CAPABILITY_IAM"],
    )

    def is_made() -> bool:
        (stack,) = account.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return stack["StackStatus"] == "CREATE_COMPLETE"

    wait_for(is_made)
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.list_queues()
