"""``make mutate``: changes modules in every small way, and lists what nothing notices."""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Final

from mutation.judged import judged
from mutation.operators import Mutant, mutants
from mutation.targets import TESTS, source_of, targets
from mutation.trial import Tests, tried_by_simulation, tried_by_tests, with_tests
from support.recorded import RELIABILITY, record, recorded

LEAST_NOTICED: Final = 0.95
_OF_THE_TOOL: Final = "orderctl"
MARK: Final = "mutation: runs"
TOGETHER: Final = "together"
NOT_RUN: Final = "Not run to the end yet: "


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a module's mutants."""

    made: int
    by_tests: int
    by_simulation: int
    judged: int
    """Survivors that change nothing, as somebody says."""
    left: int
    """Survivors that nobody has looked at."""

    @property
    def share(self) -> float:
        """How much is noticed of what changes something."""
        return (self.by_tests + self.by_simulation) / max(self.made - self.judged, 1)

    @property
    def cells(self) -> tuple[str, ...]:
        """As they stand in the table."""
        return (*(f"{count:,}" for count in astuple(self)), f"{self.share:.1%}")

    @property
    def is_enough(self) -> bool:
        """Whether every survivor is judged, and enough of the others is noticed."""
        return not self.left and self.share >= LEAST_NOTICED


def main(arguments: Sequence[str]) -> int:
    """Run the mutants of some modules; 1 if too few are noticed or a survivor is not judged."""
    options = _options(arguments)
    is_fine: list[bool] = []
    with_tests(options.tests, lambda tests: is_fine.append(_run(tests, options)))
    return 0 if all(is_fine) else 1


def _run(tests: Tests, options: argparse.Namespace) -> bool:
    """Whether every survivor is judged, and enough of the others is noticed."""
    began = time.monotonic()
    print(f"{len(tests.items):,} tests pass", flush=True)
    rows: dict[str, Row] = {}
    is_judged_well = True
    for module in options.modules or targets():
        if not (made := _mutants(module, options.sample)):
            continue
        survivors, rows[module] = _row(made, tests, options)
        print(f"| {module} | {' | '.join(rows[module].cells)} |", flush=True)
        is_judged_well &= not _wrongly_judged(made, survivors)
        if options.record:
            _record(module, rows[module])
    for name in (again := tests.run_again()):
        print(f"fails whenever it is run a second time, so what it has noticed is nothing: {name}")
    print(f"| {TOGETHER} | {' | '.join(_sum(rows.values()).cells)} |")
    print(f"\n{time.monotonic() - began:.0f} s")
    return not again and is_judged_well and all(row.is_enough for row in rows.values())


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", choices=[*targets(), []], metavar="module")
    parser.add_argument("--tests", nargs="+", default=_tests(), help="paths below tests")
    parser.add_argument("--seeds", type=int, default=60, help="of the simulation, for what is left")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants a module only")
    parser.add_argument("--record", action="store_true", help="in docs/reliability.md")
    return parser.parse_args(arguments)


def _tests() -> list[str]:
    """The unit tests of what is changed, and the property tests."""
    paths = sorted((TESTS / "unit").glob("[!_]*"))
    rooms = [str(path.relative_to(TESTS)) for path in paths if path.name != _OF_THE_TOOL]
    return [*rooms, "property"]


def _mutants(module: str, sample: int) -> list[Mutant]:
    made = mutants(module, source_of(module))
    return random.Random(module).sample(made, min(sample, len(made))) if sample else made


def _row(made: Sequence[Mutant], tests: Tests, options: argparse.Namespace) -> tuple[set[str], Row]:
    """Try a module's mutants; the ids of those that nothing notices, and the row."""
    left = _unnoticed(tried_by_tests(made, tests, options.jobs))
    by_tests = len(made) - len(left)
    if options.seeds:
        left = _unnoticed(tried_by_simulation(left, options.seeds, options.jobs))
    known = judged()
    unknown = [mutant for mutant in left if mutant.id not in known]
    for mutant in sorted(unknown, key=lambda mutant: mutant.line):
        print(f"  survives, and nobody has looked at it: line {mutant.line}: {mutant.id}")
    by_simulation = len(made) - by_tests - len(left)
    row = Row(len(made), by_tests, by_simulation, len(left) - len(unknown), len(unknown))
    return {mutant.id for mutant in left}, row


def _unnoticed(outcomes: Iterable[tuple[Mutant, bool]]) -> list[Mutant]:
    return [mutant for mutant, is_noticed in outcomes if not is_noticed]


def _wrongly_judged(made: Sequence[Mutant], survivors: set[str]) -> set[str]:
    wrong = (judged().keys() & {mutant.id for mutant in made}) - survivors
    for id_ in sorted(wrong):
        print(f"  is judged as a survivor, and is noticed: {id_}")
    return wrong


def _sum(rows: Iterable[Row]) -> Row:
    columns = zip(*map(astuple, rows), strict=True)
    return Row(*map(sum, columns))


def _record(module: str, row: Row) -> None:
    """Write a module's row, the sum of all, and which modules have none."""
    names = [*targets(), TOGETHER]
    record(RELIABILITY, MARK, names, {module: (*row.cells, f"{datetime.now(UTC):%Y-%m-%d}")})
    cells = recorded(RELIABILITY, MARK)
    cells.pop(TOGETHER, None)
    rows = [Row(*(int(cell.replace(",", "")) for cell in line[:5])) for line in cells.values()]
    record(RELIABILITY, MARK, names, {TOGETHER: (*_sum(rows).cells, "")})
    left = [f"`{name}`" for name in targets() if name not in cells and _mutants(name, 0)]
    page = RELIABILITY.read_text(encoding="utf-8")
    said = re.sub(
        rf"^{NOT_RUN}.*$", f"{NOT_RUN}{', '.join(left) or 'none'}.", page, flags=re.MULTILINE
    )
    RELIABILITY.write_text(said, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
