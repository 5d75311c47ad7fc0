from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from msgspec.structs import replace

from orders.aws.order_table import OrderTable
from orders.order import Order
from orders.order_api.handler import OrderApi
from support.aws import Refused, line
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from support.aws import TappedBus

Logged = Callable[[], list[dict[str, Any]]]


def post(body: str | None, **fields: object) -> dict[str, Any]:
    return {"httpMethod": "POST", "resource": "/orders", "body": body, **fields}


def on_order(method: str, order_id: str) -> dict[str, Any]:
    return {"httpMethod": method, "pathParameters": {"order_id": order_id}, "body": None}


@pytest.fixture
def api(dynamodb: DynamoDBClient, tap: TappedBus) -> OrderApi:
    numbers = itertools.count(1)
    return OrderApi(
        OrderTable(dynamodb, "orders"),
        tap.bus,
        now=lambda: "2026-08-18T09:30:00.000Z",
        new_order_id=lambda: f"made-{next(numbers)}",
    )


def change(api: OrderApi, order_id: str, **changes: Any) -> None:  # noqa: ANN401
    """Write what the tracker would."""
    order = api.orders.get(order_id)
    assert order is not None
    assert api.orders.write([replace(order, **changes)], Context()) == {}


class TestPlace:
    def test_an_order_is_recorded_and_on_the_bus_before_it_is_accepted(
        self, api: OrderApi, tap: TappedBus
    ) -> None:
        answer = api(post('{"order_id":"order-1","amount":12.34}'), Context())
        assert answer["statusCode"] == 202
        assert json.loads(answer["body"]) == {"order_id": "order-1", "status": "placed"}
        detail = {"order_id": "order-1", "amount": 12.34, "currency": "USD", "items": []}
        ((detail_type, published),) = tap.take()
        assert detail_type == "order.placed"
        assert published.items() >= detail.items()
        recorded = api.orders.get("order-1")
        assert recorded is not None
        assert (recorded.status, str(recorded.ordered.amount if recorded.ordered else "")) == (
            "placed",
            "12.34",
        )

    def test_an_order_without_an_id_gets_one(self, api: OrderApi) -> None:
        answer = api(post('{"amount":1}'), Context())
        assert json.loads(answer["body"])["order_id"] == "made-1"

    def test_the_same_order_again_gets_the_same_answer(self, api: OrderApi) -> None:
        body = '{"order_id":"a","amount":1,"items":[{"sku":"x","quantity":2}],"customer_id":"c"}'
        first = api(post(body), Context())
        assert api(post(body.replace('"amount":1,', '"amount":1.00,')), Context()) == first

    def test_the_same_order_again_has_no_effect_once_it_is_on_its_way(
        self, api: OrderApi, tap: TappedBus
    ) -> None:
        api(post('{"order_id":"a","amount":1}'), Context())
        change(api, "a", payment="charged")
        tap.take()
        assert api(post('{"order_id":"a","amount":1}'), Context())["statusCode"] == 202
        assert tap.take() == []

    def test_a_repeated_order_too_is_looked_up_before_it_is_published(
        self, api: OrderApi, dynamodb: DynamoDBClient, tap: TappedBus
    ) -> None:
        """Published first, another order under its id would be on the bus before it is refused."""
        calls: list[str] = []
        line(dynamodb).before("PutItem", lambda _: calls.append("PutItem"))
        line(tap.client).before("PutEvents", lambda _: calls.append("PutEvents"))
        for _ in range(2):
            api(post('{"order_id":"a","amount":1}'), Context())
        assert calls == ["PutItem", "PutEvents"] * 2

    @pytest.mark.parametrize("path", ["/orders", "/prod/orders", "/shop/v1/orders", "/x/orders/"])
    def test_location_leads_to_the_order_whatever_the_base_path(
        self, api: OrderApi, path: str
    ) -> None:
        event = post('{"order_id":"a","amount":1}', path="/orders", requestContext={"path": path})
        for _ in range(2):  # the same answer to a repeated call
            location = api(event, Context())["headers"]["Location"]
            expected = f"https://api.example{path.rstrip('/')}/a"
            assert urljoin(f"https://api.example{path}", location) == expected

    @pytest.mark.parametrize(
        "other",
        [
            '"amount":2',
            '"amount":1,"currency":"EUR"',
            '"amount":1,"customer_id":"c"',
            '"amount":1,"items":[{"sku":"x","quantity":1}]',
        ],
    )
    def test_a_different_order_under_a_taken_id_is_a_409(
        self, api: OrderApi, tap: TappedBus, other: str
    ) -> None:
        api(post('{"order_id":"a","amount":1}'), Context())
        tap.take()
        answer = api(post(f'{{"order_id":"a",{other}}}'), Context())
        assert answer["statusCode"] == 409
        assert "a is taken" in json.loads(answer["body"])["detail"]
        assert tap.take() == []

    def test_an_id_that_another_publisher_used_is_a_409(self, api: OrderApi) -> None:
        api.orders.write([Order(order_id="a", placed_at="t", payment="charged")], Context())
        assert api(post('{"order_id":"a","amount":1}'), Context())["statusCode"] == 409

    def test_a_refused_publish_is_a_503_that_the_same_call_mends(
        self, api: OrderApi, tap: TappedBus, logged: Logged
    ) -> None:
        def refuse(parsed: dict[str, Any]) -> None:
            parsed.update(FailedEntryCount=1, Entries=[{"ErrorCode": "ThrottlingException"}])

        line(tap.client).after("PutEvents", refuse)
        answer = api(post('{"order_id":"a","amount":1}'), Context())
        assert answer["statusCode"] == 503
        assert int(answer["headers"]["Retry-After"]) > 0
        assert "ThrottlingException from PutEvents" in logged()[-1]["reason"]
        line(tap.client).forget("PutEvents")
        tap.take()
        assert api(post('{"order_id":"a","amount":1}'), Context())["statusCode"] == 202
        assert [detail_type for detail_type, _ in tap.take()] == ["order.placed"]

    def test_a_refused_record_is_a_503_and_nothing_is_published(
        self, api: OrderApi, dynamodb: DynamoDBClient, tap: TappedBus
    ) -> None:
        def refuse(_: object) -> None:
            raise Refused("ThrottlingException")

        line(dynamodb).before("PutItem", refuse)
        assert api(post('{"order_id":"a","amount":1}'), Context())["statusCode"] == 503
        assert tap.take() == []

    def test_a_base64_body_is_decoded(self, api: OrderApi) -> None:
        body = base64.b64encode(b'{"amount":1}').decode()
        assert api(post(body, isBase64Encoded=True), Context())["statusCode"] == 202

    @pytest.mark.parametrize("body", ["%%%", base64.b64encode(b"\xff\xfe").decode(), "e30", "ä"])
    def test_a_base64_body_that_is_none_is_refused(self, api: OrderApi, body: str) -> None:
        assert api(post(body, isBase64Encoded=True), Context())["statusCode"] == 400

    @pytest.mark.parametrize("body", [None, "", "[]", '{"order_id":"a","amount":-1}'])
    def test_an_invalid_order_is_neither_recorded_nor_published(
        self, api: OrderApi, tap: TappedBus, body: str | None
    ) -> None:
        answer = api(post(body), Context())
        assert answer["statusCode"] == 400
        assert answer["headers"]["Content-Type"] == "application/problem+json"
        problem = json.loads(answer["body"])
        assert (problem["type"], problem["status"]) == ("about:blank", 400)
        assert all(set(error) == {"field", "detail"} for error in problem["errors"])
        assert (tap.take(), api.orders.get("a")) == ([], None)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "order_id",
    [
        "a" * 2049,
        "a" * 65,
        "a%0A",
        "a%20b",
        "%ff",
        "%ed%a0%80",
        "\ud800",
        ".",
        "..",
        "%2e%2e",
    ],
)
def test_an_id_that_no_order_can_have_is_a_404_without_a_call(
    api: OrderApi, dynamodb: DynamoDBClient, method: str, order_id: str
) -> None:
    def refuse(_: object) -> None:
        raise Refused("ValidationException")

    line(dynamodb).before("GetItem", refuse)
    assert api(on_order(method, order_id), Context())["statusCode"] == 404


