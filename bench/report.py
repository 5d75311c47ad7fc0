"""What was measured, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from bench.hot import rows
from bench.setting import BILLED, FLOOR, OURS, SDK, TEXTBOOK, TIMED, VERSIONS
from bench.targets import Target
from orderctl.terminal import console


def show(results: Mapping[str, Any], targets: list[Target]) -> None:
    """Print everything that was measured, and last the targets."""
    for part, tables in (
        ("cold", _cold),
        ("warm", _warm),
        ("costs", _costs),
        ("local", _local),
        ("hot", _hot),
    ):
        if part in results:
            tables(results[part])
    _targets(targets)


def _title(text: str) -> None:
    console.out().print(Text(f"\n{text}", style="bold"))


def _spread(found: Mapping[str, float]) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f}-{found['max']:.2f})"


def _cold(cold: Mapping[str, Any]) -> None:
    _title("Cold start: from the start of the process to the handler, ms (median, min-max)")
    console.table(
        (
            *("function", "floor CPU", "our CPU", "of floor", "CPU with the SDK", "textbook CPU"),
            *("floor time", "our time"),
        ),
        [
            (
                name,
                _spread(found[FLOOR]["cpu_ms"]),
                _spread(found[OURS]["cpu_ms"]),
                f"{found[OURS]['cpu_ms']['median'] / found['floor']['cpu_ms']['median']:.2f}",
                *(_spread(found[v]["cpu_ms"]) if v in found else "" for v in (SDK, TEXTBOOK)),
                _spread(found[FLOOR]["wall_ms"]),
                _spread(found[OURS]["wall_ms"]),
            )
            for name, found in cold.items()
        ],
    )
    _title("What our handlers import beyond the floor, and the floor beyond ours, ms")
    console.table(
        ("function", "added", "spared"),
        [
            (name, _listed(found["imports"]["added"]), _listed(found["imports"]["spared"]))
            for name, found in cold.items()
        ],
    )


def _listed(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in parts.items())


def _warm(warm: Mapping[str, Any]) -> None:
    _title("Warm: an order's share of a function, ms (median, min-max)")
    rows = []
    for name, measured in warm.items():
        for ours, sdk, textbook in zip(
            *(measured[version]["per_order"] for version in TIMED), strict=True
        ):
            rows.append(
                (
                    name,
                    str(ours["batch"]),
                    f"{ours['latency_ms']} ms",
                    *(_spread(timed["cpu_ms"]) for timed in (ours, sdk, textbook)),
                    f"{ours['cpu_ms']['median'] / sdk['cpu_ms']['median']:.2f}",
                    f"{ours['cpu_ms']['median'] / textbook['cpu_ms']['median']:.2f}",
                    _spread(ours["wall_ms"]),
                    _spread(textbook["wall_ms"]),
                )
            )
    console.table(
        (
            *("function", "batch", "AWS in", "our CPU", "with the SDK", "textbook"),
            *("of the SDK's", "of the textbook's", "our time", "textbook"),
        ),
        rows,
    )
    _title("Counted per order")
    console.table(
        ("function", "batch", "", "calls", "of them", "write u.", "read u.", "events", "logged B"),
        [
            (
                name,
                str(batch),
                version,
                f"{sum(counts['first']['calls'].values()):.2f}",
                ", ".join(
                    f"{count:.3g} {call}" for call, count in counts["first"]["calls"].items()
                ),
                f"{sum(counts['first']['write_units'].values()):.2f}",
                f"{sum(counts['first']['read_units'].values()):.2f}",
                f"{counts['first']['events']:.2f}",
                f"{counts['first']['logged_bytes']:.0f}",
            )
            for name, measured in warm.items()
            for batch in measured[OURS]["counts"]
            for version, counts in ((v, measured[v]["counts"][batch]) for v in VERSIONS)
        ],
    )


def _costs(costs: Mapping[str, Any]) -> None:
    _title(f"Dollars per million orders, prices of {costs['prices_as_of']} (ours, floor, textbook)")
    rates = costs["by_rate"]
    services = list(next(iter(rates.values()))[OURS])
    rows = [
        (
            service,
            *(
                f"{found[version].get(service, 0.0):.2f}"
                for found in rates.values()
                for version in BILLED
            ),
        )
        for service in services
    ]
    totals = [
        f"{sum(found[version].values()):.2f}" for found in rates.values() for version in BILLED
    ]
    header = [f"{rate}/s {version}" for rate in rates for version in BILLED]
    console.table(("service", *header), [*rows, ("all", *totals)])
    for key, what in (
        ("by_load", "Dollars a month, by orders a second"),
        ("by_fill", "Dollars per million orders at 100/s, by messages in a batch"),
        (
            "by_duplicates",
            "Dollars per million orders at 100/s, by share of events that come twice",
        ),
    ):
        _title(what)
        console.table(
            ("", *VERSIONS),
            [
                (f"{value:g}", *(f"{found[v]:.2f}" for v in VERSIONS))
                for value, found in costs[key].items()
            ],
        )
    _memory(costs)


def _memory(costs: Mapping[str, Any]) -> None:
    _title("An invocation of ours by MemorySize: ms, and dollars per million (full batches)")
    sizes = list(next(iter(costs["by_memory"].values())))
    console.table(
        ("function", "set to", "peak", *(f"{size} MB" for size in sizes)),
        [
            (
                name,
                f"{costs['memory_megabytes'][name]} MB",
                f"{costs['peak_megabytes'][name]:.0f} MB",
                *(
                    f"{row['milliseconds']:.0f} ms ${row['dollars_per_million']:.2f}"
                    for row in (list(rows[size].values())[-1] for size in sizes)
                ),
            )
            for name, rows in costs["by_memory"].items()
        ],
    )


def _local(local: Mapping[str, Any]) -> None:
    _title("The local cloud: from the call of the API to the update that tells of the order's end")
    console.table(
        (
            *("sent/s", "orders", "ended", "ended/s", "in a batch", "p50 s", "p95 s", "p99 s"),
            "CPU per order, ms",
        ),
        [
            (
                "all" if level["rate"] is None else f"{level['rate']:g}",
                str(level["orders"]),
                str(level["ended"]),
                f"{level['ended_per_second']:.1f}",
                f"{level['batch_fill']:.1f}",
                *(f"{level[f'p{p}_seconds']:.2f}" for p in (50, 95, 99)),
                _listed(level["cpu_ms_per_order"]),
            )
            for level in (*local["rates"], *local["bursts"])
        ],
    )
    _title("The same AWS calls with no function in between")
    console.table(
        ("orders/s", "calls per order", "CPU per order, ms"),
        [
            (
                f"{run['orders_per_second']:.1f}",
                f"{run['calls_per_order']:.1f}",
                _listed(run["cpu_ms_per_order"]),
            )
            for run in local["ceiling"]
        ],
    )


def _hot(rushes: Sequence[Mapping[str, Any]]) -> None:
    _title("Rushes for one SKU and for many, inventory alone")
    first, *others = rows(rushes)
    console.table(first, others)


def _targets(targets: list[Target]) -> None:
    _title("Targets")
    console.table(
        ("", "measured", "target", "", "what it is made of"),
        [
            (
                Text("✓ met", style="green") if target.is_met else Text("✗ not met", style="red"),
                f"{target.measured:.2f}",
                f"{'at least' if target.at_least else 'at most'} {target.target:g}",
                target.what,
                target.why,
            )
            for target in targets
        ],
    )
