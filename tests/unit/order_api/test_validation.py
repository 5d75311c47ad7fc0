from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest

from orders.events import OrderLine, OrderPlaced
from orders.order_api import validation
from orders.order_api.validation import InvalidOrderError, parse_order


def faults(body: str) -> dict[str, str]:
    with pytest.raises(InvalidOrderError) as raised:
        parse_order(body, "made")
    return {fault.field: fault.detail for fault in raised.value.faults}


class TestAccepts:
    def test_the_seeds_order(self) -> None:
        order = parse_order('{"order_id":"order-1","amount":0}', "made")
        assert (order.order_id, order.amount, order.currency) == ("order-1", Decimal(0), "USD")

    def test_everything_at_once(self) -> None:
        body = {
            "order_id": "A.b_c-1",
            "amount": 12.34,
            "currency": "EUR",
            "customer_id": "Zoë 7",
            "items": [{"sku": "apple", "quantity": 2}, {"sku": "pear/1", "quantity": 1}],
        }
        order = parse_order(json.dumps(body), "made")
        assert order.amount == Decimal("12.34")
        assert order.items == (OrderLine("apple", 2), OrderLine("pear/1", 1))
        assert order.customer_id == "Zoë 7"

    def test_an_order_without_an_id_gets_one(self) -> None:
        assert parse_order('{"amount":1}', "made").order_id == "made"

    @pytest.mark.parametrize(
        ("written", "plain"),
        [("1", "1"), ("1.50", "1.50"), ("1.500", "1.50"), ("1E2", "100"), ("-0.0", "0")],
    )
    def test_an_amount_is_kept_to_the_digit(self, written: str, plain: str) -> None:
        assert str(parse_order(f'{{"amount":{written}}}', "made").amount) == plain

    def test_amounts_that_floats_cannot_hold(self) -> None:
        assert parse_order('{"amount":9999999999.99}', "x").amount == Decimal("9999999999.99")


class TestTheWholeBody:
    @pytest.mark.parametrize(
        "body",
        [
            "",
            "not JSON",
            "[]",
            '"text"',
            "null",
            "1",
            "{",
            '{"amount":1}{}',
            '{"amount":NaN}',
            '{"amount":Infinity}',
            '{"amount":-Infinity}',
            "[" * 60_000,
            '{"amount":' + "9" * 5_000 + "}",
            "x" * 1_000_000,
            '{"amount":1' + "\x00}",
            '{"order_id":"a\nb","amount":1}',
        ],
    )
    def test_that_is_no_order_is_one_fault(self, body: str) -> None:
        assert len(faults(body)) == 1

    def test_a_key_named_twice_is_named(self) -> None:
        body = '{"amount":1,"order_id":"a","order_id":"b"}'
        assert faults(body) == {"order_id": "must be named only once"}

    def test_a_key_named_twice_at_depth_is_named(self) -> None:
        body = '{"amount":1,"items":[{"sku":"a","sku":"b","quantity":1}]}'
        assert faults(body) == {"sku": "must be named only once"}


