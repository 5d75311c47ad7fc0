"""Functions in processes of their own, with the code that would be deployed and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.setting import TEXTBOOK, TIMED, Function, environment
from bench.workload import Event
from orderctl import paths
from orderctl.deploying import package
from orderctl.errors import OrderctlError

ROOT: Final = paths.ROOT
_BUILD: Final = paths.BUILD / "bench"
_SITE_PACKAGES: Final = Path(sysconfig.get_path("purelib"))
# What the Lambda runtime brings; it is there compiled, so it is used where it is.
_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
# Lambda sets it for every invocation, and Powertools' Logger writes it.
_TRACE: Final = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=557abcec3ee5a047;Sampled=0"
_TEXTBOOK: Final = (
    "aws_lambda_powertools",
    "annotated_types",
    "jmespath",
    "pydantic",
    "pydantic_core",
    "typing_extensions.py",
    "typing_inspection",
)


class FunctionFailedError(OrderctlError):
    """A measured function failed; a number of such a run means nothing."""


@dataclass(frozen=True, slots=True)
class Code:
    """Where the code lies that the functions are made of."""

    runtime: Path
    ours: Path
    textbook: Path

    def path(self, version: str) -> str:
        """PYTHONPATH of a function."""
        return f"{self.textbook if version == TEXTBOOK else self.ours}:{self.runtime}"


def lay_out(directory: Path = _BUILD, versions: Sequence[str] = TIMED) -> Code:
    """Unpack the deployment package, and what stands for the Lambda runtime and a textbook one.

    Args:
        directory: where; what is there goes.
        versions: ours, or the textbook's, too, whose libraries `make bench` installs.
    """
    shutil.rmtree(directory, ignore_errors=True)
    code = Code(directory / "runtime", directory / "ours", directory / "textbook")
    for made in (code.runtime, code.ours, code.textbook):
        made.mkdir(parents=True)
    with zipfile.ZipFile(package.build(package.Target.this_machine()).path) as archive:
        archive.extractall(code.ours)
    for name in _RUNTIME:
        (code.runtime / name).symlink_to(_SITE_PACKAGES / name)
    if TEXTBOOK in versions:
        _lay_out_textbook(code)
    return code


def _lay_out_textbook(code: Code) -> None:
    for name in _TEXTBOOK:
        _copy(_SITE_PACKAGES / name, code.textbook / name)
    (code.textbook / "bench").mkdir()
    _copy(ROOT / "bench" / "textbook", code.textbook / "bench" / "textbook")


def _copy(source: Path, target: Path) -> None:
    """Copy a module or a package without its bytecode, which no deployment package has."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyi"))
    else:
        shutil.copy(source, target)


def python(code: Code, version: str, variables: dict[str, str]) -> dict[str, Any]:
    """How a function's process is started: nothing of this environment reaches it."""
    return {
        "env": {
            "PATH": os.defpath,
            "PYTHONPATH": code.path(version),
            # As in Lambda, where the directory of the code cannot be written.
            "PYTHONDONTWRITEBYTECODE": "1",
            "_X_AMZN_TRACE_ID": _TRACE,
            **variables,
        },
        "cwd": code.runtime,
        "text": True,
    }


@dataclass(frozen=True, slots=True)
class Worker:
    """A function that was made and waits to be invoked."""

    function: Function
    version: str
    process: subprocess.Popen[str]

    def invoke(self, events: Sequence[Event], *, profiled: bool = False) -> dict[str, Any]:
        """Invoke it with one event after the other.

        Raises:
            FunctionFailedError: an invocation failed.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"events": events, "profiled": profiled}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise FunctionFailedError(
                f"{self.function.name} ({self.version}) failed; why is above."
            )
        figures: dict[str, Any] = json.loads(answer)
        return figures


@contextmanager
def worker(code: Code, function: Function, version: str, endpoint: str) -> Iterator[Worker]:
    """Run a function in a process of its own, against the AWS at an endpoint."""
    command = (sys.executable, "-SP", str(ROOT / "bench" / "worker.py"), function.handler(version))
    variables = environment(function, version, endpoint)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **python(code, version, variables),
    ) as process:
        try:
            yield Worker(function, version, process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
