"""Runs one mutant in a process of its own, forked off with all libraries loaded."""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from mmap import mmap
from types import CodeType, ModuleType
from typing import Any, Final

import pytest
from _pytest.runner import runtestprotocol

from mutation.coverage import Chosen, Coverage, Test
from mutation.operators import Mutant
from mutation.patching import patch
from mutation.targets import TESTS, source_of
from simulation import runner
from simulation.rooms import NothingToSabotageError, Sabotage, load
from simulation.template import topology

_OF_TESTS: Final = tuple(f"{TESTS / part}{os.sep}" for part in ("unit", "property", "support"))
_SIMULATION_SECONDS: Final = 300
_NOTICED: Final = 1
_BROKEN: Final = 70
_COMPILED: Final = TESTS.parent / "build" / "mutation"
_UNNOTICED: Final = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
_QUIET: Final = (
    *("-qq", "-x", "-s", "--tb=no", "-m", "not long"),
    # What these do takes longer than most tests.
    *(f"-pno:{plugin}" for plugin in ("cacheprovider", "unraisableexception", "threadexception")),
)

Outcome = tuple[Mutant, bool]
"""A mutant, and whether it was noticed."""


class NotTriedError(Exception):
    """Something goes wrong that is not the mutant's doing."""


class BaselineError(Exception):
    """The tests fail before anything is changed."""


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests, as they are collected, and what each runs."""

    coverage: Coverage
    items: Mapping[str, pytest.Item]
    """By name."""
    noticing: memoryview
    """A byte each, which is 1 if it has noticed a change; shared with the processes that try."""

    def run_again(self) -> list[str]:
        """Run the tests that have noticed a change, without one; the names of those that fail.

        They fail whenever they are run a second time, so what they have noticed says nothing.
        """
        noticing = [name for name, has in zip(self.items, self.noticing, strict=True) if has]
        failing: list[str] = []
        for name in noticing:
            process = _fork(lambda name=name: _fails(self.items[name]))  # type: ignore[misc]
            if os.waitpid(process, 0)[1]:
                failing.append(name)
        return failing


@dataclass(eq=False, slots=True)
class _Afterwards:
    """Does something with the tests when all have passed: a plugin of pytest."""

    coverage: Coverage
    work: Callable[[Tests], None]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Do it while pytest is set up."""
        result = yield
        with redirect_stdout(sys.__stdout__):
            items = {item.nodeid: item for item in session.items}
            self.work(Tests(self.coverage, items, memoryview(mmap(-1, len(items)))))
        return result


def with_tests(paths: Sequence[str], work: Callable[[Tests], None]) -> None:
    """Run the tests as they are, which also loads every library, and then do something with them.

    Args:
        paths: below ``tests``.
        work: is given the tests.

    Raises:
        BaselineError: a test fails.
    """
    # Compiled tests are kept, apart from others: else each mutant compiles all of its tests.
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(_COMPILED)
    coverage = Coverage()
    if _pytest([str(TESTS / path) for path in paths], coverage, _Afterwards(coverage, work)):
        raise BaselineError(f"as it is, this fails: {', '.join(coverage.failed) or paths}")


def tried_by_tests(mutants: Sequence[Mutant], tests: Tests, jobs: int) -> Iterator[Outcome]:
    """Run the tests that run each mutant.

    One that loops or waits is noticed: a test takes seconds more, and many times what it took.
    """

    def run(mutant: Mutant) -> bool:
        chosen = tests.coverage.of(mutant)
        # What is patched may have been called before; so what survives is imported, too.
        return _run_patched(mutant, chosen, tests) or _run_imported(mutant, chosen)

    return _each(mutants, run, jobs)


def tried_by_simulation(mutants: Sequence[Mutant], seeds: int, jobs: int) -> Iterator[Outcome]:
    """Run each mutant through seeds of the simulation; it notices none that no function loads."""

    def run(mutant: Mutant) -> bool:
        signal.alarm(_SIMULATION_SECONDS)
        return _simulate(mutant, seeds)

    return _each(mutants, run, jobs)


def _each(mutants: Sequence[Mutant], run: Callable[[Mutant], bool], jobs: int) -> Iterator[Outcome]:
    """Fork a process for each; one that hangs or dies has noticed its mutant."""
    running: dict[int, Mutant] = {}
    waiting = list(reversed(mutants))
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[_fork(lambda mutant=mutant: run(mutant))] = mutant  # type: ignore[misc]
        process, status = os.wait()
        if process in running:
            mutant = running.pop(process)
            if os.waitstatus_to_exitcode(status) == _BROKEN:
                raise NotTriedError(mutant.id)
            yield mutant, status != 0


def _fork(run: Callable[[], bool]) -> int:
    gc.freeze()
    process = os.fork()
    if process:
        return process
    code = _BROKEN
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        gc.disable()
        shown = os.fdopen(os.dup(2), "w")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        code = _NOTICED if run() else 0
    except BaseException:
        traceback.print_exc(file=shown)
        shown.flush()
    os._exit(code)


def _run_patched(mutant: Mutant, chosen: Sequence[Test], tests: Tests) -> bool:
    """Run tests as they are loaded, which is quick."""
    if not patch(mutant):
        return False
    numbers = {name: number for number, name in enumerate(tests.items)}
    for test in chosen:
        _limit(test.cpu_seconds)
        if _fails(tests.items[test.name]):
            tests.noticing[numbers[test.name]] = 1
            return True
    return False


def _fails(item: pytest.Item) -> bool:
    item._initrequest()  # type: ignore[attr-defined]  # its fixtures are made anew
    try:
        return any(report.failed for report in runtestprotocol(item, log=False))
    except (KeyboardInterrupt, SystemExit):
        return True


def _run_imported(mutant: Mutant, chosen: Sequence[Test]) -> bool:
    """Run tests with all that is changed imported anew."""
    if not chosen:
        return False
    _limit(sum(test.cpu_seconds for test in chosen))
    _forget_what_is_changed()
    sys.meta_path.insert(0, _Finder(mutant))
    paths = dict.fromkeys(test.name.partition("::")[0] for test in chosen)
    return _pytest([str(TESTS.parent / path) for path in paths], Chosen(chosen)) not in _UNNOTICED


def _limit(cpu_seconds: float) -> None:
    """Have this process ended when it takes much more than that from now on.

    By the clock it has time for a busy machine.
    """
    most = 3 + 6 * cpu_seconds
    soft, hard = int(time.process_time() + most) + 1, resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    signal.alarm(30 + int(10 * most))


def _simulate(mutant: Mutant, seeds: int) -> bool:
    change = Sabotage(mutant.id, mutant.module, source_of(mutant.module), mutant.source)
    try:
        rooms = load(topology(), change)
    except NothingToSabotageError:
        return False
    except Exception:
        return True
    return runner.search(range(seeds), rooms).failure is not None


def _pytest(paths: Sequence[str], *plugins: object) -> int:
    with redirect_stdout(StringIO()):
        return pytest.main([*_QUIET, f"--rootdir={TESTS.parent}", *paths], plugins=plugins)


def _forget_what_is_changed() -> None:
    """Have the functions' modules imported anew, and the tests, which hold on to them."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "orders" or _is_test(module):
            del sys.modules[name]


def _is_test(module: ModuleType) -> bool:
    return str(getattr(module, "__file__", None)).startswith(_OF_TESTS)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, whose source is the mutant's."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._mutant.source)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._mutated = source

    def get_code(self, fullname: str) -> CodeType:
        code = compile(self._mutated, self.path, "exec")
        assert isinstance(code, CodeType)
        return code
