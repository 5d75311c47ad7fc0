"""What was measured, as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot

from bench.setting import FLOOR, OURS, SDK, TEXTBOOK, TIMED, VERSIONS

_COLORS: Final = {FLOOR: "#9aa5b1", OURS: "#2f7ed8", SDK: "#7fb2e8", TEXTBOOK: "#e08b3c"}
_ROOM_FOR_LEGEND: Final = 1.25
_WIDTH: Final = 0.2


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw cold starts, warm CPU, dollars, and the local cloud; what was not measured stays empty.

    Args:
        results: what was measured.
        path: where the SVG goes.
    """
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "order-pipeline", "font.size": 8})
    figure, axes = pyplot.subplots(2, 2, figsize=(12, 8), layout="constrained")
    (cold, warm), (costs, local) = axes
    if "cold" in results:
        _bars(
            cold,
            "Cold start, CPU until the handler is ready (ms)",
            {
                name: {v: found[v]["cpu_ms"]["median"] for v in (FLOOR, *TIMED) if v in found}
                for name, found in results["cold"].items()
            },
        )
    if "warm" in results:
        _bars(
            warm,
            "Warm, CPU per order in the fullest batches (ms)",
            {
                name: {v: _cpu_of_full_batches(measured[v]) for v in TIMED}
                for name, measured in results["warm"].items()
            },
        )
    if "costs" in results:
        _bills(costs, results["costs"]["by_rate"])
    if "local" in results:
        _latencies(local, results["local"])
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _cpu_of_full_batches(measured: Mapping[str, Any]) -> float:
    """CPU of an order in the largest batches, where AWS answers at once."""
    at_once = [timed for timed in measured["per_order"] if timed["latency_ms"] == 0]
    return float(at_once[-1]["cpu_ms"]["median"])


def _bars(axis: Any, title: str, found: Mapping[str, Mapping[str, float]]) -> None:  # noqa: ANN401
    names = list(found)
    versions = list(next(iter(found.values())))
    for number, version in enumerate(versions):
        drawn_names = [name for name in names if version in found[name]]
        heights = [found[name][version] for name in drawn_names]
        places = [names.index(name) + number * _WIDTH for name in drawn_names]
        drawn = axis.bar(places, heights, _WIDTH, label=version, color=_COLORS[version])
        axis.bar_label(drawn, fmt="%.3g", fontsize=6)
    axis.set_xticks([place + _WIDTH for place in range(len(names))], names, rotation=20, ha="right")
    axis.set_title(title)
    axis.legend()


def _bills(axis: Any, rates: Mapping[Any, Any]) -> None:  # noqa: ANN401 - matplotlib's axes
    """Dollars by service, stacked: ours and the textbook's at each rate."""
    labels = [f"{version}\n{rate}/s" for rate in rates for version in VERSIONS]
    bills = [found[version] for found in rates.values() for version in VERSIONS]
    below = [0.0] * len(bills)
    for service in bills[0]:
        dollars = [bill.get(service, 0.0) for bill in bills]
        axis.bar(labels, dollars, bottom=below, label=service)
        below = [base + more for base, more in zip(below, dollars, strict=True)]
    for place, total in enumerate(below):
        axis.text(place, total, f"${total:.2f}", ha="center", va="bottom", fontsize=7)
    axis.set_title("Dollars per million orders")
    axis.set_ylim(top=max(below) * _ROOM_FOR_LEGEND)
    axis.legend(fontsize=6, ncols=2, loc="upper right")


def _latencies(axis: Any, local: Mapping[str, Any]) -> None:  # noqa: ANN401 - matplotlib's axes
    rates = [level["ended_per_second"] for level in local["rates"]]
    for name in ("p50", "p95", "p99"):
        seconds = [level[f"{name}_seconds"] for level in local["rates"]]
        axis.plot(rates, seconds, marker="o", label=name)
    axis.axvline(
        local["ceiling_orders_per_second"]["median"],
        color="grey",
        linestyle="--",
        label="emulator's ceiling",
    )
    axis.set_xlabel("orders that end per second")
    axis.set_ylabel("seconds to the end of an order")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:.2g}")
    axis.set_title("The local cloud")
    axis.legend()
