"""A copy of an item is equal to it, and shares nothing that can change."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from orderctl.localcloud.gaps.dynamodb.copies import copied


def test_a_copy_shares_nothing_that_can_change() -> None:
    item = {"id": {"S": "a"}, "lines": {"L": [{"M": {"n": {"N": "1"}}}]}, "raw": {"B": b"x"}}
    copy = copied(item)
    assert copy == item
    copy["lines"]["L"][0]["M"]["n"]["N"] = "2"
    copy["lines"]["L"].append({})
    assert item["lines"] == {"L": [{"M": {"n": {"N": "1"}}}]}


def test_what_is_no_json_is_copied_too() -> None:
    tables = defaultdict(dict, {"a": {"size": Decimal(1), "keys": ({"b": [1]},), "set": {1}}})
    copy = copied(tables)
    assert copy == tables
    assert type(copy) is defaultdict
    copy["a"]["keys"][0]["b"].append(2)
    copy["a"]["set"].add(2)
    assert tables["a"]["keys"] == ({"b": [1]},)
    assert tables["a"]["set"] == {1}
