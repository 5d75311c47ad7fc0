"""`make model`: goes through every scope of the model, and prints or records what it comes to."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from model.spin import MISSING, THOROUGHLY, Report, Scope, verify
from support.recorded import RELIABILITY, record

SCOPES: Final = {
    "two faults": Scope(faults=2),
    "one fault, two of payments at once": Scope(faults=1, payments=2),
    "one fault, two of inventory at once": Scope(faults=1, inventory=2),
    "no fault, two of the tracker at once": Scope(faults=0, tracker=2),
    "three faults, nobody else: every order ends": Scope(faults=3, bystanders=False, liveness=True),
    "one fault: every order ends": Scope(faults=1, liveness=True),
}


def _rows() -> Iterator[tuple[str, float, Report]]:
    for name, scope in SCOPES.items():
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            report = verify(Path(folder), scope, options=THOROUGHLY)
            yield name, time.monotonic() - began, report


def main() -> int:
    """Check all; 1 if something does not hold."""
    if MISSING:
        print(f"The model needs {MISSING}: apt-get install spin gcc")
        return 2
    failed = 0
    for name, seconds, report in _rows():
        result = report.error or "everything holds"
        print(
            f"{name}: {seconds:.0f} s, {report.states:,} states, {report.transitions:,} "
            f"transitions, depth {report.depth}: {result}",
            flush=True,
        )
        if "--record" in sys.argv:
            counts = (report.states, report.transitions, report.depth)
            row = (*(f"{n:,}" for n in counts), f"{seconds:.0f}", result.splitlines()[0], _today())
            record(RELIABILITY, "model: runs", list(SCOPES), {name: row})
        failed |= report.error is not None
    return int(failed)


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


if __name__ == "__main__":
    sys.exit(main())
