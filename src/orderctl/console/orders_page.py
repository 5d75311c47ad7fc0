"""The page of the orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import htpy as h
from htpy import Element, Node
from starlette.datastructures import QueryParams
from starlette.requests import Request

from orderctl.console.collector import Pipelines
from orderctl.console.texts import count, short
from orderctl.pipeline import reading
from orderctl.terminal.order_texts import amount, items

A_PAGE: Final = 50
_AGES: Final = {"": "any age", "1": "over a minute", "10": "over 10 minutes", "60": "over an hour"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for."""

    text: str = ""
    sku: str = ""
    reason: str = ""
    older_minutes: str = ""
    page: int = 1

    @classmethod
    def of(cls, query: QueryParams) -> Filters:
        """Read them from an address; what makes no sense is left out."""
        page = query.get("page", "")
        age = query.get("age", "")
        return cls(
            text=query.get("text", "").strip(),
            sku=query.get("sku", "").strip(),
            reason=query.get("reason", "").strip(),
            older_minutes=age if age in _AGES else "",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 6 and int(page) else 1,
        )

    def address(self, page: int) -> str:
        """The address of a page of the same orders."""
        given = {
            "text": self.text,
            "sku": self.sku,
            "reason": self.reason,
            "age": self.older_minutes,
            "page": str(page) if page > 1 else "",
        }
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/orders?{query}" if query else "/orders"

    def match(self, order: Mapping[str, Any]) -> bool:
        """Whether an order is asked for, apart from its age."""
        lines = reading.maps(order.get("items"))
        return (
            self.text.lower() in " ".join(map(reading.to_text, order.values())).lower()
            and self.reason.lower() in reading.to_text(order.get("reason", "")).lower()
            and (not self.sku or any(line.get("sku") == self.sku for line in lines))
        )


def page(pipelines: Pipelines, request: Request) -> Node:
    """The orders that the address asks for."""
    filters = Filters.of(request.query_params)
    now = datetime.now(UTC)
    older = timedelta(minutes=int(filters.older_minutes or 0))
    with pipelines.borrow() as pipeline:
        found = [o for o in pipeline.orders.unfinished(now - older) if filters.match(o)]
        if filters.text and not any(order["order_id"] == filters.text for order in found):
            found += pipeline.orders.find([filters.text]).values()
    first = (filters.page - 1) * A_PAGE
    return [
        h.h1["Orders that are not finished"],
        _form(filters),
        h.section("#orders", aria_live="polite")[
            h.p(".muted")[
                f"{count(len(found))} orders. An order that has ended is found by its whole id."
            ],
            _table(found[first : first + A_PAGE], now) if found else h.p["There are none."],
            _pager(filters, len(found)),
        ],
    ]


def _form(filters: Filters) -> Element:
    return h.form(".filters", action="/orders", role="search")[
        _field("text", "Text or order id", filters.text),
        _field("sku", "SKU", filters.sku),
        _field("reason", "Reason", filters.reason),
        h.label[
            "Age",
            h.select(name="age")[
                [
                    h.option(value=value, selected=value == filters.older_minutes)[label]
                    for value, label in _AGES.items()
                ]
            ],
        ],
        h.button(type="submit")["Show"],
    ]


def _field(name: str, label: str, value: str) -> Element:
    return h.label[
        label, h.input(name=name, value=value, type="search", autocomplete="off", maxlength="200")
    ]


def _table(orders: Sequence[Mapping[str, Any]], now: datetime) -> Element:
    header = ("order", "age", "status", "payment", "inventory", "amount", "items", "reason")
    return h.div(".scrolls", tabindex="0", role="region", aria_label="Orders")[
        h.table[
            h.thead[h.tr[[h.th(scope="col")[name] for name in header]]],
            h.tbody[[_row(order, now) for order in orders]],
        ]
    ]


def _row(order: Mapping[str, Any], now: datetime) -> Element:
    placed = reading.parse_time(order.get("placed_at"))
    order_id = reading.to_text(order["order_id"])
    return h.tr[
        h.th(scope="row")[h.a(href=f"/orders/{quote(order_id, safe='')}")[order_id]],
        h.td(".number")[short(now - placed) if placed else reading.UNREADABLE],
        h.td[status(order)],
        h.td[reading.to_text(order.get("payment") or "-")],
        h.td[reading.to_text(order.get("inventory") or "-")],
        h.td(".number")[amount(order) or "-"],
        h.td[items(order) or "-"],
        h.td[reading.to_text(order.get("reason") or "-")],
    ]


def status(order: Mapping[str, Any]) -> Element:
    """An order's status, in its colour."""
    said = reading.to_text(order.get("status", reading.UNREADABLE))
    known = said if said in ("placed", "confirmed", "cancelled") else "unknown"
    return h.span(f".status.{known}")[said]


def _pager(filters: Filters, total: int) -> Node:
    last = max((total + A_PAGE - 1) // A_PAGE, 1)
    if last == 1:
        return None
    return h.nav(".pager", aria_label="Pages of orders")[
        filters.page > 1 and h.a(href=filters.address(filters.page - 1), rel="prev")["Earlier"],
        h.span[f"Page {filters.page} of {last}"],
        filters.page < last and h.a(href=filters.address(filters.page + 1), rel="next")["Later"],
    ]
