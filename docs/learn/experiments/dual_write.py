"""The function dies between the table and the bus, and the client sends its order again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lab

from orders.aws.errors import AwsError
from orders.aws.order_table import OrderTable
from orders.clock import utc_now
from orders.order_api.handler import OrderApi
from support.aws import TappedBus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient

ORDER = {"order_id": "order-1", "amount": 5}
REQUEST = {"httpMethod": "POST", "body": json.dumps(ORDER)}


class Naive:
    """Writes two times, in one order or the other."""

    def __init__(
        self, client: DynamoDBClient, events: EventBridgeClient, *, publish_first: bool
    ) -> None:
        """Write to the table orders, and to this bus."""
        self.client = client
        self.events = events
        self.steps = [self.publish, self.record] if publish_first else [self.record, self.publish]

    def __call__(self, request: dict[str, Any], _context: object) -> int:
        """Take an order."""
        for step in self.steps:
            if not step(json.loads(request["body"])):
                return 409  # there is such an order
        return 202

    def record(self, order: dict[str, Any]) -> bool:
        """Write the order to the table, unless it is there."""
        try:
            self.client.put_item(
                TableName="orders",
                Item={"order_id": {"S": order["order_id"]}},
                ConditionExpression="attribute_not_exists(order_id)",
            )
        except AwsError:
            return False
        return True

    def publish(self, order: dict[str, Any]) -> bool:
        """Put order.placed on the bus."""
        self.events.put_events(
            Entries=[
                {
                    "EventBusName": "order-events",
                    "Source": "com.myapp.orders",
                    "DetailType": "order.placed",
                    "Detail": json.dumps({**order, "at": utc_now()}),
                }
            ]
        )
        return True


def show(name: str, make: Callable[[DynamoDBClient, TappedBus], lab.Handler]) -> None:
    """Let the function die between its two writes, and print what there is; then send it again."""
    client, bus = lab.tables(), lab.bus()
    handler = make(client, bus)
    lab.die_at_the_second_write(client, bus.client, lambda: lab.quietly(handler, REQUEST))
    after_the_death = _there(client, bus)
    lab.quietly(handler, REQUEST)
    print(f"{name}  dies: {after_the_death:<25}  sent again: {_there(client, bus)}")


def _there(client: DynamoDBClient, bus: TappedBus) -> str:
    found = []
    if client.scan(TableName="orders")["Items"]:
        found.append("in the table")
    found.append("an event" if bus.take() else "no event")
    return ", ".join(found)


show("record, then publish", lambda client, bus: Naive(client, bus.client, publish_first=False))
show("publish, then record", lambda client, bus: Naive(client, bus.client, publish_first=True))
show("ours                ", lambda client, bus: OrderApi(OrderTable(client, "orders"), bus.bus))
