"""`orderctl schemas`: writes the contract as JSON Schemas, and the reference of the JSON output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from orderctl import paths
from orderctl.commands import app, load
from orderctl.errors import OrderctlError
from orderctl.terminal import console, json_reference
from orders.events import CURRENCIES, ROUTING, OrderPlaced, OrderUpdate, Time

DIRECTORY = paths.ROOT / "docs" / "schemas"
REFERENCE = paths.ROOT / "docs" / "json.md"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# The prefix of the schemas' ids. Nobody can own this domain, and nothing is fetched from it.
_ID = "https://orders.example/schemas/"
_AT = "when it was published, to the millisecond; EventBridge's own time has whole seconds"


@app.command(help_epilogue="Example: orderctl schemas --check")
def schemas(*, check: bool = False) -> None:
    """Write the JSON Schemas of events and of the API's body, and docs/json.md, in a checkout.

    Args:
        check: Only check whether they are up to date.

    Raises:
        OrderctlError: With --check, some are out of date.
    """
    if not paths.IS_CHECKOUT:
        raise OrderctlError("This is not a checkout of the project, so there are no docs to write.")
    texts = {f"{name}.json": text(schema) for name, schema in build_schemas().items()}
    outdated = find_outdated(texts, DIRECTORY)
    reference = json_reference.write(load())
    is_new = not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != reference
    where = paths.display_path(DIRECTORY)
    if check and (outdated or is_new):
        files = [f"{where}/{name}" for name in outdated] + [paths.display_path(REFERENCE)] * is_new
        raise OrderctlError(f"Out of date with the code: {', '.join(files)}. Run: make schemas")
    if not check:
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        for name in outdated:
            if name in texts:
                (DIRECTORY / name).write_text(texts[name])
            else:
                (DIRECTORY / name).unlink()
        REFERENCE.write_text(reference, encoding="utf-8")
    changed = f", {len(outdated)} of them changed" if outdated else ""
    console.out().print(f"{len(texts)} schemas in {where} are up to date{changed}.")
    console.out().print(f"{paths.display_path(REFERENCE)} is up to date, too.")


def find_outdated(texts: Mapping[str, str], directory: Path) -> list[str]:
    """The files that are out of date, missing, or no longer needed.

    Args:
        texts: What should be there, by file name.
        directory: Where.
    """
    there = {path.name: path.read_text() for path in directory.glob("*.json")}
    return sorted(
        name for name in texts.keys() | there.keys() if texts.get(name) != there.get(name)
    )


def text(schema: Mapping[str, Any]) -> str:
    """A schema as its file contains it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def build_schemas() -> dict[str, dict[str, Any]]:
    """Build every schema, by its name: of each event's detail, the order update, the API's body."""
    found = {
        detail_type: _event(detail_type, detail, f"Source: `{source}`.")
        for detail, (source, detail_type) in ROUTING.items()
    }
    found["order-update"] = _document("order-update", "order update", OrderUpdate)
    found["place-order"] = _place_order()
    return found


def _event(detail_type: str, detail: type[msgspec.Struct], remark: str) -> dict[str, Any]:
    """The detail of an event: what its kind says, and the time that is published with it."""
    schema = _document(detail_type, detail_type, detail, remark)
    at = {**msgspec.json.schema(Time), "description": _AT}
    return {**schema, "properties": {**schema["properties"], "at": at}}


def _place_order() -> dict[str, Any]:
    """The body of `POST /orders`: as `order.placed`, but strict and with an optional order id."""
    schema = _document("place-order", "POST /orders", OrderPlaced)
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
    generated = _plain(msgspec.json.schema(kind))
    definitions = generated["$defs"]
    root = definitions.pop(kind.__name__)
    return {
        "$schema": _DIALECT,
        "$id": f"{_ID}{name}.json",
        **root,
        "title": title,
        "description": f"{root['description']} {remark}".strip(),
        **({"$defs": definitions} if definitions else {}),
    }


def _plain(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A schema as our JSON is: decimals are numbers, and descriptions have no Python markup."""
    match schema:
        case {"type": "string", "format": "decimal", **rest}:
            return _plain({"type": "number", **rest})
        case dict():
            return {name: _plain(value) for name, value in schema.items()}
        case list():
            return [_plain(value) for value in schema]
        case str():
            return schema.replace("``", "`")
        case _:
            return schema
