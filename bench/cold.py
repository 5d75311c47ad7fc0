"""Cold starts: from the start of the process until the handler is ready."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from bench.figures import Progress, spread
from bench.processes import Code, python
from bench.setting import FLOOR, OURS, TIMED, Function, environment

# The process says what it has used, and is gone: its end is not part of a cold start.
_READY: Final = """
import os, resource, sys, time
used = resource.getrusage(resource.RUSAGE_SELF)
os.write(1, f"{used.ru_utime + used.ru_stime} {time.time()}".encode())
os._exit(0)
"""


def measure(
    code: Code,
    functions: Sequence[Function],
    repetitions: int,
    report_progress: Progress,
    versions: Sequence[str] = TIMED,
) -> dict[str, Any]:
    """Start each function again and again: the floor and each version in turn.

    Args:
        code: where the functions' code is.
        functions: which.
        repetitions: how often each is started.
        report_progress: called with how many repetitions are done, of how many.
        versions: which of them; the floor is always there.

    Returns:
        CPU and time in ms, and the imports behind them, by function.
    """
    taken: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for repetition in range(repetitions + 1):
        for function in functions:
            for version in _started(function, versions):
                sample = _start(code, function, version)
                if repetition:  # the first one warms the caches of the file system
                    taken[function.name, version].append(sample)
        report_progress(repetition, repetitions)
    return {
        function.name: {
            **{
                version: {
                    "cpu_ms": spread([cpu * 1e3 for cpu, _ in taken[function.name, version]]),
                    "wall_ms": spread([wall * 1e3 for _, wall in taken[function.name, version]]),
                }
                for version in _started(function, versions)
            },
            "imports": _imports(code, function),
        }
        for function in functions
    }


def _started(function: Function, versions: Sequence[str]) -> Sequence[str]:
    return (FLOOR, *(version for version in versions if version in function.versions))


def _source(function: Function, version: str) -> str:
    if version != FLOOR:
        return f"import {function.handler(version)}"
    # What boto3's own guide shows, and nothing else.
    return "import boto3\n" + "\n".join(f"boto3.client({c!r})" for c in function.clients)


def _start(code: Code, function: Function, version: str) -> tuple[float, float]:
    """Seconds of CPU and of time until the handler is ready."""
    command = (sys.executable, "-S", "-c", _source(function, version) + _READY)
    started = time.time()
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        check=True,
        **python(code, version, environment(function, version)),
    )
    cpu, ready = map(float, result.stdout.split())
    return cpu, ready - started


def _imports(code: Code, function: Function) -> dict[str, Any]:
    """What our handler imports beyond the floor and the other way round, in ms, by package."""
    floor, ours = (_imported(code, function, version) for version in (FLOOR, OURS))
    return {
        "added": _by_package({m: t for m, t in ours.items() if m not in floor}),
        "spared": _by_package({m: t for m, t in floor.items() if m not in ours}),
    }


def _imported(code: Code, function: Function, version: str) -> dict[str, float]:
    """The milliseconds that each module takes by itself, as ``-X importtime`` has it."""
    command = (sys.executable, "-S", "-X", "importtime", "-c", _source(function, version))
    result = subprocess.run(
        command,
        stderr=subprocess.PIPE,
        check=True,
        **python(code, version, environment(function, version)),
    )
    rows = [line.removeprefix("import time:").split("|") for line in result.stderr.splitlines()]
    return {row[2].strip(): int(row[0]) / 1e3 for row in rows if row[0].strip().isdigit()}


def _by_package(modules: dict[str, float]) -> dict[str, float]:
    packages: dict[str, float] = defaultdict(float)
    for module, milliseconds in modules.items():
        packages[_package(module)] += milliseconds
    most_first = sorted(packages.items(), key=lambda item: -item[1])
    return {name: round(ms, 1) for name, ms in most_first}


def _package(module: str) -> str:
    if module.startswith("orders.") and module.endswith(".handler"):
        return "making the clients"  # which a handler does while it is imported
    top = module.partition(".")[0]
    known = ("orders", "boto3", "botocore", "s3transfer", "msgspec", "urllib3")
    return top if top in known else "standard library"
