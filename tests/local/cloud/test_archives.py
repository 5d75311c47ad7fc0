"""Archives in a stack, and replays."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .account import ACCOUNT, REGION, Account, policy, wait_for

SOURCE = "tests"
NOW = datetime.now(UTC)


class ArchivedBus:
    """A bus with an archive, both made by a stack, and rules that go to a queue each."""

    def __init__(self, account: Account, name: str) -> None:
        self.account = account
        self.name = name
        self.arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"
        self.archive_arn = f"arn:aws:events:{REGION}:{ACCOUNT}:archive/{name}"
        account.cloudformation.create_stack(StackName=name, TemplateBody=self.template(7))
        self.wait()

    def template(self, days: int) -> str:
        return json.dumps(
            {
                "Resources": {
                    "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": self.name}},
                    "Archive": {
                        "Type": "AWS::Events::Archive",
                        "Properties": {
                            "ArchiveName": self.name,
                            "SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]},
                            "EventPattern": {"source": [SOURCE]},
                            "RetentionDays": days,
                        },
                    },
                }
            }
        )

    def wait(self) -> None:
        def done() -> bool:
            (stack,) = self.account.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
            return stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")

        wait_for(done)

    def rule(self, name: str) -> tuple[str, str]:
        """A rule for everything, and the queue it goes to: its ARN and the queue's URL."""
        arn = self.account.events.put_rule(
            Name=name, EventBusName=self.name, EventPattern=json.dumps({"account": [ACCOUNT]})
        )["RuleArn"]
        statement = {
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
        }
        queue = self.account.queue(name, Policy=policy(statement))
        self.account.events.put_targets(
            Rule=name,
            EventBusName=self.name,
            Targets=[{"Id": "queue", "Arn": self.account.queue_arn(queue)}],
        )
        return arn, queue

    def put(self, *numbers: int, source: str = SOURCE) -> None:
        self.account.events.put_events(
            Entries=[
                {
                    "EventBusName": self.name,
                    "Source": source,
                    "DetailType": "tested",
                    "Detail": json.dumps({"n": number}),
                }
                for number in numbers
            ]
        )

    def replay(self, **changed: object) -> dict[str, Any]:
        request: dict[str, Any] = {
            "ReplayName": self.name,
            "EventSourceArn": self.archive_arn,
            "EventStartTime": NOW - timedelta(hours=1),
            "EventEndTime": datetime.now(UTC) + timedelta(seconds=5),
            "Destination": {"Arn": self.arn},
        }
        self.account.events.start_replay(**(request | changed))
        return wait_for(self.ended)

    def ended(self) -> dict[str, Any] | None:
        replay: Any = self.account.events.describe_replay(ReplayName=self.name)
        return replay if replay["State"] in ("COMPLETED", "CANCELLED") else None

    def archive(self) -> dict[str, Any]:
        archive: Any = self.account.events.describe_archive(ArchiveName=self.name)
        return dict(archive)


def numbers(account: Account, queue: str, count: int) -> list[int]:
    events = [json.loads(message["Body"]) for message in account.receive(queue, count)]
    return sorted(event["detail"]["n"] for event in events)


def test_a_stack_makes_changes_and_deletes_an_archive(account: Account, name: str) -> None:
    bus = ArchivedBus(account, name)
    assert bus.archive()["RetentionDays"] == 7
    account.cloudformation.update_stack(StackName=name, TemplateBody=bus.template(30))
    bus.wait()
    assert bus.archive()["RetentionDays"] == 30
    account.cloudformation.delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        wait_for(lambda: not bus.archive())


def test_a_replay_goes_to_the_chosen_rule_alone_and_is_not_archived(
    account: Account, name: str
) -> None:
    bus = ArchivedBus(account, name)
    bus.put(1, 2)
    bus.put(3, source="another")  # the archive's pattern leaves it out
    chosen, queue = bus.rule(f"{name}-a")
    _, other = bus.rule(f"{name}-b")
    replay = bus.replay(Destination={"Arn": bus.arn, "FilterArns": [chosen]})
    assert replay["State"] == "COMPLETED"
    assert replay["EventLastReplayedTime"]
    messages = account.receive(queue, 2)
    assert {json.loads(message["Body"])["replay-name"] for message in messages} == {name}
    assert not account.take(other, wait=1)
    assert bus.archive()["EventCount"] == 2


def test_a_replay_takes_the_events_of_its_time_to_every_rule(account: Account, name: str) -> None:
    bus = ArchivedBus(account, name)
    bus.put(1)
    _, queue = bus.rule(name)
    bus.replay(EventEndTime=NOW - timedelta(minutes=30))
    assert not account.take(queue, wait=1)
    bus.replay(ReplayName=f"{name}-2")
    assert numbers(account, queue, 1) == [1]


def test_a_cancelled_replay_stops(account: Account, name: str) -> None:
    bus = ArchivedBus(account, name)
    for _ in range(60):
        bus.put(*range(10))
    _, queue = bus.rule(name)
    account.events.start_replay(
        ReplayName=name,
        EventSourceArn=bus.archive_arn,
        EventStartTime=NOW - timedelta(hours=1),
        EventEndTime=datetime.now(UTC) + timedelta(seconds=5),
        Destination={"Arn": bus.arn},
    )
    assert account.events.cancel_replay(ReplayName=name)["State"] == "CANCELLED"
    assert int(account.attribute(queue, "ApproximateNumberOfMessages")) < 600
    with pytest.raises(ClientError, match="is CANCELLED"):
        account.events.cancel_replay(ReplayName=name)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"EventStartTime": NOW + timedelta(days=1)}, "before its EventEndTime"),
        ({"EventSourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:archive/no"}, "does not exist"),
        ({"Destination": {"Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/no"}}, "must be"),
    ],
)
def test_what_is_no_replay_is_refused(
    account: Account, name: str, changed: dict[str, Any], said: str
) -> None:
    bus = ArchivedBus(account, name)
    with pytest.raises(ClientError, match=said):
        bus.replay(**changed)
