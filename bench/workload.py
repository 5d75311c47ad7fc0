"""The events of orders that go well, as API Gateway, SQS and EventBridge hand them over."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from bench.setting import TEXTBOOK, Function, session
from orders.aws.order_table import OrderTable
from orders.clock import utc_now
from orders.order import Order, Step
from orders.order_api.validation import parse_order

SKUS: Final = tuple(f"sku-{number:02}" for number in range(20))
STOCK: Final = dict.fromkeys(SKUS, 100_000_000)
_PLACED_AT: Final = "2026-11-24T09:30:00.123Z"
_ACCOUNT: Final = "000000000000"

Event = dict[str, Any]

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Work:
    """Invocations, and how many orders' share of a function's work they are."""

    events: list[Event]
    orders: float


def work(function: Function, version: str, invocations: int, batch: int, endpoint: str) -> Work:
    """What a function is invoked with when it handles events of new orders.

    Args:
        function: which.
        version: ours or the textbook's, which have tables of their own.
        invocations: how many; an even number where an order has two events.
        batch: how many events in each; 1 where a function takes no batches.
        endpoint: where AWS is: the tracker's orders must be on record.
    """
    groups = [orders(batch) for _ in range(invocations // function.events_of_an_order)]
    if function.name == "order-tracker":
        _record(itertools.chain.from_iterable(groups), version, endpoint)
    if function.name == "notifications" and version != TEXTBOOK:
        _record_milestones(itertools.chain.from_iterable(groups), endpoint)
    make = _MAKERS[function.name]
    events = [event for group in groups for event in make(group)]
    return Work(events, len(groups) * batch)


def orders(count: int) -> list[dict[str, Any]]:
    """Orders that nobody has seen: two lines each, over 20 articles."""
    return [_order(next(_numbers)) for _ in range(count)]


def _order(number: int) -> dict[str, Any]:
    first, second = number % len(SKUS), (number + 7) % len(SKUS)
    return {
        "order_id": str(uuid.uuid4()),
        "amount": number % 1000 + 0.5,
        "currency": "USD",
        "customer_id": f"customer-{number % 500}",
        "items": [{"sku": SKUS[first], "quantity": 1}, {"sku": SKUS[second], "quantity": 2}],
    }


def requests(group: Sequence[dict[str, Any]]) -> list[Event]:
    """Orders as the REST API hands them to ``order-api``."""
    return [_request(order) for order in group]


def _messages(group: Sequence[dict[str, Any]]) -> list[Event]:
    return [_sqs_event([_envelope("com.myapp.orders", "order.placed", order) for order in group])]


def _outcomes(group: Sequence[dict[str, Any]]) -> list[Event]:
    """Payments' answers in one batch, inventory's in the next."""
    charged = [
        _envelope(
            "com.myapp.payments",
            "payment.charged",
            {
                "order_id": order["order_id"],
                "amount": order["amount"],
                "currency": order["currency"],
                "charge_id": f"ch_{order['order_id'].replace('-', '')[:24]}",
            },
        )
        for order in group
    ]
    reserved = [
        _envelope(
            "com.myapp.inventory",
            "inventory.reserved",
            {"order_id": order["order_id"], "items": order["items"]},
        )
        for order in group
    ]
    return [_sqs_event(charged), _sqs_event(reserved)]


def placed_events(group: Sequence[dict[str, Any]]) -> list[Event]:
    """What ``notifications`` is handed first of orders."""
    return [_envelope("com.myapp.orders", "order.placed", order) for order in group]


def confirmed_events(group: Sequence[dict[str, Any]]) -> list[Event]:
    """What ``notifications`` is handed when orders are confirmed."""
    return [
        _envelope(
            "com.myapp.orders",
            "order.confirmed",
            {"order_id": order["order_id"], "placed_at": _PLACED_AT, "version": 4},
        )
        for order in group
    ]


def _milestones(group: Sequence[dict[str, Any]]) -> list[Event]:
    """Of each order that it was placed, and of its twin that it was confirmed."""
    return [*placed_events(group), *confirmed_events([_twin(order) for order in group])]


def _twin(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "order_id": f"{order['order_id']}-twin"}


_MAKERS: Final[dict[str, Callable[[Sequence[dict[str, Any]]], list[Event]]]] = {
    "order-api": requests,
    "payments-processor": _messages,
    "inventory-processor": _messages,
    "order-tracker": _outcomes,
    "notifications": _milestones,
}


def _record(placed: itertools.chain[dict[str, Any]], version: str, endpoint: str) -> None:
    """Have orders on record, as each version's order-api leaves them."""
    client = session().client("dynamodb", endpoint_url=endpoint)
    table = OrderTable(client, "orders")
    for order in placed:
        if version != TEXTBOOK:
            ordered = parse_order(json.dumps(order), order["order_id"])
            history = (Step("order.placed", _PLACED_AT),)
            table.create(
                Order(
                    order_id=ordered.order_id,
                    placed_at=_PLACED_AT,
                    history=history,
                    ordered=ordered,
                )
            )
        else:
            item = {"order_id": order["order_id"], "status": "placed", "currency": "USD"}
            client.put_item(
                TableName="textbook-orders",
                Item={name: {"S": text} for name, text in item.items()},
            )


def _record_milestones(placed: Iterable[dict[str, Any]], endpoint: str) -> None:
    """Have orders on record that were placed just now, and their twins as confirmed."""
    table = OrderTable(session().client("dynamodb", endpoint_url=endpoint), "orders")
    steps = ("order.placed", "payment.charged", "inventory.reserved", "order.confirmed")
    for order in placed:
        at = utc_now()
        first = Order(
            order_id=order["order_id"],
            placed_at=at,
            history=(Step(steps[0], at),),
            ordered=parse_order(json.dumps(order), order["order_id"]),
        )
        table.create(first)
        table.create(
            replace(
                first,
                order_id=_twin(order)["order_id"],
                status="confirmed",
                payment="charged",
                inventory="reserved",
                history=tuple(Step(step, at) for step in steps),
            )
        )


def _envelope(source: str, detail_type: str, detail: dict[str, Any]) -> Event:
    """An event as EventBridge hands it to a target."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": _ACCOUNT,
        "time": "2026-11-24T09:30:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


def _sqs_event(bodies: Sequence[Event]) -> Event:
    """An invocation by an SQS event source mapping."""
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "AQEB" + uuid.uuid4().hex * 8,
                "body": json.dumps(body),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1795512600123",
                    "SenderId": "AIDAEXAMPLE",
                    "ApproximateFirstReceiveTimestamp": "1795512600150",
                },
                "messageAttributes": {},
                "md5OfBody": uuid.uuid4().hex,
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:{_ACCOUNT}:queue",
                "awsRegion": "us-east-1",
            }
            for body in bodies
        ]
    }


def _request(order: dict[str, Any]) -> Event:
    """A request of the REST API, Lambda proxy integration."""
    headers = {"Content-Type": "application/json", "Host": "api.example"}
    return {
        "resource": "/orders",
        "path": "/orders",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "accountId": _ACCOUNT,
            "apiId": "api",
            "resourcePath": "/orders",
            "httpMethod": "POST",
            "path": "/live/orders",
            "protocol": "HTTP/1.1",
            "stage": "live",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": 1795512600123,
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": json.dumps(order),
        "isBase64Encoded": False,
    }
