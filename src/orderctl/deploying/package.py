"""The deployment package: one zip with every function and the libraries they import.

The same source gives the same bytes: the package is named by its hash, so a deployment that changes
nothing is recognized. boto3 is not in it: the Lambda runtime brings its own.

It contains bytecode if this machine has an interpreter of the runtime's version. Lambda's file
system is read-only, so without bytecode every cold start would compile all that it imports.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from orderctl import paths
from orderctl.errors import OrderctlError

LAMBDA_PYTHON = "3.13"

# Every entry of the zip gets the first time that the format has, in 1980.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_0644 = 0o100644 << 16
_UNIX = 3

# Files of pip, type checkers and browsers, which no function reads.
_ignored = shutil.ignore_patterns(
    *("__pycache__", "*.dist-info", "tests", "swagger_ui", "bin"),
    *(".*", "*.pyc", "*.pyi", "py.typed"),
)


class Architecture(StrEnum):
    """The processors Lambda runs on, as CloudFormation names them."""

    X86_64 = "x86_64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True)
class Target:
    """What the package is to run on.

    Attributes:
        name: Names the package and the cache of its libraries.
        pip_options: Makes pip choose the wheels for it.
        interpreter: A Python of its version on this machine, which compiles the bytecode.
    """

    name: str
    pip_options: tuple[str, ...] = ()
    interpreter: str | None = None

    @classmethod
    def aws(cls, architecture: Architecture) -> "Target":
        """The Lambda runtime in AWS."""
        machine = {"x86_64": "x86_64", "arm64": "aarch64"}[architecture]
        return cls(
            name=f"lambda-{architecture}-python{LAMBDA_PYTHON}",
            pip_options=(
                *("--platform", f"manylinux2014_{machine}"),
                *("--platform", f"manylinux_2_28_{machine}"),
                *("--python-version", LAMBDA_PYTHON),
                *("--implementation", "cp"),
                "--only-binary=:all:",
            ),
            interpreter=_interpreter(LAMBDA_PYTHON),
        )

    @classmethod
    def this_machine(cls) -> "Target":
        """The running interpreter, on which the local cloud runs the functions."""
        interpreter = f"{platform.python_implementation()}{sysconfig.get_python_version()}"
        name = f"local-{sysconfig.get_platform()}-{interpreter}".lower()
        return cls(name, interpreter=sys.executable)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A deployment package.

    Attributes:
        path: The zip on disk, until another build for the same target replaces it.
        content: Its bytes.
        has_bytecode: Whether it contains bytecode, so that cold starts need not compile.
    """

    path: Path
    content: bytes = field(repr=False)
    has_bytecode: bool = False

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.content)

    @property
    def sha256(self) -> str:
        """The hash of its bytes, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def build(
    target: Target,
    *,
    functions: Path = paths.FUNCTIONS,
    lock: Path = paths.LAMBDA_LOCK,
    build_directory: Path = paths.BUILD,
) -> Artifact:
    """Build the deployment package.

    The libraries are installed once per lock and target, and kept. Only that needs a package index.

    Args:
        target: What the package is to run on.
        functions: The Python package with the functions.
        lock: The functions' libraries, pinned and hashed.
        build_directory: Where the package and the kept libraries go.

    Raises:
        OrderctlError: The libraries could not be installed, or something does not compile.
    """
    libraries = _libraries(target, lock, build_directory)
    with tempfile.TemporaryDirectory(dir=build_directory, prefix=".incomplete-") as scratch:
        own = Path(scratch) / "own"
        shutil.copytree(functions, own / functions.name, ignore=_ignored)
        _compile(target, own)
        zipped = Path(scratch) / "zip"
        _write(_files(libraries) | _files(own), zipped)
        content = zipped.read_bytes()
        path = build_directory / f"{target.name}.zip"
        zipped.replace(path)  # a reader sees the old one or the new one, never a part
    return Artifact(path, content, has_bytecode=target.interpreter is not None)


def _libraries(target: Target, lock: Path, build_directory: Path) -> Path:
    """The directory with the installed libraries; they are installed if it is missing.

    It gets its name only when it is complete, so that an interrupted installation is never taken
    for a finished one.
    """
    parent = build_directory / "libraries"
    installed = parent / f"{target.name}-{_libraries_hash(target, lock)}"
    if installed.is_dir():
        return installed
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".incomplete-") as scratch:
        _install(target, lock, Path(scratch) / "installed")
        incomplete = Path(scratch) / "libraries"
        shutil.copytree(Path(scratch) / "installed", incomplete, ignore=_ignored)
        _compile(target, incomplete)
        try:
            incomplete.rename(installed)
        except OSError:
            if not installed.is_dir():  # else another build was faster, with the same result
                raise
    return installed


def _libraries_hash(target: Target, lock: Path) -> str:
    interpreter = target.interpreter and _version(target.interpreter)
    key = "\n".join((*target.pip_options, str(interpreter))).encode() + lock.read_bytes()
    return hashlib.sha256(key).hexdigest()[:16]


def _install(target: Target, lock: Path, directory: Path) -> None:
    """Install the locked libraries with pip, which checks the hash of each."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install")
    how = ("--quiet", "--no-compile", "--no-deps", "--require-hashes", *target.pip_options)
    result = subprocess.run(
        [*pip, *how, "--target", str(directory), "--requirement", str(lock)],
        env={**os.environ, "PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise OrderctlError(
            f"pip could not install the libraries of {paths.display_path(lock)} "
            f"for {target.name}:\n"
            f"{_pip_errors(result.stderr)}\n"
            "Check that a package index can be reached, then try again."
        )


def _pip_errors(stderr: str) -> str:
    """The error messages of pip, without its warnings."""
    lines = stderr.strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-5:]
    return "\n".join(f"  {line}" for line in errors)


def _interpreter(version: str) -> str | None:
    """A Python of a version, such as 3.13, on this machine; None when there is none."""
    candidates = (sys.executable, shutil.which(f"python{version}"))
    found = (c for c in candidates if c and (_version(c) or "").startswith(f"{version}."))
    return next(found, None)


def _version(interpreter: str) -> str | None:
    """An interpreter's version, such as 3.13.1; None for one that does not run."""
    command = [interpreter, "-c", "import platform; print(platform.python_version())"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None


def _compile(target: Target, directory: Path) -> None:
    """Put the bytecode of all modules beside them, the same on every machine.

    Python loads it without comparing it with the source: in Lambda the two always match.
    """
    if target.interpreter is None:
        return
    names = ("-s", str(directory), "-p", "/var/task")
    result = subprocess.run(
        [
            *(target.interpreter, "-I", "-m", "compileall", "-q", *names),
            *("--invalidation-mode", "unchecked-hash", str(directory)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        said = (result.stdout or result.stderr).strip()
        raise OrderctlError(f"The functions do not compile:\n{said}")


def _files(directory: Path) -> dict[str, Path]:
    """The files of a directory tree, by their names in the package."""
    return {
        str(PurePosixPath(file.relative_to(directory))): file
        for file in directory.rglob("*")
        if file.is_file()
    }


def _write(entries: dict[str, Path], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(entries):
            archive.writestr(
                _entry(name), entries[name].read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9
            )


def _entry(name: str) -> zipfile.ZipInfo:
    """A zip entry that is the same on every machine."""
    entry = zipfile.ZipInfo(name, _TIMESTAMP)
    entry.create_system = _UNIX
    entry.external_attr = _REGULAR_FILE_0644
    return entry
