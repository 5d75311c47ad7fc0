"""`python -m bench.against COMMIT`: the local cloud beside that of another commit.

Both clouds run at the same time and have the same functions. Each burst of orders goes through one
and then through the other, so what else the machine does hits both. How many orders a burst takes a
second still depends on it; the CPU of an order depends on it less. How many times better this tree
is, is the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import local
from bench.processes import ROOT
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.terminal import console

_SERVER: Final = (sys.executable, "-m", "orderctl.localcloud.server")


def main() -> None:
    """Compare, and print how many times better this tree is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="the commit whose local cloud is compared with this one")
    parser.add_argument("--orders", type=int, default=200, help="how many orders a burst has")
    parser.add_argument("--rounds", type=int, default=7, help="how many bursts each cloud gets")
    arguments = parser.parse_args()
    with (
        _checked_out(arguments.commit) as tree,
        LocalCloud(transaction_ms=0) as here,
        LocalCloud(
            transaction_ms=0, server=("/usr/bin/env", f"PYTHONPATH={tree / 'src'}", *_SERVER)
        ) as there,
    ):
        clouds = {"here": here, "there": there}
        for cloud in clouds.values():
            local.prepare(cloud)
            local.send_burst(cloud, arguments.orders)  # the first orders meet cold functions
        bursts: dict[str, list[dict[str, Any]]] = {name: [] for name in clouds}
        for number in range(arguments.rounds):
            for name in [*clouds] if number % 2 else reversed(clouds):
                bursts[name].append(local.send_burst(clouds[name], arguments.orders))
    _show(arguments.commit, bursts)


@contextmanager
def _checked_out(commit: str) -> Iterator[Path]:
    """A commit's files, for as long as the block takes."""
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(("git", *arguments), cwd=ROOT, check=True)


def _show(commit: str, bursts: dict[str, list[dict[str, Any]]]) -> None:
    rows = [
        ("orders a second", [[run["ended_per_second"] for run in bursts[name]] for name in bursts]),
        *(
            (
                f"CPU of an order, {process}, ms",
                [[run["cpu_ms_per_order"][process] for run in bursts[name]] for name in bursts],
            )
            for process in ("emulator", "functions")
        ),
    ]
    console.table(
        ("median", "here", commit, "here of it", "each round"),
        [
            (
                name,
                f"{median(here):.1f}",
                f"{median(there):.1f}",
                f"{median(shares):.2f}",
                " ".join(f"{share:.2f}" for share in shares),
            )
            for name, (here, there) in rows
            for shares in [[one / other for one, other in zip(here, there, strict=True)]]
        ],
    )
    console.out().print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
