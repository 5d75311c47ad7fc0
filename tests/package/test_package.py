"""The package runs by itself on the Lambda runtime's Python: nothing of .venv but boto3 is there.

boto3 is what the runtime brings; it and what it needs are lent from .venv, and nothing else is.
"""

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import pytest

from orderctl import paths
from orderctl.deploying import package
from orderctl.deploying.package import LAMBDA_PYTHON, Architecture, Artifact, Target

RUNTIME_BRINGS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
# Lambda's limit is 250 MB. Every megabyte is fetched and unpacked at a cold start.
LARGEST_UNPACKED_BYTES = 10_000_000

IMPORT_HANDLERS = """
import importlib, sys
function, runtime, *handlers = sys.argv[1:]
sys.path[:0] = [function, runtime]
for name in handlers:
    assert callable(importlib.import_module(name).handler), name
"""


def lambda_python() -> str | None:
    """An interpreter of the version that Lambda has; None when this machine has none."""
    candidates = [shutil.which(f"python{LAMBDA_PYTHON}"), sys.executable]
    candidates += map(str, Path.home().glob(f".pyenv/versions/{LAMBDA_PYTHON}*/bin/python"))
    print_version = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        result = subprocess.run(
            [candidate, "-c", print_version], capture_output=True, text=True, check=False
        )
        if result.stdout.strip() == LAMBDA_PYTHON:
            return candidate
    return None


@pytest.fixture(scope="module", params=list(Architecture))
def artifact(request: pytest.FixtureRequest) -> Artifact:
    return package.build(Target.aws(request.param))


def test_has_every_function_and_no_boto3(artifact: Artifact) -> None:
    with zipfile.ZipFile(artifact.path) as archive:
        names = archive.namelist()
        unpacked = sum(entry.file_size for entry in archive.infolist())
    rooms = {str(path.relative_to(paths.FUNCTIONS.parent)) for path in handlers()}
    assert rooms <= set(names)
    assert {name.split("/")[0] for name in names}.isdisjoint({"boto3", "botocore", "orderctl"})
    assert unpacked < LARGEST_UNPACKED_BYTES


def test_native_libraries_are_for_the_target(artifact: Artifact) -> None:
    machine = "aarch64" if "arm64" in artifact.path.name else "x86_64"
    suffix = f".cpython-{LAMBDA_PYTHON.replace('.', '')}-{machine}-linux-gnu.so"
    with zipfile.ZipFile(artifact.path) as archive:
        native = [name for name in archive.namelist() if name.endswith(".so")]
    assert native
    assert all(name.endswith(suffix) for name in native)


def test_every_handler_imports_on_the_lambda_runtime(tmp_path: Path) -> None:
    python = lambda_python()
    if python is None:
        pytest.skip(f"no Python {LAMBDA_PYTHON}, which the Lambda runtime has, on this machine")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the package is for Linux on x86_64, and this machine is another")
    function, runtime = tmp_path / "function", tmp_path / "runtime"
    with zipfile.ZipFile(package.build(Target.aws(Architecture.X86_64)).path) as archive:
        archive.extractall(function)
    lend_boto3(runtime)
    names = [
        ".".join(path.relative_to(paths.FUNCTIONS.parent).with_suffix("").parts)
        for path in handlers()
    ]
    assert names
    result = subprocess.run(
        [python, "-I", "-S", "-B", "-c", IMPORT_HANDLERS, str(function), str(runtime), *names],
        env=os.environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def handlers() -> list[Path]:
    return sorted(paths.FUNCTIONS.glob("*/handler.py"))


def lend_boto3(runtime: Path) -> None:
    """A directory with boto3 and what it needs, as the Lambda runtime has it."""
    runtime.mkdir()
    installed = Path(boto3.__file__).parents[1]
    for name in RUNTIME_BRINGS:
        (runtime / name).symlink_to(installed / name)
