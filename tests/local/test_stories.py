"""What is told of many orders is in causal order, and to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderctl.pipeline.causes import in_order
from orderctl.pipeline.trace import Story, tell
from support.pipeline import PipelineUnderTest, eventually

COUNT = 12
# What is written before what; the log of a function tells of it some time after.
CHAINS = (
    ("table orders order.placed", "table payments charged", "table orders payment.charged"),
    ("table orders order.placed", "table reservations reserved", "table orders inventory.reserved"),
    ("table orders payment.charged", "table orders order.confirmed", "log order-tracker confirmed"),
    ("table orders inventory.reserved", "table orders order.confirmed"),
    ("table orders inventory.rejected", "table orders order.cancelled", "table payments refunded"),
    ("table orders order.cancelled", "table orders payment.refunded"),
)


def is_in_order(story: Story) -> bool:
    told = [f"{entry.where} {entry.what}" for entry in story.entries]
    places = [[told.index(each) for each in chain if each in told] for chain in CHAINS]
    return all(place == sorted(place) for place in places)


@pytest.mark.long
def test_the_story_of_each_of_many_orders_is_in_causal_order(pipeline: PipelineUnderTest) -> None:
    ids, sku = pipeline.ids(COUNT), pipeline.sku("story")
    pipeline.set_stock({sku: COUNT // 2})
    for order_id in ids:
        order = {"order_id": order_id, "amount": 12.5, "items": [{"sku": sku, "quantity": 1}]}
        assert pipeline.api.place(order).status == 202
    eventually(lambda: all("unfinished" not in o for o in pipeline.orders.find(ids).values()))
    found = pipeline.orders.find(ids)
    assert {order["status"] for order in found.values()} == {"confirmed", "cancelled"}
    for order_id, order in found.items():
        history: Any = order["history"]
        assert all("." in step["at"] for step in history), "to the millisecond"
        assert in_order(history)[0]["type"] == "order.placed"
        story = tell(pipeline, order_id, datetime.now(UTC) - timedelta(minutes=5))
        assert is_in_order(story), story
