"""The page of the orders says among which orders it has looked, and which it cannot list."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.datastructures import QueryParams

from orderctl.console import orders_page
from orderctl.console.orders_page import A_PAGE, LOOKED_AT, Filters, Seen
from orderctl.console.page import to_html
from orderctl.pipeline.order_list import NotListedError, Page, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orderctl.console.collector import Pipelines

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ORDER: dict[str, Any] = {"order_id": "order-1", "status": "placed"}


class Listed:
    """A stack that lists orders, or only those that are not finished."""

    def __init__(self, *, ended: bool) -> None:
        self.ended = ended
        self.wanted: list[Wanted] = []
        self.order_list = self
        self.orders = SimpleNamespace(find=lambda _ids: {})

    def page(self, wanted: Wanted, limit: int, after: str | None, look_at: int) -> Page:
        assert (limit, after, look_at) == (A_PAGE, None, LOOKED_AT)
        self.wanted.append(wanted)
        if not (self.ended or wanted.unfinished):
            raise NotListedError("Stack s does not list the orders that have ended.")
        return Page((ORDER,), None, 1)

    @contextmanager
    def borrow(self) -> Iterator[Listed]:
        yield self


def seen(listed: Listed, query: str = "") -> Seen:
    filters = Filters.of(QueryParams(query))
    return orders_page.look(cast("Pipelines", listed), filters, NOW)


def shown(found: Seen, query: str = "") -> str:
    return to_html(orders_page.page(Filters.of(QueryParams(query)), found, NOW))


def test_a_text_is_looked_for_in_the_list_and_not_on_the_page_alone() -> None:
    listed = Listed(ended=True)
    assert seen(listed, "text=Mug").not_listed == ""
    assert [wanted.text for wanted in listed.wanted] == ["Mug"]


def test_a_stack_that_does_not_list_ended_orders_shows_the_others_and_says_so() -> None:
    listed = Listed(ended=False)
    html = shown(seen(listed, "status=confirmed"))
    assert listed.wanted[-1].unfinished
    assert "Only orders that are not finished are listed here." in html
    assert "Stack s does not list the orders that have ended." in html
    assert "order-1" in html


@pytest.mark.parametrize(
    ("page", "says", "leads"),
    [
        (Page((), None, 0), "No order fits, placed in the last day.", ""),
        (Page((ORDER,), None, 1), "1 order, placed in the last day.", ""),
        (
            Page((ORDER,) * A_PAGE, "2026-11-29T00:00:00Z/x", 60),
            "50 orders, placed in the last day, and more on the next page.",
            "Older",
        ),
        (
            Page((), "2026-11-29T00:00:00Z/x", LOOKED_AT),
            "No order fits among the newest 5,000 that were looked at.",
            "Look further back",
        ),
    ],
    ids=["none", "one", "a page", "cut short"],
)
def test_it_says_among_how_many_it_has_looked(page: Page, says: str, leads: str) -> None:
    html = shown(Seen(page))
    assert says in html
    assert (f">{leads}</a>" in html) if leads else ("pager" not in html)


def test_further_back_it_says_so() -> None:
    html = shown(Seen(Page((), "2026-11-29T00:00:00Z/x", LOOKED_AT)), "after=2026-11-29/y")
    assert "among the next 5,000" in html
    assert ">Newest</a>" in html
