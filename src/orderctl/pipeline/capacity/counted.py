"""What the bench has counted: what an order takes of each function on its way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from orderctl.pipeline.capacity.bill import OURS, Priced

COUNTED: Final = Path(__file__).with_name("counted.json")
_KEPT: Final = (
    *("invocations", "calls", "write_units", "read_units", "events"),
    *("logged_bytes", "logged_lines"),
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function on the way of an order."""

    name: str
    events_of_an_order: int
    """How many events of one order it handles, when all goes well."""
    in_batches: bool
    """Whether it reads a queue."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A run of the bench."""

    at: str
    """When it was."""
    functions: tuple[Function, ...]
    warm: Mapping[str, Any]
    """By function and version, as the bench has it."""


def load_counted(path: Path = COUNTED) -> Counted:
    """Read what the last whole run of the bench has counted."""
    recorded = json.loads(path.read_text(encoding="utf-8"))
    functions = tuple(Function(**function) for function in recorded["functions"])
    return Counted(recorded["at"], functions, recorded["warm"])


def save_counted(
    at: str, functions: Sequence[Priced], warm: Mapping[str, Any], path: Path = COUNTED
) -> None:
    """Write what a whole run of the bench has counted, for `orderctl capacity`.

    Args:
        at: when it was.
        functions: those on the way of an order.
        warm: by function and version, as the bench has it.
        path: where to.
    """
    kept = {
        function.name: {OURS: _kept(warm[function.name][OURS], function.in_batches)}
        for function in functions
    }
    described = [
        asdict(Function(function.name, function.events_of_an_order, function.in_batches))
        for function in functions
    ]
    document = {"at": at, "functions": described, "warm": kept}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _kept(measured: Mapping[str, Any], in_batches: bool) -> dict[str, Any]:
    counts = measured["counts"] if in_batches else {"1": next(iter(measured["counts"].values()))}
    return {
        "counts": {
            str(batch): {"first": {name: counted["first"][name] for name in _KEPT}}
            for batch, counted in counts.items()
        },
        "per_order": [
            {
                "batch": timed["batch"],
                "latency_ms": 0,
                "cpu_ms": {"median": timed["cpu_ms"]["median"]},
            }
            for timed in measured["per_order"]
            if timed["latency_ms"] == 0
        ],
    }
