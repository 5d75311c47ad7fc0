"""The metrics that the functions publish, and those on a CloudWatch dashboard."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HANDLERS = Path(__file__).parents[2] / "src" / "orders"


@dataclass(frozen=True)
class Metric:
    """A metric by its names."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    def dimension(self, name: str) -> str:
        """The value of one dimension."""
        return dict(self.dimensions)[name]


def published_metrics() -> dict[str, set[str]]:
    """The names of the metrics that each function publishes, by its handler's module.

    They are counted, or stand by state in ``_METRICS``.
    """
    published: dict[str, set[str]] = {}
    for handler in HANDLERS.glob("*/handler.py"):
        names = published.setdefault(f"orders.{handler.parent.name}.handler", set())
        for node in ast.walk(ast.parse(handler.read_text(encoding="utf-8"))):
            match node:
                case ast.Call() if ast.unparse(node.func) in ("telemetry.count", "telemetry.gauge"):
                    names |= {str(keyword.arg) for keyword in node.keywords}
                case ast.AnnAssign(target=ast.Name("_METRICS"), value=ast.Dict(values=metrics)):
                    names |= {ast.literal_eval(metric) for metric in metrics}
                case _:
                    pass
    return published


def metrics_of(widgets: Sequence[dict[str, Any]]) -> Iterator[Metric]:
    """Every metric that the widgets show, with what is abbreviated spelled out.

    A ``.`` stands for what is in that place of the line before, ``...`` for all that is in the
    places from there on, but for the last ("Dashboard body structure and syntax", CloudWatch API
    reference).
    """
    for widget in widgets:
        before: list[str] = []
        for line in widget["properties"].get("metrics", []):
            given = [part for part in line if isinstance(part, str)]
            if given[0] == "...":
                given = before[: len(before) - len(given) + 1] + given[1:]
            before = [before[place] if part == "." else part for place, part in enumerate(given)]
            namespace, name, *pairs = before
            yield Metric(namespace, name, frozenset(zip(pairs[::2], pairs[1::2], strict=True)))
