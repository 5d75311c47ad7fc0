"""The wheel: what it brings, and that orderctl runs from it outside of the checkout."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from orderctl import paths

TOOL = paths.ROOT / "src" / "orderctl"
# What only the local cloud's own process imports.
SERVER = TOOL / "localcloud"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the checkout stays as it is."""
    root = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        source, copy = paths.ROOT / name, root / "project" / name
        if source.is_file() and not name.startswith(("tests/", "docs/")):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    subprocess.run([*build, "--wheel-dir", str(root), str(root / "project")], check=True)
    (built,) = root.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def required(metadata: Message, extra: str = "") -> dict[str, str]:
    """The packages that the wheel needs, with their versions."""
    found = {}
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        name, _, version = requirement.strip().partition("==")
        if (f'extra == "{extra}"' in marker) if extra else ("extra" not in marker):
            found[name.lower()] = version
    return found


def test_it_brings_what_stands_outside_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for file in (paths.TEMPLATE, paths.LAMBDA_LOCK):
            assert archive.read(f"orderctl/data/{file.name}") == file.read_bytes()
        names = set(archive.namelist())
    sources = {str(file.relative_to(TOOL.parent)) for file in TOOL.rglob("*.py")}
    assert sources <= names
    assert not [name for name in names if name.startswith(("tests", "bench"))]


def test_it_needs_the_versions_that_are_installed_here(metadata: Message) -> None:
    needed = required(metadata) | required(metadata, "local")
    assert needed.pop("pip") == ""
    assert {name: importlib.metadata.version(name) for name in needed} == needed


def imported(files: Iterator[Path]) -> set[str]:
    """The names of the modules that files import when they run, without their own."""
    names: set[str] = set()
    for file in files:
        for node in _running(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"orderctl", "orders"}


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module without what is for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _running(node)


@pytest.mark.parametrize("extra", ["", "local"])
def test_it_needs_whatever_it_imports(metadata: Message, extra: str) -> None:
    needed = set(required(metadata)) | (set(required(metadata, extra)) if extra else set())
    with_theirs = needed | {
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()
        for name in needed - {"pip"}
        for requirement in importlib.metadata.requires(name) or ()
        if "extra ==" not in requirement
    }
    files = [file for file in TOOL.rglob("*.py") if extra or not file.is_relative_to(SERVER)]
    of_module = importlib.metadata.packages_distributions()
    missing = {
        module: of_module.get(module)
        for module in imported(iter(files))
        if not {name.lower() for name in of_module.get(module, [])} & with_theirs
    }
    assert not missing, "add them to setup.py"


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, installed in an environment of its own, with the packages of this one."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A .pth file that adds this environment's packages, but not the checkout's editable finder.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "python"


def test_it_runs_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    places = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CACHE", "CONFIG", "STATE")}
    own = {key: value for key, value in os.environ.items() if key != "ORDERCTL_STATE_DIR"}

    def orderctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed, "-m", "orderctl", *arguments],
            cwd=tmp_path,
            env=own | places,
            capture_output=True,
            text=True,
            check=False,
        )

    code = "from orderctl import paths; print(paths.TEMPLATE, paths.BUILD, paths.state_directory())"
    where = subprocess.run(
        [installed, "-c", code],
        cwd=tmp_path,
        env=own | places,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert where[0].endswith("site-packages/orderctl/data/template.yaml")
    assert where[1:] == [f"{tmp_path}/CACHE/orderctl", f"{tmp_path}/STATE/orderctl"]
    # It reads the template.
    refused = orderctl("up", "--param", "chargefailurerate=0")
    assert (refused.returncode, "Did you mean ChargeFailureRate?" in refused.stderr) == (1, True)
    assert "not a checkout" in orderctl("schemas").stderr
