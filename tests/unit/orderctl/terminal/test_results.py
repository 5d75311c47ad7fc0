"""The JSON of the commands: declared, documented, and never a mixture of both streams."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from orderctl import contexts
from orderctl.commands import load
from orderctl.commands.schemas import REFERENCE
from orderctl.terminal import console, json_reference
from orderctl.terminal.results import Document, Lines
from orders.events import OrderUpdate
from support.command_line import commands, run_here

DECLARED = dict(json_reference.commands(load()))
OF_THE_CONTRACT = {OrderUpdate}


class Mug(msgspec.Struct):
    """A mug."""

    price: Any


def kinds(shape: Any) -> set[type]:  # noqa: ANN401 - a shape of anything
    """The kinds of object in a shape."""
    todo = list(shape.kinds)
    for kind in todo:
        if kind not in OF_THE_CONTRACT:
            hints = get_type_hints(kind).values()
            todo += [one for hint in hints for one in json_reference._objects(hint)]
    return set(todo)


def test_a_command_with_json_has_declared_its_shape() -> None:
    app = load()
    with_json = set()
    for command in commands():
        called = app.parse_commands(command.split())[1][-1].default_command
        if called and "as_json" in inspect.signature(called).parameters:
            with_json.add(command)
    assert with_json == set(DECLARED)


@pytest.mark.parametrize("command", DECLARED)
def test_every_attribute_is_explained(command: str) -> None:
    for kind in kinds(DECLARED[command]) - OF_THE_CONTRACT:
        names = {field for _, field in json_reference._fields(kind)}
        assert json_reference.explanations(kind).keys() == names, kind


def test_the_reference_is_that_of_the_code() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == json_reference.write(load()), "make schemas"


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (Decimal("12.50"), "12.5"),
        (Decimal("9999999999.99"), "9999999999.99"),
        (Decimal("1E+2"), "100"),
        (Decimal("NaN"), '"NaN"'),
        ("é\x1b\ud800", '"\\u00e9\\u001b\\ud800"'),
        ({1: b"a"}, '{"1": "YQ=="}'),
    ],
)
def test_numbers_keep_their_value_and_the_rest_is_text(
    value: object, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Lines(Mug).show([Mug(value)])
    assert capsys.readouterr().out == f'{{"price": {printed}}}\n'
    Document(Mug).show(Mug(value))
    assert json.loads(capsys.readouterr().out) == {"price": json.loads(printed)}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["context", "use", "nowhere", "--json"], 2, "There is no context nowhere"),
        (["stock", "list", "--jsn", "--json"], 2, "Try 'orderctl stock list --help' for help."),
        (["up", "--param", "Nothing=1", "--json"], 1, "has no parameter Nothing"),
    ],
)
def test_an_error_is_json_too(arguments: list[str], status: int, said: str) -> None:
    ended = run_here(*arguments)
    error = json.loads(ended.stderr)
    assert (ended.status, ended.stdout, error["exit_status"]) == (status, "", status)
    assert said in error["error"]


def test_what_follows_two_dashes_is_not_ours() -> None:
    assert run_here("exec", "--stack", "", "--", "x", "--json").stderr.startswith("error: ")


def test_who_has_read_enough_may_leave(tmp_path: Path) -> None:
    """As `| head -1` does."""
    many = [contexts.Context(name=f"c{n}", stack="s" * 1000) for n in range(200)]
    settings = tmp_path / "orderctl" / "contexts.json"
    settings.parent.mkdir()
    settings.write_bytes(msgspec.json.encode(contexts.Contexts(stacks=tuple(many))))
    for option in ([], ["--json"]):
        with subprocess.Popen(
            [sys.executable, "-m", "orderctl", "context", "list", *option],
            env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as listing:
            assert listing.stdout
            assert listing.stderr
            listing.stdout.readline()
            listing.stdout.close()
            assert (listing.wait(), listing.stderr.read()) == (0, b"")


@pytest.mark.parametrize(("changes", "ends"), [(False, True), (True, False)])
def test_what_changes_something_goes_on_without_a_reader(
    changes: bool, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        console.begin(as_json=False)
        if changes:
            console.place("local: stack order-pipeline")
        console.write("something")
        with pytest.raises(console.NobodyReadsError) if ends else contextlib.nullcontext():
            console.flush()
        console.end_with_reader()
