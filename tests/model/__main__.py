"""`make model`: goes through the scopes of the models, and prints or records what they come to."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from model.breaks import BREAKS
from model.spin import MISSING, SCOPES, THOROUGHLY, Report, Scope, verify
from support.recorded import RELIABILITY, record


def main() -> int:
    """Check what is asked for; 1 if something does not hold."""
    parser = argparse.ArgumentParser(prog="make model")
    parser.add_argument("--record", action="store_true", help="write it into docs/reliability.md")
    parser.add_argument("--scope", choices=SCOPES, help="this one alone")
    asked = parser.parse_args()
    if MISSING:
        print(f"The model needs {MISSING}: apt-get install spin gcc")
        return 2
    if asked.record:
        record(RELIABILITY, "model: breaks", list(BREAKS), breaks())
    failed = False
    for name in [asked.scope] if asked.scope else SCOPES:
        report, seconds = _check(SCOPES[name])
        result = report.error or "everything holds"
        print(
            f"{name}: {seconds:.0f} s, {report.states:,} states, {report.transitions:,} "
            f"transitions, depth {report.depth}: {result}",
            flush=True,
        )
        if asked.record:
            counts = (report.states, report.transitions, report.depth)
            row = (*(f"{n:,}" for n in counts), f"{seconds:.0f}", result.splitlines()[0], _today())
            record(RELIABILITY, "model: runs", list(SCOPES), {name: row})
        failed |= report.error is not None
    return int(failed)


def breaks() -> dict[str, tuple[str, str]]:
    """The rows of the table of what is broken on purpose: what finds it, and in which scope."""
    return {name: (broken.found, broken.scope) for name, broken in BREAKS.items()}


def _check(scope: Scope) -> tuple[Report, float]:
    """Go through a scope, and say how many seconds that took."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        report = verify(Path(folder), scope, options=THOROUGHLY)
        return report, time.monotonic() - began


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


if __name__ == "__main__":
    sys.exit(main())
