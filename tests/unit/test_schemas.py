"""docs/schemas is what src/orders/events.py says, and what really goes over the wire fits it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.jsonschema import StandardValidator

from orderctl.commands import schemas
from orderctl.commands.schemas import DIRECTORY, build_texts, find_all_breaks, find_outdated, text
from orderctl.contract.schemas import VERSION, build_schemas
from orderctl.errors import OrderctlError
from orders import events
from orders.events import ROUTING, Notice, OrderUpdate, encode
from orders.order_api.validation import InvalidOrderError, parse_order
from support.examples import EXAMPLES

SCHEMAS = DIRECTORY / f"v{VERSION}"


def faults(name: str, document: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """What the schema on file has against a document."""
    validator = StandardValidator(json.loads((SCHEMAS / f"{name}.json").read_text()))
    # Without this a text that looks like a number is one, as it is in CloudFormation.
    strict = validator.evolve(context=validator.context.evolve(strict_types=True))
    return [f"{list(error.path)}: {error.message}" for error in strict.iter_errors(document)]


def name_of(example: events.Announcement | OrderUpdate) -> str:
    return "order-update" if isinstance(example, OrderUpdate) else example.detail_type


def test_the_schemas_on_file_are_those_of_the_contract() -> None:
    assert not find_outdated(build_texts(), DIRECTORY), "run: make schemas"
    assert not list(find_all_breaks(DIRECTORY))


def test_every_event_has_a_schema() -> None:
    named = {detail_type for _, detail_type in ROUTING.values()}
    assert build_schemas().keys() == named | {"order-update", "place-order"}
    assert {name_of(example) for example in EXAMPLES} == named | {"order-update"}


@pytest.mark.parametrize("name", build_schemas())
def test_every_schema_says_what_it_is(name: str) -> None:
    schema = build_schemas()[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith(f"/{name}.json")
    assert schema["title"]
    assert schema["description"]
    assert "``" not in text(schema)
    amount = schema["properties"].get("amount")
    assert amount is None or amount["type"] == "number"


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_what_is_published_fits_its_schema(example: events.Announcement | OrderUpdate) -> None:
    document = json.loads(encode(example))
    assert faults(name_of(example), document) == []
    assert faults(name_of(example), {**document, "a field of tomorrow": 1}) == []
    is_of_an_order = not isinstance(example, Notice)
    assert bool(faults(name_of(example), {**document, "order_id": "a b"})) == is_of_an_order
    assert faults(name_of(example), {})


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 0},
        {"amount": 12.5, "order_id": "a"},
        {
            "amount": 1,
            "currency": "EUR",
            "customer_id": "c",
            "items": [{"sku": "a", "quantity": 1}],
        },
    ],
)
def test_a_body_the_api_takes_fits_its_schema(body: dict[str, Any]) -> None:
    assert parse_order(json.dumps(body), "made")
    assert faults("place-order", body) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"amount": "12"},
        {"amount": -1},
        {"amount": True},
        {"amount": 1, "x": 1},
        {"amount": 1, "order_id": ""},
        {"amount": 1, "order_id": "a\n"},
        {"amount": 1, "currency": "XXX"},
        {"amount": 1, "currency": "usd"},
        {"amount": 1, "customer_id": ""},
        {"amount": 1, "items": []},
        {"amount": 1, "items": [{"sku": "a"}]},
        {"amount": 1, "items": [{"sku": "a", "quantity": 0}]},
        {"amount": 1, "items": [{"sku": "a", "quantity": 1, "x": 1}]},
        {"amount": 1, "items": [{"sku": f"{n}", "quantity": 1} for n in range(21)]},
    ],
)
def test_a_body_the_api_refuses_does_not(body: Any) -> None:  # noqa: ANN401 - any JSON value
    with pytest.raises(InvalidOrderError):
        parse_order(json.dumps(body), "made")
    assert faults("place-order", body)


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(schemas, "DIRECTORY", tmp_path / "schemas")
        monkeypatch.setattr(schemas, "REFERENCE", tmp_path / "json.md")
        (tmp_path / "schemas").mkdir()
        return tmp_path / "schemas"

    def test_writes_what_is_missing_and_removes_what_is_no_more(self, directory: Path) -> None:
        (directory / "forgotten.json").write_text("{}")
        schemas.schemas(check=False)
        assert {path.stem for path in (directory / "v1").iterdir()} == build_schemas().keys()
        assert {path.name for path in directory.glob("*.json")} == {"openapi.json", "asyncapi.json"}
        schemas.schemas(check=True)

    def test_check_names_what_has_drifted_and_changes_nothing(self, directory: Path) -> None:
        schemas.schemas(check=False)
        (directory / "asyncapi.json").write_text("{}")
        (directory / "v1" / "place-order.json").unlink()
        with pytest.raises(OrderctlError) as caught:
            schemas.schemas(check=True)
        assert re.search(r"/asyncapi.json, \S*/v1/place-order.json[,.]", str(caught.value))
        assert str(caught.value).endswith("Run: make schemas")
        assert (directory / "asyncapi.json").read_text() == "{}"

    def test_a_field_that_was_removed_is_named_and_nothing_is_written(
        self, directory: Path
    ) -> None:
        schemas.schemas(check=False)
        path = directory / "v1" / "order.placed.json"
        before = json.loads(path.read_text())
        before["properties"]["wrapping"] = {"type": "string"}
        path.write_text(json.dumps(before))
        (directory / "openapi.json").unlink()
        for check in (True, False):
            with pytest.raises(OrderctlError, match=r"order\.placed: wrapping: is removed"):
                schemas.schemas(check=check)
        assert not (directory / "openapi.json").exists()

    def test_an_event_that_is_published_no_more_is_named(self, directory: Path) -> None:
        (directory / "v1").mkdir()
        (directory / "v1" / "order.shipped.json").write_text("{}")
        with pytest.raises(OrderctlError, match=r"order\.shipped: is removed"):
            schemas.schemas(check=True)
