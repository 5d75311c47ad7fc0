"""The commands that mend what an audit finds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from orders.audit.decisions import Finding, Kind, moment
from orders.clock import timestamp

if TYPE_CHECKING:
    from orders.audit.tables import TableNames

OF_STOCK: Final = (Kind.STOCK_OFF, Kind.OVERSOLD, Kind.LOST_SHELF)
"""To be mended first: what an order reserves anew must find the stock as it is."""
# What an order's records say is later than its events, and on another clock.
_BEFORE: Final = timedelta(minutes=5)
_AFTER: Final = timedelta(minutes=1)


def mend(finding: Finding, tables: TableNames, now: datetime) -> str:
    """The command that mends a finding, or shows what a person has to decide.

    Args:
        finding: what does not hold.
        tables: what the tables are called.
        now: up to when events can be replayed.
    """
    match finding.kind:
        case Kind.NOT_INDEXED:
            from orders.aws.order_table import unfinished_shard  # noqa: PLC0415 — slow to load

            key, change = ("order_id", finding.subject), "SET unfinished = :shard"
            values = {":shard": {"S": unfinished_shard(finding.subject)}}
            return _update(tables.order, key, change, values)
        case Kind.WRONGLY_INDEXED:
            key, change = ("order_id", finding.subject), "REMOVE unfinished"
            return _update(tables.order, key, change, {})
        case Kind.STOCK_OFF:
            key, change = ("sku", finding.subject), "SET available = available + :by"
            values = {":by": {"N": str(-finding.off_by)}}
            return _update(tables.stock, key, change, values)
        case Kind.OVERSOLD | Kind.LOST_SHELF:
            sku = shlex.quote(finding.subject)
            gather = f"shelves {sku} --count {max(finding.shelves, 1)}"
            return f"orderctl stock {f'set {sku}=0' if finding.kind is Kind.OVERSOLD else gather}"
    if finding.may_pass or finding.is_missing:
        first, last = moment(finding.since), moment(finding.until)
        if first and last:
            end = last + _AFTER
            until = f" --to {timestamp(end)}" if end < now else ""
            return f"orderctl replay --from {timestamp(first - _BEFORE)}{until}"
    return f"orderctl trace {shlex.quote(finding.subject)}"


def _update(
    table: str, key: tuple[str, str], change: str, values: Mapping[str, Mapping[str, str]]
) -> str:
    name, value = key
    options = {
        "table-name": table,
        "key": json.dumps({name: {"S": value}}),
        "update-expression": change,
        "condition-expression": f"attribute_exists({name})",
        **({"expression-attribute-values": json.dumps(values)} if values else {}),
    }
    return "aws dynamodb update-item " + " ".join(
        f"--{option} {shlex.quote(text)}" for option, text in options.items()
    )
