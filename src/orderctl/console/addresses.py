"""The addresses of the console's own pages, whatever the names in them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import htpy as h
from htpy import Node

from orders.events import is_order_id


def path(*parts: str) -> str:
    """A path with these parts. What is no Unicode text leads nowhere, but does no harm."""
    return "".join(f"/{quote(part, safe='', errors='replace')}" for part in parts)


def query(address: str, given: Mapping[str, str]) -> str:
    """A path with what is asked of it; what is empty is left out."""
    asked = urlencode({name: value for name, value in given.items() if value}, errors="replace")
    return f"{address}?{asked}" if asked else address


def order(order_id: str | None) -> Node:
    """An order as a link to its page."""
    if order_id is None:
        return "-"
    return h.a(href=path("orders", order_id))[order_id] if is_order_id(order_id) else order_id


def dead_letter(queue: str, message_id: str) -> str:
    """The address of a parked message's page."""
    return path("dead-letters", queue, message_id)
