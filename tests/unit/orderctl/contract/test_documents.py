"""OpenAPI and AsyncAPI: they hold together, and what the API answers fits them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from cfnlint.jsonschema import StandardValidator

from orderctl.contract.asyncapi import build_asyncapi
from orderctl.contract.openapi import build_openapi
from orders.events import ROUTING, OrderLine, OrderPlaced
from orders.order import Order, Step
from orders.order_api import responses
from orders.order_api.responses import Response
from orders.order_api.validation import Fault

# With every field: to cfn-lint's validator a field that is null is missing.
ORDER = Order(
    order_id="a",
    placed_at="2026-08-18T09:30:00.123Z",
    status="cancelled",
    payment="declined",
    inventory="released",
    reason="expired",
    history=(Step("order.placed", "2026-08-18T09:30:00.123Z"), Step("x", "t", "expired")),
    ordered=OrderPlaced(order_id="a", amount=Decimal("1.50"), items=(OrderLine("mug", 1),)),
)
ANSWERS = {
    "post": [
        responses.order_accepted("a", "orders"),
        responses.order_invalid([Fault("items[0].sku", "is required")]),
        responses.forbidden("It names another customer."),
        responses.order_id_taken("a"),
        responses.unavailable(),
    ],
    "get": [
        responses.order_status(ORDER),
        responses.order_unknown("\x84"),
        responses.forbidden("no"),
        responses.unavailable(),
    ],
    "delete": [
        responses.cancel_accepted(ORDER, "../orders"),
        responses.order_unknown("a b"),
        responses.too_late("a"),
        responses.unavailable(),
    ],
}


def references(document: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        for value in document.values():
            yield from references(value)
    elif isinstance(document, list):
        for value in document:
            yield from references(value)


def target(document: Any, reference: str) -> Any:  # noqa: ANN401 - any JSON value
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


@pytest.mark.parametrize("document", [build_openapi(), build_asyncapi()], ids=["open", "async"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    assert all(target(document, reference) for reference in found)


@pytest.mark.parametrize(
    ("method", "answer"),
    [(method, answer) for method, answers in ANSWERS.items() for answer in answers],
    ids=lambda value: value if isinstance(value, str) else str(value["statusCode"]),
)
def test_an_answer_of_the_api_fits_the_document(method: str, answer: Response) -> None:
    document = build_openapi()
    path = "/orders" if method == "post" else "/orders/{order_id}"
    described = document["paths"][path][method]["responses"][str(answer["statusCode"])]
    assert described.get("headers", {}).keys() <= answer["headers"].keys()
    schema = described["content"][answer["headers"]["Content-Type"]]["schema"]
    validator = StandardValidator({**schema, "components": document["components"]})
    strict = validator.evolve(context=validator.context.evolve(strict_types=True))
    assert [error.message for error in strict.iter_errors(json.loads(answer["body"]))] == []
    assert [error.message for error in strict.iter_errors({})]


def test_each_status_of_our_own_is_tried() -> None:
    by_the_gateway = {"429", "403"}
    for path in build_openapi()["paths"].values():
        for method, operation in path.items():
            if method in ANSWERS:
                tried = {str(answer["statusCode"]) for answer in ANSWERS[method]}
                assert operation["responses"].keys() - by_the_gateway == tried - by_the_gateway


def test_each_event_is_a_message_of_the_bus_that_its_source_publishes() -> None:
    document = build_asyncapi()
    assert document["channels"]["order-events"]["messages"].keys() == {
        detail_type for _, detail_type in ROUTING.values()
    }
    for source, detail_type in ROUTING.values():
        reference = {"$ref": f"#/channels/order-events/messages/{detail_type}"}
        assert reference in document["operations"][source]["messages"]
