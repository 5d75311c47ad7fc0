"""The command behind ``make explore``."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import UTC, datetime
from queue import Empty
from typing import Any, Final

from rich.console import Console

from simulation import runner
from simulation.explorer import Report, explore
from simulation.scopes import SCOPES, Scope, scope
from simulation.template import topology
from support.recorded import RELIABILITY, record

_SECONDS_BETWEEN_LINES: Final = 30.0

_console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Explore what the command line asks for; the exit status is 1 when something did not hold."""
    names = [each.name for each in SCOPES]
    parser = argparse.ArgumentParser(
        prog="make explore",
        description="Run the real handlers through every schedule of bounded scopes.",
        epilog="scopes: " + "; ".join(f"{each.name}: {each.bound}" for each in SCOPES),
    )
    parser.add_argument("scopes", nargs="*", metavar="SCOPE", help="which; all if none is named")
    parser.add_argument("--minutes", type=float, default=55.0, help="for all of them together")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--record", action="store_true", help=f"in {RELIABILITY.name}")
    arguments = parser.parse_args()
    if unknown := set(arguments.scopes) - set(names):
        parser.error(f"no such scope: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [scope(name) for name in arguments.scopes or names]
    reports = _explore(chosen, arguments.minutes * 60, arguments.jobs)
    _summarize(chosen, reports)
    if arguments.record:
        _record(reports)
    return int(any(report.failure for report in reports))


def _explore(scopes: Sequence[Scope], seconds: float, jobs: int) -> list[Report]:
    """Explore scopes in processes of their own.

    Each gets an equal share of the time that is left when it begins, so what small ones do not
    need goes to those after them.
    """
    deadline = time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    waiting, running = list(scopes), set[Future[list[Report]]]()
    reports: list[Report] = []
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(max_workers=jobs, mp_context=context) as executor,
    ):
        lines: Any = manager.Queue()
        while waiting or running:
            while waiting and len(running) < jobs:
                left = max(0.0, deadline - time.monotonic())
                share = min(left, left * jobs / (len(waiting) + len(running)))
                running.add(executor.submit(_explore_here, waiting.pop(0).name, share, lines))
            done, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for line in _all(lines):
                _console.print(line, markup=False)
            for future in done:
                found = future.result()
                reports += found
                for report in found:
                    _tell(report)
    return reports


def _all(lines: Any) -> Iterator[str]:  # noqa: ANN401 - a manager's queue
    while True:
        try:
            yield lines.get_nowait()
        except Empty:
            return


def _explore_here(name: str, seconds: float, lines: Any) -> list[Report]:  # noqa: ANN401
    """Explore a scope in this process."""
    # What there is by now stays. Of what a search throws away much is thrown away soon.
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    began = last = time.monotonic()
    parent = os.getppid()  # if that is killed, nobody waits for this any more

    def on_progress(report: Report) -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last > _SECONDS_BETWEEN_LINES:
            last = now
            lines.put(f"{_title(report)}: {_counted(report)}, about {report.share:.1%} of the tree")
        return now - began < seconds and os.getppid() == parent

    return list(explore(scope(name), topology(), runner.rooms(), on_progress))


def _title(report: Report) -> str:
    return f"{report.scope}, {_number(report.faults, 'fault')}"


def _number(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _counted(report: Report) -> str:
    return (
        f"{report.runs:,} runs, {report.states:,} states, {report.invocations:,} invocations, "
        f"{report.seconds:,.0f} s"
    )


def _how_far(report: Report) -> str:
    if report.failure:
        return "breaks a rule"
    if report.complete:
        return f"complete: {report.schedules:,} schedules"
    return f"not complete: about {report.share:.1%} of the tree"


def _tell(report: Report) -> None:
    _console.print(f"{_title(report)}: {_counted(report)}; {_how_far(report)}", markup=False)
    if failure := report.failure:
        _console.print(f"\n[bold red]Scope {report.scope} breaks a rule.[/] ", end="")
        _console.print(failure.violation, markup=False)
        _console.print(
            f"What happened, with {_number(failure.faults, 'fault')} and "
            f"{_number(failure.detours, 'detour')}; with fewer it holds:\n"
        )
        _console.print(failure.story, markup=False)


def _record(reports: Sequence[Report]) -> None:
    """Write the bounds of all scopes, and how far those that ran came, into the documentation."""
    names = [f"`{each.name}`" for each in SCOPES]
    bounds = {f"`{each.name}`": (each.says,) for each in SCOPES}
    record(RELIABILITY, "explore: scopes", names, bounds)
    complete = {report.scope: report.faults for report in reports if report.complete}
    rows = {
        f"`{report.scope}`": (
            str(report.faults),
            f"{report.schedules:,}" if report.complete else "",
            *(f"{n:,}" for n in (report.runs, report.states, report.invocations)),
            f"{report.seconds:,.0f}",
            _recorded(report, complete.get(report.scope)),
            f"{datetime.now(UTC):%Y-%m-%d}",
        )
        for report in reports
    }
    record(RELIABILITY, "explore: runs", names, rows)


def _recorded(report: Report, complete: int | None) -> str:
    """How far a scope came, with what was complete before."""
    if report.failure or report.complete or complete is None:
        return _how_far(report).partition(":")[0]
    return f"not complete; complete with {_number(complete, 'fault')}"


def _summarize(scopes: Sequence[Scope], reports: Sequence[Report]) -> None:
    _console.print()
    for each in scopes:
        _console.print(f"{each.name}: {each.bound}", markup=False)
        for report in reports:
            if report.scope == each.name:
                _console.print(
                    f"  {_number(report.faults, 'fault')}: {_how_far(report)}; {_counted(report)}",
                    markup=False,
                )
    complete = all(report.complete for report in reports)
    _console.print("\ncomplete" if complete else "\nnot complete")


if __name__ == "__main__":
    sys.exit(main())
