"""The API as an OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from orderctl.contract.schemas import PLACE_ORDER, VERSION, build_schemas, inline, schema_of
from orders.events import OrderPlaced
from orders.order import Order

_COMPONENTS: Final = "#/components/schemas/"
_ONLY_INSIDE: Final = {"ordered", "fingerprint", "version"}
"""What an order's record has and the API does not show as it is."""

_RETRY: Final = {
    "Retry-After": {
        "description": "After how many seconds to send the same request again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_LOCATION: Final = {
    "Location": {
        "description": "The order's address, relative to the request's (RFC 9110, 10.2.2).",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    }
}
_ORDER_ID: Final = {"name": "order_id", "in": "path", "required": True}


def build_openapi() -> dict[str, Any]:
    """Build the OpenAPI document of the API, from the types of its bodies."""
    placed = build_schemas()[PLACE_ORDER]
    order_id = placed["properties"]["order_id"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Order API",
            "version": str(VERSION),
            "description": "Takes orders, shows how they stand, and takes requests to cancel them. "
            "A request that was not answered, or with 503, can be sent again as it is: "
            "it takes effect once.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{}, {"aws": []}, {"customer": []}],
        "paths": {
            "/orders": {"post": _place()},
            "/orders/{order_id}": {
                "parameters": [{**_ORDER_ID, "schema": order_id}],
                "get": _show(),
                "delete": _cancel(),
            },
        },
        "components": {
            "schemas": {**_schemas(), "PlaceOrder": inline(placed, _COMPONENTS)},
            "securitySchemes": {
                "aws": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4 (ApiAuthorization=AWS_IAM).",
                },
                "customer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of the user pool (ApiAuthorization=JWT).",
                },
            },
        },
    }


def _place() -> dict[str, Any]:
    return {
        "operationId": "placeOrder",
        "summary": "Place an order",
        "description": "The same order again has no second effect, and gets the same answer.",
        "requestBody": {"required": True, "content": _json("PlaceOrder")},
        "responses": {
            "202": {
                "description": "The order is taken, and is on the bus.",
                "headers": _LOCATION,
                "content": _json("Accepted"),
            },
            "400": _problem("The body is not an order: every fault, with its field.", "Invalid"),
            "403": _refused("It names another customer, or the caller may not call the API."),
            "409": _problem("A different order has this order_id."),
            **_not_served(),
        },
    }


def _show() -> dict[str, Any]:
    return {
        "operationId": "showOrder",
        "summary": "Show how an order stands",
        "responses": {
            "200": {"description": "How the order stands.", "content": _json("Order")},
            "403": _refused("The caller may not call the API."),
            "404": _problem("There is no such order, or it is another customer's."),
            **_not_served(),
        },
    }


def _cancel() -> dict[str, Any]:
    return {
        "operationId": "cancelOrder",
        "summary": "Ask for an order to be cancelled",
        "responses": {
            "202": {
                "description": "The cancel is requested; the order shows what became of it.",
                "headers": _LOCATION,
                "content": _json("CancelRequested"),
            },
            "403": _refused("The caller may not call the API."),
            "404": _problem("There is no such order, or it is another customer's."),
            "409": _problem("The order is confirmed already."),
            **_not_served(),
        },
    }


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _COMPONENTS + name}}}


def _problem(
    description: str, name: str = "Problem", headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An error as a problem document (RFC 9457)."""
    return {
        "description": description,
        **({"headers": headers} if headers else {}),
        "content": {"application/problem+json": {"schema": {"$ref": _COMPONENTS + name}}},
    }


def _refused(description: str) -> dict[str, Any]:
    """A 403 of the API's own, or of API Gateway, which answers in a form of its own."""
    return {
        "description": description,
        "content": {**_problem("")["content"], **_json("GatewayError")},
    }


def _not_served() -> dict[str, Any]:
    return {
        "429": {"description": "Too many requests a second.", "content": _json("GatewayError")},
        "503": _problem("AWS did not serve it. Send the same request again.", headers=_RETRY),
    }


def _schemas() -> dict[str, Any]:
    order, of_order = schema_of(Order)
    placed, of_placed = schema_of(OrderPlaced)
    shown = {k: v for k, v in order["properties"].items() if k not in _ONLY_INSIDE}
    order_id = placed["properties"]["order_id"]
    accepted = {"order_id": order_id, "status": {"const": "placed"}}
    requested = {**accepted, "status": shown["status"], "cancel": {"const": "requested"}}
    problem = {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "order_id": {"type": "string", "description": "As it was asked for."},
    }
    fault = {
        "field": {"type": "string", "description": "Such as items[0].sku; empty for the whole."},
        "detail": {"type": "string"},
    }
    faults = {"type": "array", "items": _object(fault), "minItems": 1}
    definitions = {name: of_order[name] for name in ("Step",)} | of_placed
    return {name: inline(schema, _COMPONENTS) for name, schema in definitions.items()} | {
        "Order": inline(
            _object({**shown, **placed["properties"]}, *shown, description="How an order stands."),
            _COMPONENTS,
        ),
        "Accepted": _object(accepted),
        "CancelRequested": _object(requested),
        "Problem": _object(problem, "type", "title", "status"),
        "Invalid": _object({**problem, "errors": faults}, "type", "title", "status", "errors"),
        "GatewayError": _object({"message": {"type": "string"}}, "message"),
    }


def _object(
    properties: dict[str, Any], *required: str, description: str | None = None
) -> dict[str, Any]:
    """An object with these fields; all are required unless some are named."""
    return {
        **({"description": description} if description else {}),
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
    }
