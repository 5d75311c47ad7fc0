"""What passes is seen beside those who consume it, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import EndpointConnectionError

from orderctl.console import follower
from orderctl.console.follower import Follower
from orderctl.pipeline import Pipeline, temporary
from orderctl.pipeline.feed import pattern
from support.command_line import PATIENCE_SECONDS, PROGRAM, Orderctl
from support.pipeline import PipelineUnderTest, eventually


def left(pipeline: PipelineUnderTest) -> list[str]:
    """The rules, queues and subscriptions that orderctl has made for itself."""
    bus, topic = (pipeline.stack.outputs[name] for name in ("EventBusName", "OrderUpdatesTopicArn"))
    rules = pipeline.events.list_rules(EventBusName=bus)["Rules"]
    queues = pipeline.sqs.list_queues(QueueNamePrefix="orderctl-").get("QueueUrls", [])
    subscriptions = pipeline.session.client("sns").list_subscriptions_by_topic(TopicArn=topic)
    names = [rule["Name"] for rule in rules if rule["Name"].startswith("orderctl-")]
    ends = [each["Endpoint"] for each in subscriptions["Subscriptions"]]
    return [*names, *queues, *(end for end in ends if "orderctl-" in end)]


@contextmanager
def followed(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Type a command that follows; Ctrl-C ends it."""
    with subprocess.Popen(
        [PROGRAM, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGINT


def test_events_are_seen_as_they_pass_until_ctrl_c(
    pipeline: PipelineUnderTest, environment: dict[str, str]
) -> None:
    seen, other = pipeline.ids(2)
    with followed(environment, "events", "--follow", "--order", seen, "--json") as process:
        assert process.stdout
        assert process.stderr
        assert "Following" in process.stderr.readline()
        assert len(left(pipeline)) == 2
        for order_id in (other, seen):
            pipeline.api.place({"order_id": order_id, "amount": 12.5})
        events = [json.loads(process.stdout.readline()) for _ in range(4)]
    assert {event["order_id"] for event in events} == {seen}
    assert {event["type"] for event in events} == {
        "order.placed",
        "payment.charged",
        "inventory.reserved",
        "order.confirmed",
    }
    assert left(pipeline) == []
    eventually(
        lambda: pipeline.statuses([seen, other]) == dict.fromkeys([seen, other], "confirmed")
    )


def test_updates_are_seen_beside_the_shops_services(
    pipeline: PipelineUnderTest, environment: dict[str, str]
) -> None:
    (order_id,) = pipeline.ids(1)
    while pipeline.updates.take():
        pass
    with followed(environment, "updates", "--peek", "--json") as process:
        eventually(lambda: len(left(pipeline)) == 2)
        pipeline.api.place({"order_id": order_id, "amount": 1})
        assert process.stdout
        updates = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [(update["order_id"], update["status"]) for update in updates] == [
        (order_id, "placed"),
        (order_id, "confirmed"),
    ]
    assert left(pipeline) == []
    assert [update["status"] for update in pipeline.updates.take()] == ["placed", "confirmed"]


def test_what_a_crash_has_left_is_removed_by_the_next(
    pipeline: PipelineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = pipeline.feeds.follow()
    lives.__enter__()
    monkeypatch.setattr(temporary, "_FOLLOWED_FOR", -temporary._FOLLOWED_FOR)
    crashed = [pipeline.feeds.follow(), pipeline.update_feeds.follow()]
    for each in crashed:
        each.__enter__()
    assert len(left(pipeline)) == 6
    monkeypatch.undo()
    with pipeline.feeds.follow(), pipeline.update_feeds.follow():
        assert len(left(pipeline)) == 6, "of these three and the one that is followed still"
    assert len(left(pipeline)) == 2
    pipeline.feeds.remove_left(followed_too=True)
    assert left(pipeline) == []


def test_a_console_misses_nothing_while_nobody_answers(
    pipeline: PipelineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "AFTER_A_FAILURE_SECONDS", 0.1)
    (order_id,) = pipeline.ids(1)
    told: list[str] = []
    cut, refused = threading.Event(), threading.Event()
    own = Pipeline(pipeline.cloud.session(), pipeline.cloud.state.stack_name)

    def refuse(**_call: object) -> None:
        if cut.is_set():
            refused.set()
            raise EndpointConnectionError(endpoint_url="the cloud")

    own.session.events.register("before-send.sqs.ReceiveMessage", refuse)
    following = Follower(
        lambda: own, lambda events: told.extend(e.type for e in events if e.order_id == order_id)
    )
    following.start()
    following.want(True)
    try:
        eventually(lambda: len(left(pipeline)) == 2)
        cut.set()
        assert refused.wait(PATIENCE_SECONDS)
        pipeline.api.place({"order_id": order_id, "amount": 1})
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
        assert told == []
        cut.clear()
        eventually(lambda: len(told) == 4)
    finally:
        following.stop()
    assert left(pipeline) == []


def test_a_pattern_that_eventbridge_does_not_take_leaves_nothing(
    pipeline: PipelineUnderTest, orderctl: Orderctl
) -> None:
    result = orderctl("events", "--follow", "--pattern", '{"source": "not a list"}')
    assert result.returncode == 1
    assert "Event pattern is not valid" in result.stderr
    assert left(pipeline) == []


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (([], [], None), {"source": [{"prefix": ""}]}),
        ((["a"], [], None), {"detail": {"order_id": ["a"]}}),
        (
            (["a"], ["payment.*", "order.placed"], '{"source": ["x"]}'),
            {
                "source": ["x"],
                "detail-type": [{"prefix": "payment."}, "order.placed"],
                "detail": {"order_id": ["a"]},
            },
        ),
    ],
)
def test_filters_become_one_pattern(
    arguments: tuple[list[str], list[str], str | None], wanted: dict[str, object]
) -> None:
    assert pattern(*arguments) == wanted


@pytest.mark.parametrize(
    "arguments",
    [
        ([], [], "[]"),
        ([], [], "no JSON"),
        ([], ["x"], '{"detail-type": ["y"]}'),
        (["a"], [], '{"detail": {"order_id": ["b"]}}'),
    ],
)
def test_filters_that_contradict_each_other_are_refused(
    arguments: tuple[list[str], list[str], str],
) -> None:
    with pytest.raises(ValueError, match=r"pattern|JSON"):
        pattern(*arguments)
