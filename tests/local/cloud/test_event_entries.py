"""PutEvents, checked entry by entry."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from orderctl.localcloud.gaps.events.entries import condition_keys

from .account import Account

OWN = {"Source": "shop", "DetailType": "sold"}


def publish(account: Account, user: boto3.Session, bus: str, *entries: dict[str, str]) -> str:
    """How a call ends: `done`, or the code of the error."""
    events = user.client("events", endpoint_url=account.server.url)
    whole: Any = [{"EventBusName": bus, "Detail": "{}"} | entry for entry in entries]
    try:
        events.put_events(Entries=whole)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"


def arn(bus: str) -> str:
    return f"arn:aws:events:us-east-1:000000000000:event-bus/{bus}"


@pytest.fixture
def bus(account: Account, name: str) -> str:
    account.events.create_event_bus(Name=name)
    return name


@pytest.mark.parametrize("operator", ["StringEquals", "ForAllValues:StringEquals"])
def test_each_entry_is_checked_with_what_it_says(account: Account, bus: str, operator: str) -> None:
    keys = {"events:source": ["shop"], "events:detail-type": ["sold", "returned"]}
    user = account.user(
        bus,
        {
            "Action": "events:PutEvents",
            "Resource": arn(bus),
            "Condition": {
                operator: keys,
                "Null": dict.fromkeys(keys, "false"),
            },
        },
    )
    assert publish(account, user, bus, OWN) == "done"
    assert publish(account, user, bus, OWN, OWN | {"DetailType": "returned"}) == "done"
    for foreign in (
        OWN | {"Source": "bank"},
        OWN | {"DetailType": "stolen"},
        {"Source": "shop"},
        {"DetailType": "sold"},
        OWN | {"EventBusName": "default"},
    ):
        assert publish(account, user, bus, foreign) == "AccessDeniedException"
        assert publish(account, user, bus, OWN, foreign) == "AccessDeniedException"


def test_nothing_of_a_refused_call_reaches_the_bus(account: Account, bus: str) -> None:
    queue = account.queue(bus)
    rule = account.events.put_rule(
        Name=bus, EventBusName=bus, EventPattern=json.dumps({"source": ["shop"]})
    )["RuleArn"]
    allow = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    account.sqs.set_queue_attributes(
        QueueUrl=queue,
        Attributes={
            "Policy": json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Resource": account.queue_arn(queue), **allow},
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "sqs:*",
                            "Resource": account.queue_arn(queue),
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        },
                    ],
                }
            )
        },
    )
    assert rule
    account.events.put_targets(
        Rule=bus, EventBusName=bus, Targets=[{"Id": "1", "Arn": account.queue_arn(queue)}]
    )
    user = account.user(
        bus,
        {
            "Action": "events:PutEvents",
            "Resource": arn(bus),
            "Condition": {"StringEquals": {"events:source": "shop"}},
        },
    )
    refused = publish(account, user, bus, OWN | {"DetailType": "1"}, {**OWN, "Source": "bank"})
    assert refused == "AccessDeniedException"
    assert publish(account, user, bus, OWN | {"DetailType": "2"}) == "done"
    (message,) = account.receive(queue)
    assert json.loads(message["Body"])["detail-type"] == "2"


def test_without_a_condition_everything_may_be_published(account: Account, bus: str) -> None:
    user = account.user(bus, {"Action": "events:PutEvents", "Resource": arn(bus)})
    assert publish(account, user, bus, OWN, {"Source": "bank", "DetailType": "x"}) == "done"


def test_what_an_entry_does_not_say_as_text_has_no_key() -> None:
    assert condition_keys({"Source": 1, "DetailType": None}) == {}
    assert condition_keys({"Source": "shop", "DetailType": ""}) == {
        "events:source": "shop",
        "events:detail-type": "",
    }
