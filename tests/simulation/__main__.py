"""The command behind ``make simulate``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from simulation import runner
from simulation.rooms import Sabotage
from simulation.runner import Tally
from simulation.sabotages import NOTICED, SABOTAGES, SEEDS_TO_NOTICE_IN
from simulation.simulation import Result

_console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run what the command line asks for; the exit status is 1 when something did not hold."""
    parser = argparse.ArgumentParser(
        prog="make simulate",
        description="Run the real handlers under seeded deliveries and faults.",
    )
    parser.add_argument(
        "seeds",
        nargs="?",
        type=_seeds,
        default=range(2000),
        metavar="SEEDS",
        help="so many seeds from 0 on, or a range such as 123..456 (both included)",
    )
    parser.add_argument("--seed", type=int, help="run one seed and print its whole schedule")
    parser.add_argument(
        "--notice", action="store_true", help="find a seed that notices each sabotage, and note it"
    )
    parser.add_argument(
        "--sabotage",
        choices=[sabotage.name for sabotage in SABOTAGES],
        metavar="NAME",
        help="break the handlers in this way first: --seed shows its schedule, else the first seed "
        "that notices is told",
    )
    parser.add_argument(
        "--sabotages", action="store_true", help="list the ways to break the handlers"
    )
    parser.add_argument(
        "--json", action="store_true", help="with --seed: print the schedule as JSON"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    arguments = parser.parse_args()
    if arguments.sabotages:
        sys.stdout.writelines(f"{sabotage.name}\n" for sabotage in SABOTAGES)
        return 0
    sabotages = [each for each in SABOTAGES if each.name == arguments.sabotage]
    if arguments.seed is not None:
        return _replay(arguments.seed, sabotages, as_json=arguments.json)
    if sabotages:
        return _break(sabotages[0], arguments.seeds)
    if arguments.notice:
        return _notice(arguments.jobs)
    return _search(arguments.seeds, arguments.jobs)


def _seeds(text: str) -> range:
    """The seeds that are meant by ``2000`` or ``123..456``."""
    first, dots, last = text.partition("..")
    try:
        seeds = range(int(first), int(last) + 1) if dots else range(int(first))
    except ValueError:
        seeds = range(0)
    if not seeds or seeds[0] < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range like 123..456")
    return seeds


def _replay(seed: int, sabotages: Sequence[Sabotage], *, as_json: bool) -> int:
    result = runner.replay(seed, *sabotages)
    if as_json:
        json.dump({"violation": result.violation, "lines": result.lines}, sys.stdout)
        return int(result.violation is not None)
    sys.stdout.write(result.story + "\n")
    if result.violation:
        sys.stdout.write(f"\nSeed {seed} breaks a rule. {result.violation}\n")
        return 1
    sys.stdout.write(f"\nSeed {seed}: everything holds.\n")
    return 0


def _break(sabotage: Sabotage, seeds: range) -> int:
    """Tell what the first seed says that notices a sabotage; 1 if one does, as a rule is broken."""
    failure = runner.notice(sabotage, seeds)
    if failure is None:
        _console.print(f"None of {len(seeds):,} seeds notices it.")
        return 0
    _tell(failure, f' SABOTAGE="{sabotage.name}"')
    return 1


def _notice(jobs: int) -> int:
    seeds = range(SEEDS_TO_NOTICE_IN)
    noticed: dict[str, int | None] = {}
    for sabotage, seed in runner.notice_on_all_cores(SABOTAGES, seeds, jobs):
        _console.print(f"{'none' if seed is None else seed:>6}  {sabotage.name}")
        noticed[sabotage.name] = seed
    found = {name: seed for name, seed in noticed.items() if seed is not None}
    NOTICED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(len(found) < len(SABOTAGES))


def _search(seeds: range, jobs: int) -> int:
    started = time.monotonic()
    total = Tally()
    columns = (
        TextColumn("Simulating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("seeds"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console, transient=True) as progress:
        task = progress.add_task("", total=len(seeds))
        for tally in runner.search_on_all_cores(seeds, jobs):
            total.merge(tally)
            progress.update(task, completed=total.seeds)
    _summarize(total, time.monotonic() - started)
    if total.failure:
        _tell(total.failure)
        return 1
    return 0


def _summarize(total: Tally, seconds: float) -> None:
    _console.print(
        f"{total.seeds:,} seeds, {total.orders:,} orders, {total.invocations:,} invocations, "
        f"{total.struck.total():,} faults, in {seconds:.0f} s."
    )
    for kind, times in total.struck.most_common():
        _console.print(f"{times:>10,}  {kind}")


def _tell(failure: Result, broken: str = "") -> None:
    _console.print(f"\n[bold red]Seed {failure.seed} breaks a rule.[/] ", end="")
    _console.print(failure.violation, markup=False)
    _console.print("What happened to it:\n")
    _console.print(failure.short_story, markup=False)
    _console.print(f"\nThe whole schedule: make simulate SEED={failure.seed}{broken}", markup=False)


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
