"""The contract as JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from orders.events import CURRENCIES, ROUTING, OrderPlaced, OrderUpdate, Time

VERSION: Final = 1
"""The contract's. Only a change that breaks it, as `compatibility` says, makes a new one."""

PLACE_ORDER: Final = "place-order"
ORDER_UPDATE: Final = "order-update"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# The prefix of the schemas' ids. Nobody can own this domain, and nothing is fetched from it.
_ID: Final = f"https://orders.example/schemas/v{VERSION}/"
_AT: Final = "when it was published, to the millisecond; EventBridge's own time has whole seconds"
_SURROGATES: Final = r"\ud800-\udfff"


def build_schemas() -> dict[str, dict[str, Any]]:
    """Build every schema, by its name: of each event's detail, the order update, the API's body."""
    found = {
        detail_type: _event(detail_type, detail, f"Source: `{source}`.")
        for detail, (source, detail_type) in ROUTING.items()
    }
    found[ORDER_UPDATE] = _document(ORDER_UPDATE, "order update", OrderUpdate)
    found[PLACE_ORDER] = _place_order()
    return found


def schema_of(kind: type[msgspec.Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a type, and those of the types that it refers to, by name."""
    generated = _plain(msgspec.json.schema(kind))
    definitions = generated["$defs"]
    return definitions.pop(kind.__name__), definitions


def _event(detail_type: str, detail: type[msgspec.Struct], remark: str) -> dict[str, Any]:
    """The detail of an event: what its kind says, and the time that is published with it."""
    schema = _document(detail_type, detail_type, detail, remark)
    at = {**msgspec.json.schema(Time), "description": _AT}
    return {**schema, "properties": {**schema["properties"], "at": at}}


def _place_order() -> dict[str, Any]:
    """The body of `POST /orders`: as `order.placed`, but strict and with an optional order id."""
    schema = _document(PLACE_ORDER, "POST /orders", OrderPlaced)
    schema["description"] = "An order as the API takes it; without an order_id it is given one."
    schema["required"].remove("order_id")
    properties = schema["properties"]
    properties["currency"] = {
        **{k: v for k, v in properties["currency"].items() if k != "pattern"},
        "enum": sorted(CURRENCIES),
    }
    del properties["items"]["default"]
    properties["items"]["minItems"] = 1
    for objects in (schema, *schema["$defs"].values()):
        objects["additionalProperties"] = False
    return schema


def _document(
    name: str, title: str, kind: type[msgspec.Struct], remark: str = ""
) -> dict[str, Any]:
    root, definitions = schema_of(kind)
    return {
        "$schema": _DIALECT,
        "$id": f"{_ID}{name}.json",
        **root,
        "title": title,
        "description": f"{root['description']} {remark}".strip(),
        **({"$defs": definitions} if definitions else {}),
    }


def _plain(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A schema as our JSON is: decimals are numbers, and descriptions have no Python markup.

    No JSON in UTF-8 has a lone surrogate, and the regular expressions of many languages cannot name
    one.
    """
    match schema:
        case {"type": "string", "format": "decimal", **rest}:
            return _plain({"type": "number", **rest})
        case {"pattern": str(pattern), **rest} if _SURROGATES in pattern:
            others = pattern.replace(_SURROGATES, "")
            return _plain(rest if "[^]" in others else {**rest, "pattern": others})
        case dict():
            return {name: _plain(value) for name, value in schema.items()}
        case list():
            return [_plain(value) for value in schema]
        case str():
            return schema.replace("``", "`")
        case _:
            return schema


def inline(schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A schema as a part of a larger document.

    Args:
        schema: one of `build_schemas`.
        place: where the schemas it refers to stand in that document, such as
            `#/components/schemas/`.
    """
    kept = {k: v for k, v in schema.items() if k not in {"$schema", "$id", "$defs"}}
    return {name: _moved(value, place) for name, value in kept.items()}


def _moved(schema: Any, place: str) -> Any:  # noqa: ANN401 - any JSON value
    match schema:
        case {"$ref": str(target), **rest}:
            return {"$ref": place + target.removeprefix("#/$defs/"), **rest}
        case dict():
            return {name: _moved(value, place) for name, value in schema.items()}
        case list():
            return [_moved(value, place) for value in schema]
        case _:
            return schema
