"""Runs Spin on the models: makes a verifier, compiles it, and reads what it found."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ORDERS: Final = Path(__file__).with_name("orders.pml")
STOCK: Final = Path(__file__).with_name("stock.pml")
MISSING: Final = ", ".join(tool for tool in ("spin", "gcc") if not shutil.which(tool))
"""What has to be installed first; nothing else is in its place."""
_MAX_DEPTH: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Scope:
    """How much of a model is gone through."""

    model: Path
    defines: str = ""
    """For Spin: what the model has ``#ifndef`` for, if that is to be different."""
    liveness: bool = False
    """Whether every order ends, under weak fairness; otherwise the assertions."""


SCOPES: Final = {
    "no fault": Scope(ORDERS, "-DFAULTS=0"),
    "one fault": Scope(ORDERS, "-DFAULTS=1"),
    "two faults": Scope(ORDERS, "-DFAULTS=2"),
    "two of payments at once, no fault": Scope(ORDERS, "-DFAULTS=0 -DPAYMENTS_WORKERS=2"),
    "two of payments at once, one fault": Scope(ORDERS, "-DFAULTS=1 -DPAYMENTS_WORKERS=2"),
    "two of inventory at once, no fault": Scope(ORDERS, "-DFAULTS=0 -DINVENTORY_WORKERS=2"),
    "two of inventory at once, one fault": Scope(ORDERS, "-DFAULTS=1 -DINVENTORY_WORKERS=2"),
    "two of the tracker at once, no fault": Scope(ORDERS, "-DFAULTS=0 -DTRACKER_WORKERS=2"),
    "two of the tracker at once, one fault": Scope(ORDERS, "-DFAULTS=1 -DTRACKER_WORKERS=2"),
    "every order ends, no fault": Scope(ORDERS, "-DFAULTS=0", liveness=True),
    "every order ends, one fault": Scope(ORDERS, "-DFAULTS=1", liveness=True),
    "every order ends, three faults, nobody else acts": Scope(
        ORDERS, "-DFAULTS=3 -DBYSTANDERS=false", liveness=True
    ),
    "stock: two orders, one piece": Scope(STOCK),
    "stock: two orders, one piece, an operator": Scope(STOCK, "-DOPERATOR=true"),
    "stock: two orders, two pieces": Scope(STOCK, "-DPIECES=2"),
}
"""By name."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the verifier said."""

    text: str

    @property
    def error(self) -> str | None:
        """What does not hold; None if everything does, in every schedule of the scope."""
        if violated := re.search(r"^pan:\d+: (.*) \(at depth", self.text, re.MULTILINE):
            return violated[1]
        if "errors: 0" in self.text and "Search not completed" not in self.text:
            return None
        return f"not gone through: {self.text}"

    @property
    def states(self) -> int:
        """How many states there are; with liveness, of order and claim together."""
        return self._number(r"(\S+) states, stored")

    @property
    def transitions(self) -> int:
        """How many steps lead from one to another."""
        return self._number(r"(\S+) transitions")

    @property
    def depth(self) -> int:
        """How many steps the longest schedule has."""
        return self._number(r"depth reached (\d+)")

    @property
    def standings(self) -> set[tuple[str, ...]]:
        """In which ways an order may stand: its status, what it notes, payment, reservation."""
        names = _names()
        lines = re.findall(r"^stands (.*)$", self.text, re.MULTILINE)
        return {tuple(names[int(number)] for number in line.split()) for line in lines}

    def _number(self, pattern: str) -> int:
        match = re.search(pattern, self.text)
        return int(float(match[1])) if match else 0  # large ones are printed as 1.3e+08


QUICKLY: Final = ("-O0",)
"""Half a second for gcc."""
THOROUGHLY: Final = ("-O2", "-DCOLLAPSE")
"""Four seconds for gcc, and half of the time and of the memory for the verifier."""


def verify(
    folder: Path, scope: Scope, model: str | None = None, options: Sequence[str] = QUICKLY
) -> Report:
    """Go through a scope.

    Args:
        folder: an empty one, for the verifier.
        scope: what to go through.
        model: a changed model; by default as it is.
        options: for gcc.

    Raises:
        CalledProcessError: Spin cannot read the model, or gcc cannot compile the verifier.
    """
    (folder / "model.pml").write_text(model or scope.model.read_text())
    _run(folder, "spin", "-a", "-DSTANDINGS", *scope.defines.split(), "model.pml")
    kind = ["-DNFAIR=3"] if scope.liveness else ["-DSAFETY", "-DNOCLAIM"]
    _run(folder, "gcc", "-w", *options, *kind, "-o", "pan", "pan.c")
    search = ["-a", "-f"] if scope.liveness else []
    return Report(_run(folder, "./pan", f"-m{_MAX_DEPTH}", *search))


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def _names() -> dict[int, str]:
    """What the numbers mean: Spin counts each declaration from its end."""
    names: list[str] = []
    for declared in re.findall(r"^mtype = \{(.*?)\}", ORDERS.read_text(), re.MULTILINE):
        names += reversed([name.strip() for name in declared.split(",")])
    return dict(enumerate(names, start=1))
