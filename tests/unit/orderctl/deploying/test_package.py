"""The deployment package: reproducible, complete, and never made from half a cache."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from orderctl.deploying import package
from orderctl.deploying.package import Architecture, Artifact, Target
from orderctl.errors import OrderctlError

TARGET = Target("test")


class Project:
    """A small project with its functions, its lock, and a pip that only writes files."""

    def __init__(self, root: Path) -> None:
        self.build_directory = root / "build"
        self.functions = root / "orders"
        self.lock = root / "lambda.txt"
        self.installations = 0
        self.lock.write_text("library==1\n")
        self.write("__init__.py", "")
        self.write("payments/handler.py", "import library\n")

    def write(self, name: str, text: str) -> Path:
        path = self.functions / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def install(self, _target: Target, lock: Path, directory: Path) -> None:
        self.installations += 1
        for name in (
            "library/__init__.py",
            "library/types.pyi",
            "library/tests/test_library.py",
            "library/__pycache__/__init__.cpython-313.pyc",
            "library-1.dist-info/RECORD",
            "bin/library",
        ):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {lock.read_text()}")

    def build(self, target: Target = TARGET) -> Artifact:
        return package.build(
            target,
            functions=self.functions,
            lock=self.lock,
            build_directory=self.build_directory,
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path)
    monkeypatch.setattr(package, "_install", project.install)
    return project


def names(artifact: Artifact) -> list[str]:
    with zipfile.ZipFile(artifact.path) as archive:
        return archive.namelist()


def test_has_the_functions_and_what_they_import_and_nothing_else(project: Project) -> None:
    project.write("__pycache__/x.cpython-313.pyc", "")
    project.write(".hidden", "")
    assert names(project.build()) == [
        "library/__init__.py",
        "orders/__init__.py",
        "orders/payments/handler.py",
    ]


def test_same_source_gives_the_same_bytes(project: Project) -> None:
    first = project.build()
    content = first.path.read_bytes()
    handler = project.functions / "payments/handler.py"
    os.utime(handler, (1, 1))
    handler.chmod(0o600)
    second = project.build()
    assert second == first
    assert second.path.read_bytes() == content


def test_bytecode_is_there_and_the_same_wherever_it_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target("test", interpreter=sys.executable)
    artifacts = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        project = Project(tmp_path / place)
        project.write("payments/decisions.py", "def decide(x):\n    return x or {'a': (1, 'b')}\n")
        monkeypatch.setattr(package, "_install", project.install)
        artifacts.append(project.build(target))
    here, there = artifacts
    assert here.sha256 == there.sha256
    assert f"orders/payments/__pycache__/decisions.{sys.implementation.cache_tag}.pyc" in names(
        here
    )


def test_code_that_does_not_compile_is_not_packaged(project: Project) -> None:
    project.write("payments/handler.py", "def\n")
    with pytest.raises(OrderctlError, match=r"payments/handler\.py"):
        project.build(Target("test", interpreter=sys.executable))


def test_other_source_gets_another_name(project: Project) -> None:
    before = project.build().sha256
    project.write("payments/handler.py", "import library, json\n")
    assert project.build().sha256 != before


def test_libraries_are_installed_once_per_lock_and_target(project: Project) -> None:
    project.build()
    project.build()
    assert project.installations == 1
    project.build(Target("other", ("--platform", "other")))
    assert project.installations == 2
    project.lock.write_text("library==2\n")
    project.build()
    assert project.installations == 3


def test_interrupted_installation_is_not_taken_for_a_finished_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(target: Target, lock: Path, directory: Path) -> None:
        project.install(target, lock, directory)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(package, "_install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.build()
    assert list((project.build_directory / "libraries").iterdir()) == []
    assert "library/__init__.py" in names(project.build())
    assert project.installations == 2


def test_interrupted_build_leaves_the_last_package_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = project.build().path.read_bytes()
    project.write("payments/handler.py", "changed\n")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "writestr", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.build()
    assert (project.build_directory / "test.zip").read_bytes() == before


def test_pip_failure_says_what_is_missing_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    project.lock.write_text(f"no-such-library==1 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(OrderctlError) as caught:
        project.build()
    assert "no-such-library==1" in str(caught.value)
    assert "Check that a package index can be reached" in str(caught.value)


def test_hashes_are_always_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    run = subprocess.run

    def pip(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
        if "pip" not in command:
            return run(command, **options)
        commands.append(command)
        Path(command[command.index("--target") + 1]).mkdir()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    Project(tmp_path).build(Target.aws(Architecture.ARM64))
    assert "--require-hashes" in commands[0]
    assert "manylinux2014_aarch64" in commands[0]
