"""What a handler asks of the world outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CARD_PROCESSOR: Final = "card processor"

_ORDER: Final = re.compile(r"order-\d+")

Perform = Callable[["Request"], Any]
"""Has a request take effect, and answers it or raises what the service refuses it with."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a service."""

    service: str
    operation: str
    arguments: Mapping[str, Any]
    orders: frozenset[str] = field(init=False, compare=False)
    """The orders it is about."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "orders", orders_in(self.arguments))

    def with_arguments(self, **changed: Any) -> Request:  # noqa: ANN401 - as boto3 takes them
        """The same request with other arguments."""
        return Request(self.service, self.operation, {**self.arguments, **changed})


def named(request: Request, targets: Collection[str]) -> list[str]:
    """Which of these tables and buses a request names."""
    text = json.dumps(request.arguments).replace('\\"', '"')
    return [target for target in targets if f'"{target}"' in text]


def orders_in(value: object) -> frozenset[str]:
    """The orders that a value names; the workload's ids are easy to find."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return frozenset(_ORDER.findall(text))


def in_order(orders: frozenset[str]) -> list[str]:
    """Order ids as one reads them: order-2 before order-10."""
    return sorted(orders, key=lambda order: int(order.removeprefix("order-")))


def listed(orders: frozenset[str]) -> str:
    """Order ids for a line of the story; nothing when there are none."""
    return f" ({', '.join(in_order(orders))})" if orders else ""
