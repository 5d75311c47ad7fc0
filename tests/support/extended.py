"""Tries the pipeline that docs/extending.md makes, on a local cloud: `python -m support.extended`.

Runs in a process of its own, with the code of the extended copy.
"""

from __future__ import annotations

import json
from collections import Counter

from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud.lifecycle import LocalCloud
from support.lambdas import event_of
from support.pipeline import PipelineUnderTest, eventually

QUICK = {
    "ConsumerTimeoutSeconds": "5",
    "VisibilityTimeoutSeconds": "30",
    "RetryDelaySeconds": "0",
    "ChargeFailureRate": "0",
}
POINTS = 10
REPEATS = 4


def try_the_field(pipeline: PipelineUnderTest, order_id: str) -> None:
    """The new field goes through POST, the same POST again, and GET."""
    order = {"order_id": order_id, "amount": 5, "gift_note": "Happy birthday"}
    assert [pipeline.api.place(order).status for _ in range(2)] == [202, 202]
    assert pipeline.api.place(order | {"gift_note": "Another"}).status == 409
    assert pipeline.api.place(order | {"gift_note": ""}).status == 400
    shown = pipeline.api.show(order_id).body
    assert isinstance(shown, dict)
    assert shown["gift_note"] == "Happy birthday"


def points(pipeline: PipelineUnderTest) -> dict[str, int]:
    """The points in the table, by order."""
    found = pipeline.dynamodb.scan(TableName=pipeline.stack.outputs["LoyaltyTableName"])
    return {item["order_id"]["S"]: int(item["points"]["N"]) for item in found["Items"]}


def times_credited(pipeline: PipelineUnderTest) -> Counter[str]:
    """How often the log says that points were credited, by order."""
    lines = pipeline.log_lines("loyalty")
    return Counter(line["order_id"] for line in lines if line.get("message") == "credited")


def history(pipeline: PipelineUnderTest, order_id: str) -> list[str]:
    """The types of the events in an order's history."""
    order = pipeline.orders.find([order_id]).get(order_id, {})
    return [step["type"] for step in order.get("history", [])]


def try_the_consumer(pipeline: PipelineUnderTest, order_id: str, others: list[str]) -> None:
    """Points come once for each order, however often its event comes."""
    for _ in range(REPEATS):
        pipeline.publish_events([("order.confirmed", {"order_id": i}) for i in others])
    twice = json.dumps(event_of("order.confirmed", others[0]))
    pipeline.send("LoyaltyQueueUrl", *[twice] * 10)  # one batch
    every = {order_id, *others}
    eventually(lambda: points(pipeline).keys() == every)
    eventually(pipeline.idle)
    eventually(lambda: "loyalty.credited" in history(pipeline, order_id))
    assert points(pipeline) == dict.fromkeys(every, POINTS)
    eventually(lambda: times_credited(pipeline) == dict.fromkeys(every, 1))
    assert history(pipeline, order_id).count("loyalty.credited") == 1
    assert set(pipeline.dead_letters.depths().values()) == {0}


def try_a_poison_message(pipeline: PipelineUnderTest) -> None:
    """A message that cannot be read is parked, and the alarm rings."""
    pipeline.send("LoyaltyQueueUrl", "not JSON")
    eventually(lambda: pipeline.dead_letters.depths()["loyalty-dlq"] == 1)
    eventually(lambda: pipeline.alarms.states()["loyalty-dlq"] == "ALARM")


def main() -> None:
    """Deploy, and try all of it."""
    with LocalCloud() as cloud:
        cloud.deploy(package.build(Target.this_machine()), parameters=QUICK)
        pipeline = PipelineUnderTest(cloud.session(), cloud.state.stack_name, cloud)
        order_id, *others = pipeline.ids(4)
        try_the_field(pipeline, order_id)
        try_the_consumer(pipeline, order_id, others)
        try_a_poison_message(pipeline)


if __name__ == "__main__":
    main()
