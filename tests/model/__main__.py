"""`make model`: goes through every scope of the model, and prints what it comes to."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from model.spin import MISSING, THOROUGHLY, Report, Scope, verify

SCOPES: Final = {
    "two faults": Scope(faults=2),
    "one fault, two of payments at once": Scope(faults=1, payments=2),
    "one fault, two of inventory at once": Scope(faults=1, inventory=2),
    "no fault, two of the tracker at once": Scope(faults=0, tracker=2),
    "three faults, nobody else: every order ends": Scope(faults=3, bystanders=False, liveness=True),
    "one fault: every order ends": Scope(faults=1, liveness=True),
}


def _rows() -> Iterator[tuple[str, Report]]:
    for name, scope in SCOPES.items():
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            report = verify(Path(folder), scope, options=THOROUGHLY)
            seconds = time.monotonic() - began
        yield f"{name}: {seconds:.0f} s", report


def main() -> int:
    """Check all; 1 if something does not hold."""
    if MISSING:
        print(f"The model needs {MISSING}: apt-get install spin gcc")
        return 2
    failed = 0
    for name, report in _rows():
        print(
            f"{name}, {report.states:,} states, {report.transitions:,} transitions, "
            f"depth {report.depth}: {report.error or 'everything holds'}",
            flush=True,
        )
        failed |= report.error is not None
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