class TestShow:
    def test_an_order_with_what_was_ordered_and_what_happened(self, api: OrderApi) -> None:
        api(post('{"order_id":"a","amount":12.34,"items":[{"sku":"x","quantity":2}]}'), Context())
        answer = api(on_order("GET", "a"), Context())
        assert answer["statusCode"] == 200
        assert '"amount":12.34' in answer["body"], "exact to the digit"
        assert (
            json.loads(answer["body"]).items()
            >= {
                "order_id": "a",
                "status": "placed",
                "amount": 12.34,
                "currency": "USD",
                "items": [{"sku": "x", "quantity": 2}],
                "payment": None,
                "inventory": None,
                "reason": None,
                "placed_at": "2026-08-18T09:30:00.000Z",
                "history": [{"type": "order.placed", "at": "2026-08-18T09:30:00.000Z"}],
            }.items()
        )

    def test_an_unknown_order_is_a_404(self, api: OrderApi) -> None:
        assert api(on_order("GET", "nobody"), Context())["statusCode"] == 404


class TestCancel:
    def test_a_pending_order_asks_the_tracker(self, api: OrderApi, tap: TappedBus) -> None:
        api(post('{"order_id":"a","amount":1}'), Context())
        tap.take()
        answer = api(on_order("DELETE", "a"), Context())
        assert answer["statusCode"] == 202
        assert [(t, d["order_id"]) for t, d in tap.take()] == [("order.cancel_requested", "a")]

    @pytest.mark.parametrize("path", ["/orders/a", "/prod/orders/a", "/shop/v1/orders/a/"])
    def test_location_leads_to_the_order_whatever_the_base_path(
        self, api: OrderApi, path: str
    ) -> None:
        api(post('{"order_id":"a","amount":1}'), Context())
        event = {**on_order("DELETE", "a"), "requestContext": {"path": path}}
        location = api(event, Context())["headers"]["Location"]
        expected = f"https://api.example{path.rstrip('/')}"
        assert urljoin(f"https://api.example{path}", location) == expected

    def test_only_slashes_at_the_end_of_the_path_are_steps(self, api: OrderApi) -> None:
        api(post('{"order_id":"BOX","amount":1}'), Context())
        event = {**on_order("DELETE", "BOX"), "path": "/orders/BOX"}
        assert api(event, Context())["headers"]["Location"] == "../orders/BOX"

    def test_a_confirmed_order_is_a_409(self, api: OrderApi, tap: TappedBus) -> None:
        api(post('{"order_id":"a","amount":1}'), Context())
        change(api, "a", status="confirmed")
        tap.take()
        assert api(on_order("DELETE", "a"), Context())["statusCode"] == 409
        assert tap.take() == []

    def test_a_cancelled_order_stays_cancelled(self, api: OrderApi, tap: TappedBus) -> None:
        api(post('{"order_id":"a","amount":1}'), Context())
        change(api, "a", status="cancelled")
        tap.take()
        answer = api(on_order("DELETE", "a"), Context())
        assert (answer["statusCode"], json.loads(answer["body"])["status"]) == (202, "cancelled")
        assert tap.take() == []

    def test_an_unknown_order_is_a_404(self, api: OrderApi) -> None:
        assert api(on_order("DELETE", "nobody"), Context())["statusCode"] == 404


