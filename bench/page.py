"""The tables of `docs/costs.md`: those of the recorded run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench.processes import ROOT
from bench.setting import BILLED, FLOOR, ON_THE_WAY, OURS, SDK, TEXTBOOK, VERSIONS, Function

PAGE: Final = ROOT / "docs" / "costs.md"
_FULL: Final = "10"
_PARTS: Final = {
    "cold": "cold starts",
    "warm": "calls, CPU, dollars",
    "local": "the local cloud",
    "hot": "rushes for one SKU",
}

Row = Sequence[str]


def renew(results: Mapping[str, Any]) -> None:
    """Write the tables of a whole run into the page."""
    PAGE.write_text(filled(PAGE.read_text(), results))


def filled(text: str, results: Mapping[str, Any]) -> str:
    """The page with the tables of a whole run between its marks ``<!-- bench: … -->``."""
    recorded = json.loads(json.dumps(results))  # as it is read again: each key is a string
    for name, rows in (
        ("circumstances", _circumstances(recorded["measured"])),
        ("dollars", _dollars(recorded["costs"]["by_rate"])),
        ("fill", _totals("messages in a batch", recorded["costs"]["by_fill"])),
        ("billing", _totals("DynamoDB is paid", recorded["costs"]["by_billing"])),
        ("functions", _functions(recorded)),
        ("local", _local(recorded["local"])),
    ):
        lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        text = re.sub(
            f"(<!-- bench: {name} -->\n).*?(<!-- end -->)",
            lambda marks, lines=lines: marks[1] + lines + marks[2],  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    return text


def _header(*names: str) -> Iterator[Row]:
    yield names
    yield ["---", *("---:" for _ in names[1:])]


def _circumstances(measured: Mapping[str, Any]) -> Iterator[Row]:
    yield from _header("measured", "at", "cores", "Python", "load before")
    for part, found in measured.items():
        yield (
            _PARTS[part],
            found["at"],
            f"{found['cores']} ({found['machine']})",
            found["python"],
            f"{found['load_average_before']}",
        )


def _dollars(rates: Mapping[str, Any]) -> Iterator[Row]:
    bills = [found[version] for found in rates.values() for version in BILLED]
    yield from _header("", *(f"{int(r):,}/s {version}" for r in rates for version in BILLED))
    for service in sorted(bills[0], key=lambda name: -bills[0][name]):
        yield (service, *(f"{bill.get(service, 0.0):.2f}" for bill in bills))
    yield ("**all**", *(f"**{sum(bill.values()):.2f}**" for bill in bills))
    least = [sum(found[FLOOR].values()) for found in rates.values() for _ in BILLED]
    shares = (sum(bill.values()) / floor for bill, floor in zip(bills, least, strict=True))
    yield ("of the floor", *(f"{share:.2f}" for share in shares))


def _totals(what: str, totals: Mapping[str, Any]) -> Iterator[Row]:
    yield from _header(what, *BILLED, "ours of the floor")
    for each, found in totals.items():
        yield (
            each,
            *(f"{found[version]:.2f}" for version in BILLED),
            f"{found[OURS] / found[FLOOR]:.2f}",
        )


def _functions(results: Mapping[str, Any]) -> Iterator[Row]:
    yield from _header("", "ours", "with the SDK", "floor", "textbook", "ours of it")
    for name, found in results["cold"].items():
        ours, floor = (found[version]["cpu_ms"]["median"] for version in (OURS, FLOOR))
        sdk, textbook = (
            f"{found[version]['cpu_ms']['median']:.0f} ms" if version in found else ""
            for version in (SDK, TEXTBOOK)
        )
        yield (
            f"cold start of `{name}`, CPU",
            f"{ours:.0f} ms",
            sdk,
            f"{floor:.0f} ms",
            textbook,
            f"{ours / floor:.2f} of the floor",
        )
    for function in ON_THE_WAY:
        yield from _warm(function, results["warm"][function.name])


def _warm(function: Function, measured: Mapping[str, Any]) -> Iterator[Row]:
    batch = _FULL if function.in_batches else "1"
    full = f", batch of {batch}" if function.in_batches else ""
    ours, textbook = (_cpu(measured[version], int(batch)) for version in VERSIONS)
    yield (
        f"an order in `{function.name}`{full}, CPU",
        f"{ours:.2f} ms",
        f"{_cpu(measured[SDK], int(batch)):.2f} ms" if SDK in measured else "",
        "",
        f"{textbook:.2f} ms",
        f"{ours / textbook:.2f}",
    )
    calls = [sum(measured[v]["counts"][batch]["first"]["calls"].values()) for v in VERSIONS]
    ratio = f"{calls[0] / calls[1]:.2f}"
    yield ("its AWS calls", f"{calls[0]:.1f}", "", "", f"{calls[1]:.1f}", ratio)


def _cpu(measured: Mapping[str, Any], batch: int) -> float:
    """CPU per order, where AWS answers at once."""
    return next(
        float(timed["cpu_ms"]["median"])
        for timed in measured["per_order"]
        if (timed["batch"], timed["latency_ms"]) == (batch, 0)
    )


def _local(local: Mapping[str, Any]) -> Iterator[Row]:
    yield from _header("orders sent", "ended a second", "p50", "p95", "p99")
    for level in (*local["rates"], *local["bursts"]):
        sent = "all at once" if level["rate"] is None else f"{level['rate']:g} a second"
        yield (
            f"{sent}, {level['orders']}",
            f"{level['ended_per_second']:.1f}",
            *(f"{level[f'p{p}_seconds']:.2f} s" for p in (50, 95, 99)),
        )
    most = local["ceiling_orders_per_second"]
    yield (
        "the same AWS calls with no function in between",
        f"{most['median']:.1f} ({most['min']:.1f} to {most['max']:.1f})",
        *("", "", ""),
    )
    yield ("all at once, of that", f"{local['share_of_ceiling']:.2f}", *("", "", ""))
