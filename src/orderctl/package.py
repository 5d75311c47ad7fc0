"""The deployment package: one zip with every function and the libraries they import.

The same source gives the same bytes, so the package is named by its hash and a deployment without
a change is seen to be one. boto3 is not in it: the Lambda runtime brings its own.
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
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from orderctl import paths
from orderctl.errors import OrderctlError

LAMBDA_PYTHON = "3.13"

# Zip entries carry no time zone and start in 1980; every entry gets that first moment.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_0644 = 0o100644 << 16
_UNIX = 3

# What pip writes beside the libraries, and what only type checkers and browsers read.
_LEFT_OUT_DIRECTORIES = ("__pycache__", "*.dist-info", "tests", "swagger_ui")
_LEFT_OUT_FILES = (".*", "*.pyc", "*.pyi", "py.typed")


class PackageError(OrderctlError):
    """The deployment package could not be built."""


class Architecture(StrEnum):
    """The processors Lambda runs on, as CloudFormation names them."""

    X86_64 = "x86_64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True)
class Target:
    """What the package is to run on.

    Attributes:
        name: Names the package and the cache of its libraries.
        pip_options: What makes pip choose the wheels for it.
    """

    name: str
    pip_options: tuple[str, ...] = ()

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
        )

    @classmethod
    def this_machine(cls) -> "Target":
        """The running interpreter, on which the local cloud runs the functions."""
        interpreter = f"{platform.python_implementation()}{sysconfig.get_python_version()}"
        return cls(name=f"local-{sysconfig.get_platform()}-{interpreter}".lower())


@dataclass(frozen=True, slots=True)
class Artifact:
    """A deployment package on disk.

    Attributes:
        path: The zip.
        sha256: The hash of its bytes, in hexadecimal.
        size: Its bytes.
    """

    path: Path
    sha256: str
    size: int

    @property
    def key(self) -> str:
        """Its name in the artifact bucket: other code, other name, or Lambda keeps the old code."""
        return f"functions/{self.sha256}.zip"


def build(
    target: Target,
    *,
    functions: Path = paths.FUNCTIONS,
    lock: Path = paths.LAMBDA_LOCK,
    build_directory: Path = paths.BUILD,
) -> Artifact:
    """Build the deployment package.

    The libraries are installed once per lock and target and kept; only that needs a package index.

    Args:
        target: What the package is to run on.
        functions: The Python package with the functions.
        lock: The functions' libraries, pinned and hashed.
        build_directory: Where the package and the kept libraries go.

    Raises:
        PackageError: The libraries could not be installed.
    """
    libraries = _libraries(target, lock, build_directory)
    entries = _entries(libraries) | _entries(functions, prefix=functions.name)
    return _write(entries, build_directory / f"{target.name}.zip")


def _libraries(target: Target, lock: Path, build_directory: Path) -> Path:
    """The directory with the installed libraries, made if it is not there.

    pip works in a directory that gets its name only when it is complete, so that an interrupted
    installation is never taken for a finished one.
    """
    parent = build_directory / "libraries"
    installed = parent / f"{target.name}-{_libraries_hash(target, lock)}"
    if installed.is_dir():
        return installed
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".incomplete-") as scratch:
        incomplete = Path(scratch) / "libraries"
        _install(target, lock, incomplete)
        shutil.rmtree(incomplete / "bin", ignore_errors=True)  # scripts for a PATH
        try:
            incomplete.rename(installed)
        except OSError:
            if not installed.is_dir():  # otherwise another build was faster; its result is the same
                raise
    return installed


def _libraries_hash(target: Target, lock: Path) -> str:
    wanted = "\n".join(target.pip_options).encode() + b"\0" + lock.read_bytes()
    return hashlib.sha256(wanted).hexdigest()[:16]


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
        raise PackageError(
            f"pip could not install the functions' libraries for {target.name}:\n"
            f"{_pip_errors(result.stderr)}\n"
            "Check that a package index can be reached, then try again; "
            f"the libraries are those in {paths.shown(lock)}."
        )


def _pip_errors(stderr: str) -> str:
    """What pip complained of, without the warnings before it."""
    lines = stderr.strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-5:]
    return "\n".join(f"  {line}" for line in errors)


def _entries(directory: Path, prefix: str = "") -> dict[str, Path]:
    """The files of a directory tree that go into the package, by their name in it."""
    return {
        str(PurePosixPath(prefix, file.relative_to(directory))): file for file in _files(directory)
    }


def _files(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.is_dir():
            if not _matches(path, _LEFT_OUT_DIRECTORIES):
                yield from _files(path)
        elif not _matches(path, _LEFT_OUT_FILES):
            yield path


def _matches(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(path.match(pattern) for pattern in patterns)


def _write(entries: dict[str, Path], path: Path) -> Artifact:
    """Write the zip; a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".incomplete-") as scratch:
        incomplete = Path(scratch) / path.name
        with zipfile.ZipFile(incomplete, "w") as archive:
            for name in sorted(entries):
                archive.writestr(
                    _entry(name), entries[name].read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9
                )
        content = incomplete.read_bytes()
        incomplete.replace(path)
    return Artifact(path, hashlib.sha256(content).hexdigest(), len(content))


def _entry(name: str) -> zipfile.ZipInfo:
    """A zip entry without anything that differs from machine to machine."""
    entry = zipfile.ZipInfo(name, _TIMESTAMP)
    entry.create_system = _UNIX
    entry.external_attr = _REGULAR_FILE_0644
    return entry