class TestNamesTheField:
    @pytest.mark.parametrize(
        "amount",
        [
            '"12"',
            "-1",
            "-0.01",
            "1.234",
            "1e400",
            "1e-3",
            "10000000000",
            "true",
            "null",
            "[]",
            "{}",
        ],
    )
    def test_amount(self, amount: str) -> None:
        told = faults(f'{{"amount":{amount}}}')
        assert list(told) == ["amount"]
        assert told["amount"].startswith(
            "must be a number from 0 to 9,999,999,999.99 with at most 2 decimals; got "
        )

    @pytest.mark.parametrize(
        "order_id",
        [
            "",
            "a" * 65,
            "a b",
            "ä",
            "a\n",
            "\x00",
            "a/b",
            ".",
            "..",
            "..\n",
            "\ud800",
            1,
            None,
            True,
            ["a"],
            {},
        ],
    )
    def test_order_id(self, order_id: object) -> None:
        told = faults(json.dumps({"order_id": order_id, "amount": 1}))
        assert list(told) == ["order_id"]
        assert "1 to 64 characters" in told["order_id"]

    @pytest.mark.parametrize("currency", ["usd", "US", "ZZZ", "USDX", "USD\n", 840, None, ["USD"]])
    def test_currency(self, currency: object) -> None:
        assert list(faults(json.dumps({"currency": currency, "amount": 1}))) == ["currency"]

    @pytest.mark.parametrize("customer", ["", "a" * 129, "a\x07b", "\udfff", "a\n", 7, None])
    def test_customer_id(self, customer: object) -> None:
        assert list(faults(json.dumps({"customer_id": customer, "amount": 1}))) == ["customer_id"]

    @pytest.mark.parametrize("items", [[], "x", {}, None, 1, [{"sku": "a", "quantity": 1}] * 21])
    def test_items(self, items: object) -> None:
        told = faults(json.dumps({"items": items, "amount": 1}))
        assert told["items"].startswith("must be a list of 1 to 20 {sku, quantity}")

    def test_lines_at_depth(self) -> None:
        lines = [
            {"sku": "apple", "quantity": 0},
            {"sku": "", "quantity": 1.5},
            {"quantity": True, "colour": "red"},
            "pear",
            {"sku": "apple", "quantity": 1},
        ]
        assert set(faults(json.dumps({"items": lines, "amount": 1}))) == {
            "items[0].quantity",
            "items[1].sku",
            "items[1].quantity",
            "items[2].sku",
            "items[2].quantity",
            "items[2].colour",
            "items[3]",
            "items[4].sku",
        }

    def test_all_the_faults_at_once(self) -> None:
        assert faults('{"order_id":"a b","currency":"x","amuont":1}') == {
            "amount": "is required: a number from 0 to 9,999,999,999.99 with at most 2 decimals",
            "order_id": "must be 1 to 64 characters of A-Z a-z 0-9 . _ -, but not . or .. alone; "
            'got "a b"',
            "currency": 'must be an ISO 4217 code of three capital letters, such as USD; got "x"',
            "amuont": f"is not a known field; known: {', '.join(OrderPlaced.__struct_fields__)}",
        }

    def test_a_long_value_is_cut_short(self) -> None:
        assert len(faults(json.dumps({"order_id": "x" * 10_000, "amount": 1}))["order_id"]) < 120

    def test_a_value_is_cut_after_forty_characters(self) -> None:
        for text, shown in (("x" * 38, '"' + "x" * 38 + '"'), ("x" * 39, '"' + "x" * 39 + "…")):
            told = faults(json.dumps({"currency": text, "amount": 1}))["currency"]
            assert told.endswith(f"got {shown}")

    def test_each_text_is_as_the_contract_has_it(self) -> None:
        body = {"amount": 1, "customer_id": "", "items": [1, {"sku": ["a"], "quantity": 1}], "ü": 1}
        assert faults(json.dumps(body)) == {
            "customer_id": 'must be 1 to 128 characters, none of them a control character; got ""',
            "items[0]": "must be an object {sku, quantity}; got 1",
            "items[1].sku": 'must be 1 to 64 printable ASCII characters without spaces; got ["a"]',
            "\\xfc": f"is not a known field; known: {', '.join(OrderPlaced.__struct_fields__)}",
        }

    def test_an_order_may_have_twenty_lines(self) -> None:
        lines = [{"sku": f"sku-{number}", "quantity": 1} for number in range(21)]
        assert len(parse_order(json.dumps({"amount": 1, "items": lines[:20]}), "a").items) == 20
        assert list(faults(json.dumps({"amount": 1, "items": lines}))) == ["items"]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ('{"amount":1' + " " * 65_525 + "}", "must be at most 65536 characters; got 65537"),
            ('{"amount":NaN}', "must be JSON: NaN is not a JSON number"),
            ("[]", "must be a JSON object; got []"),
        ],
    )
    def test_the_body_as_a_whole_has_no_name(self, body: str, told: str) -> None:
        assert faults(body) == {"": told}

    def test_the_largest_body_is_read(self) -> None:
        assert parse_order('{"amount":1' + " " * 65_524 + "}", "made").amount == 1

    def test_a_log_has_rules_and_known_names_alone(self) -> None:
        with pytest.raises(InvalidOrderError) as raised:
            parse_order('{"currency":"4111","4111":1}', "made")
        rule = "a number from 0 to 9,999,999,999.99 with at most 2 decimals"
        assert str(raised.value) == (
            f"amount: is required: {rule}; "
            "currency: must be an ISO 4217 code of three capital letters, such as USD; "
            "unknown field: is not a known field; known: "
            + ", ".join(OrderPlaced.__struct_fields__)
        )
        with pytest.raises(InvalidOrderError, match=r"^must be a JSON object$"):
            parse_order("1", "made")

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            (int, "int"),
            (Annotated[int, msgspec.Meta(ge=1)], "int"),
            (Annotated[int, ""], "int"),
            (int | str, "int | str"),
        ],
    )
    def test_a_field_without_a_description_has_its_type(
        self,
        kind: Any,  # noqa: ANN401 - any type of the contract
        name: str,
    ) -> None:
        assert validation._rule(kind) == f"of type {name}"


@pytest.mark.parametrize(("name", "is_known"), [("amount", True), ("sku", True), ("pin", False)])
def test_of_a_field_that_is_named_twice_it_is_known_whether_it_is_ours(
    name: str, is_known: bool
) -> None:
    """Whatever else a caller names is not logged."""
    with pytest.raises(InvalidOrderError) as caught:
        parse_order(f'{{"{name}": 1, "{name}": 1}}', "a")
    assert [fault.is_known for fault in caught.value.faults] == [is_known]
