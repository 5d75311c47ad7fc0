"""The targets, and whether they are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.setting import FLOOR, ON_THE_WAY, OURS, SDK, TEXTBOOK, VERSIONS

_COLD: Final = 0.35
_API_CPU: Final = 0.4
_BATCH_CPU: Final = 0.5
_CALLS: Final = 3.0
_CPU: Final = 0.25
_LOGGED: Final = 0.25
_DOLLARS: Final = {100: 1.3, 10_000: 1.2}
"""How many times the floor an order may cost, by orders a second."""
_THROUGHPUT: Final = 0.5
_FULL: Final = 10


@dataclass(frozen=True, slots=True)
class Target:
    """Something to reach."""

    what: str
    measured: float
    target: float
    at_least: bool = False
    """Whether more is better."""
    why: str = ""
    """What the number is made of."""

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        if self.at_least:
            return self.measured >= self.target
        return self.measured <= self.target

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "measured": round(self.measured, 3), "met": self.is_met}


def targets(results: Mapping[str, Any]) -> list[Target]:
    """The targets of what was measured; a part that was not measured has none."""
    found: list[Target] = []
    if cold := results.get("cold"):
        found += _cold(cold)
    if warm := results.get("warm"):
        found += _warm(warm)
    if costs := results.get("costs"):
        found += _dollars(costs["by_rate"])
    if local := results.get("local"):
        found.append(_throughput(local))
    return found


def _cold(cold: Mapping[str, Any]) -> Iterator[Target]:
    for name, found in cold.items():
        ours, floor = (found[version]["cpu_ms"]["median"] for version in (OURS, FLOOR))
        added = ", ".join(
            f"{package} {ms:.0f}" for package, ms in found["imports"]["added"].items()
        )
        spared = sum(found["imports"]["spared"].values())
        yield Target(
            f"cold start of {name}, CPU, of the floor",
            ours / floor,
            _COLD,
            why=f"imports in ms: {added}; spared: {spared:.0f}",
        )


def _warm(warm: Mapping[str, Any]) -> Iterator[Target]:
    yield from _beside_the_sdk(warm)
    for function in ON_THE_WAY:
        if function.in_batches and function.name in warm:
            measured = warm[function.name]
            counted = measured[OURS]["counts"][_FULL]["first"]
            calls = ", ".join(counted["calls"])
            yield Target(
                f"AWS calls of {function.name} for a batch of 10",
                counted["calls_per_invocation"],
                _CALLS,
                why=calls,
            )
            ours, textbook = (_cpu(measured[version], _FULL) for version in VERSIONS)
            yield Target(
                f"CPU of {function.name} per order in a batch of 10, of the textbook's",
                ours / textbook,
                _CPU,
                why=f"{measured[OURS]['client_share']:.0%} of it in the client",
            )
    for batch in (1, _FULL):
        logged = {v: logged_bytes(warm, v, batch) for v in VERSIONS}
        yield Target(
            f"bytes logged per order in batches of {batch}, of the textbook's",
            logged[OURS] / logged[TEXTBOOK],
            _LOGGED,
            why=f"{logged[OURS]:,.0f} of {logged[TEXTBOOK]:,.0f}",
        )


def _beside_the_sdk(warm: Mapping[str, Any]) -> Iterator[Target]:
    """What the lean client spares a customer who waits, and a full batch."""
    for function in ON_THE_WAY:
        if function.name not in warm or not (function.in_batches or function.name == "order-api"):
            continue
        batch, target = (_FULL, _BATCH_CPU) if function.in_batches else (1, _API_CPU)
        ours, sdk = (_cpu(warm[function.name][version], batch) for version in (OURS, SDK))
        yield Target(
            f"CPU of {function.name} per order in batches of {batch}, of that with the SDK",
            ours / sdk,
            target,
            why=f"{ours:.2f} of {sdk:.2f} ms",
        )


def _dollars(rates: Mapping[Any, Any]) -> Iterator[Target]:
    for rate, target in _DOLLARS.items():
        ours, floor = (rates[rate][version] for version in (OURS, FLOOR))
        more = {name: dollars - floor.get(name, 0.0) for name, dollars in ours.items()}
        largest = sorted(more.items(), key=lambda line: -line[1])
        yield Target(
            f"dollars of an order at {rate:,}/s, of the floor",
            sum(ours.values()) / sum(floor.values()),
            target,
            why=", ".join(f"{name} {dollars:+.2f}" for name, dollars in largest if dollars > 0),
        )


def logged_bytes(warm: Mapping[str, Any], version: str, batch: int) -> float:
    """What all functions log for an order, in bytes; what Lambda itself logs is left out."""
    return sum(
        float(counts.get(batch, counts[1])["first"]["logged_bytes"])
        for counts in (measured[version]["counts"] for measured in warm.values())
    )


def _cpu(measured: Mapping[str, Any], batch: int) -> float:
    """CPU per order in batches of a size, whatever the latency."""
    full = [timed for timed in measured["per_order"] if timed["batch"] == batch]
    return sum(float(timed["cpu_ms"]["median"]) for timed in full) / len(full)


def _throughput(local: Mapping[str, Any]) -> Target:
    cpu = [
        ", ".join(f"{name} {ms:.0f}" for name, ms in run["cpu_ms_per_order"].items())
        for run in (local["bursts"][-1], local["ceiling"][-1])
    ]
    ours, most = (
        local[key]["median"] for key in ("orders_per_second", "ceiling_orders_per_second")
    )
    return Target(
        "orders per second on the local cloud, of the emulator's ceiling",
        local["share_of_ceiling"],
        _THROUGHPUT,
        at_least=True,
        why=f"{ours:.0f} of {most:.0f}; ms of CPU per order: {cpu[0]}; at the ceiling {cpu[1]}",
    )
