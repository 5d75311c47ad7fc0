"""``make mutate``: changes modules in every small way, and lists what nothing notices."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mutation.judged import judged
from mutation.operators import Mutant, mutants
from mutation.targets import TARGETS, source_of
from mutation.trial import tried_by_simulation, tried_by_tests, warm_up

LEAST_KILLED = 0.95


@dataclass(slots=True)
class Row:
    """What became of a module's mutants."""

    made: int = 0
    by_tests: int = 0
    by_simulation: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many were noticed."""
        return self.by_tests + self.by_simulation

    def add(self, other: Row) -> None:
        """Add another module's."""
        self.made += other.made
        self.by_tests += other.by_tests
        self.by_simulation += other.by_simulation
        self.survivors += other.survivors


def main(arguments: Sequence[str]) -> int:
    """Run the mutants of some modules; 1 if too few are killed or a survivor is not judged."""
    options = _options(arguments)
    modules = options.modules or list(TARGETS)
    began = time.monotonic()
    known = judged()
    rows: dict[str, Row] = {}
    for module in modules:
        rows[module] = _row(module, options, warm_up(module))
        print(f"{module}: {rows[module].killed} of {rows[module].made} noticed", flush=True)
        for mutant in rows[module].survivors:
            if mutant.id not in known:
                print(f"  survives, and nobody has looked at it: line {mutant.line}: {mutant.id}")
    total = Row()
    for row in rows.values():
        total.add(row)
    _show(rows | {"all": total})
    print(f"\n{time.monotonic() - began:.0f} s")
    survivors = {mutant.id for mutant in total.survivors}
    gone = [
        id_
        for id_ in known
        if id_ not in survivors
        and id_.startswith(tuple(f"{module}." for module in modules))
        and not options.sample
    ]
    for id_ in gone:
        print(f"is judged as a survivor, and is noticed or gone: {id_}")
    return 1 if gone or survivors - known.keys() or _share(total) < LEAST_KILLED else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", choices=[*TARGETS, []], metavar="module")
    parser.add_argument("--seeds", type=int, default=60, help="of the simulation, for what is left")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants a module only")
    return parser.parse_args(arguments)


def _row(module: str, options: argparse.Namespace, cpu_seconds: int) -> Row:
    made = mutants(module, source_of(module))
    if options.sample:
        made = random.Random(module).sample(made, min(options.sample, len(made)))
    left: list[Mutant] = []
    for mutant, noticed in tried_by_tests(made, options.jobs, cpu_seconds):
        if not noticed:
            left.append(mutant)
            print(f"  no test notices line {mutant.line}: {mutant.id}", file=sys.stderr, flush=True)
    row = Row(made=len(made), by_tests=len(made) - len(left))
    known = judged()
    tried = left if options.seeds else []
    if options.sample:
        tried = [mutant for mutant in left if mutant.id not in known]
    survivors = {mutant.id for mutant in left}
    survivors -= {
        m.id for m, noticed in tried_by_simulation(tried, options.seeds, options.jobs) if noticed
    }
    row.by_simulation = len(left) - len(survivors)
    row.survivors = sorted((m for m in left if m.id in survivors), key=lambda m: m.line)
    return row


def _share(row: Row) -> float:
    """How much is noticed of what changes something."""
    known = judged()
    harmless = sum(mutant.id in known for mutant in row.survivors)
    return row.killed / max(row.made - harmless, 1)


def _show(rows: Mapping[str, Row]) -> None:
    print("\n| module | mutants | noticed by tests | by the simulation | survivors | noticed |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        facts = [row.made, row.by_tests, row.by_simulation, len(row.survivors)]
        share = f"{row.killed / max(row.made, 1):.1%}"
        print(f"| {' | '.join(map(str, [name, *facts, share]))} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
