"""Which tests run which lines: only those can notice a change there."""

from __future__ import annotations

import ast
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import pytest

from mutation.operators import Mutant
from mutation.patching import forget_what_is_cached
from mutation.targets import SOURCES, file_of, source_of

if TYPE_CHECKING:
    from _typeshed import TraceFunction

_OURS: Final = str(SOURCES / "orders")

Lines = Mapping[str, frozenset[int] | set[int]]
"""By file, the numbers of some lines."""


@dataclass(frozen=True, slots=True)
class Test:
    """A test, what it took, and what it ran."""

    __test__ = False

    name: str
    """As pytest names it."""
    seconds: float
    cpu_seconds: float
    lines: Lines

    def runs(self, file: str, lines: range | None) -> bool:
        """Whether it runs one of these lines of a file, or any."""
        ran = self.lines.get(file, frozenset())
        return bool(ran) if lines is None else not ran.isdisjoint(lines)


@dataclass(eq=False, slots=True)  # a plugin is kept in sets
class Coverage:
    """Notes of each test what it runs: a plugin of pytest."""

    tests: list[Test] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _lines: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what fails."""
        if report.failed:
            self.failed.append(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run a test while its lines are noted; nothing is kept from the tests before it."""
        forget_what_is_cached()
        self._lines = defaultdict(set)
        began, cpu_began = time.monotonic(), time.process_time()
        self._trace_with(self._enter)
        try:
            return (yield)
        finally:
            self._trace_with(None)
            seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
            self.tests.append(Test(item.nodeid, seconds, cpu_seconds, self._lines))

    def of(self, mutant: Mutant) -> list[Test]:
        """The tests that run the function with the change; first what runs its line, and is near.

        The tests of the module's name may also run it while they are collected, which is not noted.
        What is in no function, or in one that no test runs, is run by the import: it matters to
        whoever runs the module and to the tests near it; or if there are none, to all.
        """
        file = str(file_of(mutant.module))
        span = _function_around(mutant.module, mutant.line)
        if not any(test.runs(file, span) for test in self.tests):
            span = None
        *_, room, name = mutant.module.split(".")
        own = f"/{room}/test_{name}.py" if room != "orders" else f"/test_{name}.py"
        near = own if span or room == "orders" else f"/{room}/"
        found = [test for test in self.tests if test.runs(file, span) or near in test.name]
        return sorted(
            found or self.tests,
            key=lambda test: (
                not test.runs(file, range(mutant.line, mutant.line + 1)),
                own not in test.name,
                f"/{room}/" not in test.name,
                test.seconds,
            ),
        )

    @staticmethod
    def _trace_with(trace: TraceFunction | None) -> None:
        sys.settrace(trace)
        threading.settrace(trace)

    def _enter(self, frame: FrameType, event: str, argument: object) -> TraceFunction | None:
        return self._note if frame.f_code.co_filename.startswith(_OURS) else None

    def _note(self, frame: FrameType, event: str, argument: object) -> TraceFunction:
        self._lines[frame.f_code.co_filename].add(frame.f_lineno)
        return self._note


@dataclass(eq=False, frozen=True, slots=True)
class Chosen:
    """Runs chosen tests alone, in their order: a plugin of pytest."""

    tests: Sequence[Test]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the others out; a change can give a parametrized test other names."""
        order = {test.name: number for number, test in enumerate(self.tests)}
        functions = {_without_parameters(name) for name in order}
        items[:] = sorted(
            (item for item in items if _without_parameters(item.nodeid) in functions),
            key=lambda item: order.get(item.nodeid, len(order)),
        )


def _without_parameters(name: str) -> str:
    return name.partition("[")[0]


@cache
def _functions(module: str) -> list[range]:
    """The lines of each function of a module, the inner ones last."""
    nodes = ast.walk(ast.parse(source_of(module)))
    return [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in nodes
        if isinstance(node, ast.FunctionDef)
    ]


def _function_around(module: str, line: int) -> range | None:
    return next((lines for lines in reversed(_functions(module)) if line in lines), None)
