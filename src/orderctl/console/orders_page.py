"""The page of the orders: filtered by what is in its address, and in pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import htpy as h
from htpy import Element, Node
from starlette.datastructures import QueryParams

from orderctl.console import addresses
from orderctl.console.collector import Pipelines
from orderctl.console.page import columns
from orderctl.console.texts import count, short
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.order_list import STATUSES, NotListedError, Page, Wanted
from orderctl.terminal.order_texts import amount, items
from orders.events import is_order_id

A_PAGE: Final = 50
LOOKED_AT: Final = 5_000
"""How many orders are looked at for a page, at most: half a read unit each."""
_SINCE: Final = {"1h": "last hour", "1d": "last day", "7d": "last 7 days", "30d": "last 30 days"}
_MINIMUM: Final = {
    "": "any age",
    "1m": "over 1 minute",
    "10m": "over 10 minutes",
    "1h": "over 1 hour",
}
_LENGTHS: Final = {
    "": timedelta(0),
    "1m": timedelta(minutes=1),
    "10m": timedelta(minutes=10),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for; what makes no sense in it is left out."""

    status: str = ""
    since: str = "1d"
    age: str = ""
    sku: str = ""
    reason: str = ""
    text: str = ""
    after: str = ""
    """Where the page starts."""

    @classmethod
    def of(cls, query: QueryParams) -> Filters:
        """Read them from an address."""

        def text(name: str) -> str:
            return query.get(name, "").strip()[:_LONGEST_TEXT]

        def one_of(name: str, known: Mapping[str, str], default: str) -> str:
            given = query.get(name, default)
            return given if given in known else default

        return cls(
            status=one_of("status", dict.fromkeys(STATUSES, ""), ""),
            since=one_of("since", _SINCE, "1d"),
            age=one_of("age", _MINIMUM, ""),
            sku=text("sku"),
            reason=text("reason"),
            text=text("text"),
            after=text("after"),
        )

    @property
    def address(self) -> str:
        """The address that asks for this."""
        given = {
            "status": self.status,
            "since": "" if self.since == "1d" else self.since,
            "age": self.age,
            "sku": self.sku,
            "reason": self.reason,
            "text": self.text,
            "after": self.after,
        }
        return addresses.query("/orders", given)

    def wanted(self, now: datetime) -> Wanted:
        """The same for the list of orders."""
        return Wanted(
            since=now - _LENGTHS[self.since],
            until=now - _LENGTHS[self.age],
            statuses=tuple(each for each in STATUSES if self.status in ("", each)),
            sku=self.sku or None,
            reason=self.reason or None,
            text=self.text or None,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """The orders that were found."""

    page: Page
    not_listed: str = ""
    """Why the orders that have ended are missing; empty if they are not."""


def look(pipelines: Pipelines, filters: Filters, now: datetime) -> Seen:
    """The orders that are asked for. A text is an order id, or a part of what is shown of one.

    Raises:
        OrderctlError: the address starts at no page.
    """
    wanted, after = filters.wanted(now), filters.after or None
    with pipelines.borrow() as pipeline:
        if is_order_id(filters.text) and (
            order := pipeline.orders.find([filters.text]).get(filters.text)
        ):
            return Seen(Page((order,), None))
        listed = pipeline.order_list
        try:
            return Seen(listed.page(wanted, A_PAGE, after, LOOKED_AT))
        except NotListedError as error:
            unfinished = replace(wanted, unfinished=True)
            return Seen(listed.page(unfinished, A_PAGE, after, LOOKED_AT), str(error))
        except ValueError as error:
            raise OrderctlError(f"after: {error}.") from None


def page(filters: Filters, seen: Seen, now: datetime) -> Node:
    """The form with the filters, and the orders."""
    found = seen.page
    return [
        h.h1["Orders"],
        _form(filters),
        seen.not_listed
        and h.p(".notice")[
            "Only orders that are not finished are listed here. ",
            seen.not_listed,
            " Until then, find any other order by its whole id.",
        ],
        h.p("#found.muted", role="status")[_in_words(filters, found)],
        h.section("#orders")[
            _table(found.orders, now) if found.orders else None, _pager(filters, found)
        ],
    ]


def _in_words(filters: Filters, found: Page) -> str:
    """What was found, and among how many: whoever cannot see the table hears it."""
    number = len(found.orders)
    said = f"{number} order{'' if number == 1 else 's'}" if number else "No order fits"
    if _is_cut_short(found):
        where = "the next" if filters.after else "the newest"
        return f"{said} among {where} {count(found.looked_at)} that were looked at."
    more = ", and more on the next page" if found.next else ""
    return f"{said}, placed in the {_SINCE[filters.since]}{more}."


def _is_cut_short(found: Page) -> bool:
    """Whether older orders were not looked at."""
    return found.next is not None and len(found.orders) < A_PAGE


def _form(filters: Filters) -> Element:
    return h.form(
        ".filters",
        action="/orders",
        role="search",
        data_hx_get="/orders",
        data_hx_trigger="input changed delay:400ms, change, submit",
        data_hx_target="#orders",
        data_hx_select="#orders",
        data_hx_select_oob="#found",
        data_hx_indicator="#orders",
        data_hx_swap="outerHTML",
        data_hx_push_url="true",
    )[
        _choice("status", "Status", {"": "any", **{s: s for s in STATUSES}}, filters.status),
        _choice("since", "Placed in the", _SINCE, filters.since),
        _choice("age", "Age", _MINIMUM, filters.age),
        _field("sku", "SKU", filters.sku),
        _field("reason", "Reason", filters.reason),
        _field("text", "Order id or text", filters.text),
        h.button(type="submit")["Show"],
    ]


def _field(name: str, label: str, value: str) -> Element:
    return h.label[
        label, h.input(name=name, value=value, type="search", autocomplete="off", maxlength="200")
    ]


def _choice(name: str, label: str, choices: Mapping[str, str], chosen: str) -> Element:
    return h.label[
        label,
        h.select(name=name)[
            [h.option(value=v, selected=v == chosen)[says] for v, says in choices.items()]
        ],
    ]


def _table(orders: Sequence[Mapping[str, Any]], now: datetime) -> Element:
    header = ("order", "age", "status", "payment", "inventory", "amount", "items", "reason")
    return h.div(".scrolls", tabindex="0", role="region", aria_label="Orders")[
        h.table[
            columns(*header, numbers=("age", "amount")),
            h.tbody[[_row(order, now) for order in orders]],
        ]
    ]


def _row(order: Mapping[str, Any], now: datetime) -> Element:
    placed = reading.parse_time(order.get("placed_at"))
    order_id = reading.to_text(order["order_id"])
    return h.tr[
        h.th(scope="row")[addresses.order(order_id)],
        h.td(".number")[short(now - placed) if placed else reading.UNREADABLE],
        h.td[status(order)],
        h.td[reading.to_text(order.get("payment") or "-")],
        h.td[reading.to_text(order.get("inventory") or "-")],
        h.td(".number")[amount(order) or "-"],
        h.td[items(order) or "-"],
        h.td(".reason")[reading.to_text(order.get("reason") or "-")],
    ]


def status(order: Mapping[str, Any]) -> Element:
    """An order's status, in its colour."""
    said = reading.to_text(order.get("status", reading.UNREADABLE))
    return h.span(class_=["status", said if said in STATUSES else "unknown"])[said]


def _pager(filters: Filters, found: Page) -> Node:
    if not (filters.after or found.next):
        return None
    return h.nav(".pager", aria_label="Pages of orders")[
        filters.after and h.a(href=replace(filters, after="").address)["Newest"],
        found.next
        and h.a(href=replace(filters, after=found.next).address, rel="next")[
            "Look further back" if _is_cut_short(found) else "Older"
        ],
    ]
