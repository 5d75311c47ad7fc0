"""The operators make what they should, and a few mutants are tried at each run of the tests."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from mutation.__main__ import MARK, NOT_RUN, TOGETHER
from mutation.coverage import Coverage, Test
from mutation.judged import judged
from mutation.operators import Mutant, mutants
from mutation.patching import patch
from mutation.targets import LEFT_OUT, TESTS, file_of, source_of, targets
from orders.aws.wire import quoting
from orders.notifications import decisions
from support.recorded import RELIABILITY, recorded

SAMPLED = "orders.notifications.decisions"
NEAR = "unit/notifications"
SAMPLE = 6


def changes(source: str) -> set[tuple[str, str]]:
    return {(mutant.old, mutant.new) for mutant in mutants("m", source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if a < 1: b()", {("a < 1", "a <= 1"), ("1", "2"), ("b()", "pass")}),
        ("if a: pass", {("a", "not (a)")}),
        (
            "x: Final = a and b",
            {("a and b", "((a) or (b))"), ("a and b", "((b))"), ("a and b", "((a))")},
        ),
        ("x: Final = not a", {("not a", "(a)")}),
        ("x: Final = a if b else c", {("a if b else c", "(c if b else a)")}),
        ("x: Final = a + 'ä' + b", {("a + 'ä' + b", "a + 'ä' - b"), ("a + 'ä'", "a - 'ä'")}),
        ("x: Final = [a for a in b if c]", {("c", "True")}),
        ("x: int = True", {("True", "False")}),
        ("x: Final = min(a)", {("min", "max")}),
        ("x: Final = {'A': a, **b}", {("{'A': a, **b}", "{**(b)}"), ("{'A': a, **b}", "{'A': a}")}),
        ("x: Final = {1, 2}", {("{1, 2}", "{2}"), ("{1, 2}", "{1}")}),
        ("def f():\n    a.b = c", {("a.b = c", "pass")}),
        ("def f():\n    if a:\n        b = 1", {("a", "not (a)"), ("1", "2")}),
        ("def f():\n    match a:\n        case B():\n            b = 1", {("1", "2")}),
        (
            "def f():\n    try:\n        a = 1\n    except B:\n        a = 2",
            {("1", "2"), ("2", "3")},
        ),
        ("def f():\n    return a", {("a", "None")}),
        ("for a in b:\n    continue", {("continue", "break")}),
        ("x: Final = 'SET a = :b'", {("'SET a = :b'", "'SET a = :bX'")}),
        ("isinstance(a, B | C)", {("B | C", "B"), ("B | C", "C")}),
        ("match a:\n    case B() if c: d()", {("c", "True"), ("d()", "pass")}),
    ],
)
def test_small_changes_are_made(source: str, expected: set[tuple[str, str]]) -> None:
    assert changes(source) >= expected


@pytest.mark.parametrize(
    "source",
    [
        '"""What it is."""',
        "import a",
        "if TYPE_CHECKING:\n    import a",
        "def f(a: int = b) -> 'int': pass",
        "telemetry.warning('not done', reason=a)",
        "x: Literal['a']",
        "x: Final = cast('A', a)",
        "Pair = tuple[A | None, B]",
        "x: Final = 'the function is about to time out: '",
        "def f():\n    return []",
    ],
)
def test_what_is_for_people_and_for_types_is_left_alone(source: str) -> None:
    assert changes(source) == set()


def test_a_change_leaves_the_rest_of_the_source() -> None:
    (mutant, *_) = mutants("m", "ä: int = 1  # why\nif a == 'ß':\n    pass\n")
    assert mutant.source == "ä: int = 2  # why\nif a == 'ß':\n    pass\n"


@cache
def every_mutant() -> list[Mutant]:
    return [mutant for module in targets() for mutant in mutants(module, source_of(module))]


def test_each_mutant_can_be_told_from_the_others_and_compiles() -> None:
    made = every_mutant()
    assert len({mutant.id for mutant in made}) == len(made) > 1000
    for mutant in made[::7]:
        ast.parse(mutant.source)


def test_every_judged_survivor_is_a_mutant() -> None:
    """Otherwise the source has changed, and it must be looked at anew."""
    assert judged().keys() <= {mutant.id for mutant in every_mutant()}
    assert all(len(why.split()) > 3 for why in judged().values())


def test_what_is_left_out_is_there_and_has_a_reason() -> None:
    for module, why in LEFT_OUT.items():
        assert file_of(module).is_file()
        assert len(why.split()) > 3


def test_of_every_other_module_the_documentation_says_what_became_of_its_mutants() -> None:
    """A new one needs `make mutate MODULES=… RECORD=1`, or a line in LEFT_OUT."""
    changed = {mutant.module for mutant in every_mutant()}
    rows = recorded(RELIABILITY, MARK)
    (listed,) = re.findall(rf"^{NOT_RUN}(.*)\.$", RELIABILITY.read_text(), re.MULTILINE)
    not_run = set(listed.replace("`", "").split(", ")) - {"none"}
    assert rows.keys() - {TOGETHER} | not_run == changed
    assert not rows.keys() & not_run


def test_mutants_are_tried_and_counted() -> None:
    """A few of them; ``make mutate`` tries all, and says which survive."""
    command = [sys.executable, "-m", "mutation", "--sample", str(SAMPLE), "--seeds", "0"]
    done = subprocess.run(
        [*command, "--jobs", "1", "--tests", NEAR, "--", SAMPLED],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    row = next(line for line in done.stdout.splitlines() if line.startswith(f"| {SAMPLED} |"))
    made, noticed, _, judged_, left, _ = (cell.strip() for cell in row.strip("| ").split("|")[1:])
    assert int(made) == SAMPLE == int(noticed) + int(judged_) + int(left)
    assert int(noticed) >= SAMPLE // 2, done.stdout


def mutant_of(old: str) -> Mutant:
    made = mutants(SAMPLED, source_of(SAMPLED))
    return next(mutant for mutant in made if mutant.old == old)


def test_a_loaded_function_is_changed_in_place() -> None:
    before = decisions.is_fresh.__code__
    assert not decisions.is_fresh(None, str)
    try:
        assert patch(mutant_of("order is None or not is_time(order.placed_at)"))
        with pytest.raises(AttributeError):
            decisions.is_fresh(None, str)
    finally:
        decisions.is_fresh.__code__ = before
    assert not patch(mutant_of("240")), "it was read when the module was imported"


def test_each_test_runs_what_an_earlier_one_has_left_in_a_cache() -> None:
    """Otherwise a change there would be tried with the first of them alone."""
    module = "orders.aws.wire.quoting"
    coverage = Coverage()
    for name in ("first", "second"):
        item: Any = SimpleNamespace(nodeid=name)
        running = coverage.pytest_runtest_protocol(item)
        next(running)
        quoting.quote("a/b")
        with suppress(StopIteration):
            running.send(None)
    mutant = next(m for m in mutants(module, source_of(module)) if m.place == "_table")
    assert {test.name for test in coverage.of(mutant)} == {"first", "second"}


def test_only_tests_that_run_the_changed_function_are_tried_and_first_what_runs_its_line() -> None:
    mutant = mutant_of("order is None or not is_time(order.placed_at)")
    file, line = str(file_of(SAMPLED)), mutant.line
    runs_line = Test("unit/notifications/test_handler.py::line", 3, 3, {file: {line}})
    is_near = Test("unit/notifications/test_decisions.py::line", 9, 9, {file: {line, 1}})
    in_function = Test("unit/notifications/test_decisions.py::function", 1, 1, {file: {line + 2}})
    elsewhere = Test("unit/notifications/test_handler.py::elsewhere", 1, 1, {"another": {line}})
    collected = Test("unit/notifications/test_decisions.py::collected", 2, 2, {})
    coverage = Coverage([elsewhere, collected, in_function, runs_line, is_near])
    assert coverage.of(mutant) == [is_near, runs_line, in_function, collected]
    in_no_function = mutant_of("240")
    assert set(map(id, coverage.of(in_no_function))) == set(map(id, coverage.tests))
    assert Coverage([Test("a", 1, 1, {})]).of(in_no_function), "nobody runs it: all are tried"