class TestWhatIsToldOfIt:
    """Counted and logged: nobody sees these but the operators."""

    def test_each_answer_is_counted(
        self, api: OrderApi, tap: TappedBus, metered: Callable[[], dict[str, int]]
    ) -> None:
        api(post('{"order_id":"a","amount":1}'), Context())
        assert metered() == {"OrdersPlaced": 1}
        api(post("{}"), Context())
        assert metered() == {"OrdersInvalid": 1}

        def refuse(_: object) -> None:
            raise Refused("AccessDeniedException")

        line(tap.client).before("PutEvents", refuse)
        api(post('{"order_id":"b","amount":1}'), Context())
        assert metered() == {"RequestsNotServed": 1}

    def test_what_was_not_served_names_its_order_and_its_invocation(
        self, api: OrderApi, dynamodb: DynamoDBClient, logged: Logged
    ) -> None:
        def refuse(_: object) -> None:
            raise Refused("AccessDeniedException")

        line(dynamodb).before("GetItem", refuse)
        api(on_order("GET", "order-1"), Context(aws_request_id="r7"))
        (told,) = logged()
        assert (told["order_id"], told["request_id"]) == ("order-1", "r7")
        line(dynamodb).before("PutItem", refuse)
        api(post('{"order_id":"a","amount":1}'), Context())
        (told,) = logged()
        assert "order_id" not in told, "the path names none"


@pytest.mark.parametrize(
    "known", [{"payment": "charged"}, {"inventory": "reserved"}, {"status": "cancelled"}], ids=str
)
def test_an_order_that_was_heard_of_is_not_published_again(
    api: OrderApi, tap: TappedBus, known: dict[str, Any]
) -> None:
    body = '{"order_id":"a","amount":1}'
    api(post(body), Context())
    tap.take()
    change(api, "a", **known)
    assert api(post(body), Context())["statusCode"] == 202
    assert tap.take() == []


@pytest.mark.parametrize(
    ("event", "location"),
    [
        ({"path": "/orders/"}, "../orders/a"),
        ({"path": "/orders"}, "orders/a"),
        ({"requestContext": {"path": "/prod/orders//"}, "path": "/orders"}, "../../orders/a"),
        ({}, "../orders/a"),
    ],
)
def test_a_location_is_relative_to_the_path_that_was_called(
    api: OrderApi, event: dict[str, Any], location: str
) -> None:
    answer = api(post('{"order_id":"a","amount":1}', **event), Context())
    assert answer["headers"]["Location"] == location


@pytest.mark.parametrize("body", ["e30", "e30=!", "e!30=", "/w=="])
def test_a_body_that_is_no_text_says_so(api: OrderApi, body: str) -> None:
    answer = api(post(body, isBase64Encoded=True), Context())
    assert answer["statusCode"] == 400
    faults = json.loads(answer["body"])["errors"]
    assert faults == [{"field": "", "detail": "must be UTF-8 text"}]
