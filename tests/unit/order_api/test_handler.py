from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from orders.aws.bus import Bus
from orders.order_api.handler import OrderApi
from support.lambdas import Context

CLIENT = boto3.client("events")
Logged = Callable[[], list[dict[str, Any]]]


def request(body: str | None, **fields: object) -> dict[str, Any]:
    return {"httpMethod": "POST", "resource": "/orders", "body": body, **fields}


@pytest.fixture
def events() -> Stubber:
    """EventBridge, answering as its documentation says; a call that is not expected fails."""
    return Stubber(CLIENT)


@pytest.fixture
def api() -> OrderApi:
    return OrderApi(Bus(CLIENT, "order-events"))


def test_a_valid_order_is_on_the_bus_before_it_is_accepted(api: OrderApi, events: Stubber) -> None:
    entry = {
        "EventBusName": "order-events",
        "Source": "com.myapp.orders",
        "DetailType": "order.placed",
        "Detail": '{"order_id":"order-1","amount":12.30,"currency":"USD","items":[]}',
    }
    taken = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
    events.add_response("put_events", taken, {"Entries": [entry]})
    with events:
        answer = api(request('{"order_id":"order-1","amount":12.30}'), Context())
    events.assert_no_pending_responses()
    assert answer["statusCode"] == 202
    assert answer["headers"]["Location"] == "/orders/order-1"
    assert json.loads(answer["body"]) == {"order_id": "order-1", "status": "placed"}


def test_a_base64_body_is_decoded(api: OrderApi, events: Stubber) -> None:
    events.add_response("put_events", {"FailedEntryCount": 0, "Entries": []}, {"Entries": ANY})
    body = base64.b64encode(b'{"amount":1}').decode()
    with events:
        assert api(request(body, isBase64Encoded=True), Context())["statusCode"] == 202


@pytest.mark.parametrize("body", ["%%%", base64.b64encode(b"\xff\xfe").decode(), "e30"])
def test_a_base64_body_that_is_none_is_refused(api: OrderApi, events: Stubber, body: str) -> None:
    with events:
        assert api(request(body, isBase64Encoded=True), Context())["statusCode"] == 400


@pytest.mark.parametrize("body", [None, "", "[]", '{"amount":-1}'])
def test_an_invalid_order_never_reaches_the_bus(
    api: OrderApi, events: Stubber, body: str | None
) -> None:
    with events:
        answer = api(request(body), Context())
    assert answer["statusCode"] == 400
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    problem = json.loads(answer["body"])
    assert (problem["type"], problem["status"]) == ("about:blank", 400)
    assert all(set(error) == {"field", "detail"} for error in problem["errors"])


def refuse_the_entry(events: Stubber) -> None:
    refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
    events.add_response("put_events", {"FailedEntryCount": 1, "Entries": [refused]})


def refuse_the_call(events: Stubber) -> None:
    events.add_client_error("put_events", "AccessDeniedException", http_status_code=400)


@pytest.mark.parametrize("refuse", [refuse_the_entry, refuse_the_call])
def test_a_bus_that_does_not_take_the_order_is_a_503(
    api: OrderApi,
    events: Stubber,
    refuse: Callable[[Stubber], None],
    logged: Logged,
) -> None:
    refuse(events)
    with events:
        answer = api(request('{"order_id":"a","amount":1}'), Context())
    assert answer["statusCode"] == 503
    assert int(answer["headers"]["Retry-After"]) > 0
    assert json.loads(answer["body"])["order_id"] == "a"
    assert logged()[-1]["message"] == "order not taken"
