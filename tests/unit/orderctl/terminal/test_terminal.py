"""Nothing that others wrote reaches a terminal raw, whatever prints it."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

import orderctl
from orderctl import cli
from orderctl.terminal import console
from support.command_line import commands, run_here
from support.hostile import HOSTILE, WELL_FORMED, assert_harmless

SOURCE = Path(orderctl.__file__).parent
# What a command may take of rich by itself: values that say how something looks.
HARMLESS_OF_RICH = {
    "rich.text": {"Text"},
    "rich.table": {"Table"},
    "rich.progress": {
        *("BarColumn", "MofNCompleteColumn", "TaskProgressColumn"),
        *("TextColumn", "TimeRemainingColumn"),
    },
}
PRINTING = re.compile(
    r"print|input"
    r"|sys\.(__)?std(out|err)(__)?\.(?!isatty$|flush$)\w+"
    r"|console\.(out|err)\(\)\.(status|print_\w+|log|out|file|control)"
    r"|traceback\.print\w*"
)


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Gives what has reached the terminal, on either stream."""
    shown = io.StringIO()

    def look() -> str:
        shown.writelines(capsys.readouterr())
        assert shown.getvalue()
        return shown.getvalue()

    return look


SAYERS: dict[str, Callable[[str], object]] = {
    "note": console.note,
    "error": console.error,
    "a string": lambda text: console.out().print(text),
    "a Text": lambda text: console.out().print(Text.assemble(("parked ", "bold red"), text)),
    "to stderr": lambda text: console.err().print(text),
    "summary": lambda text: console.summary([(text, text)]),
    "table": lambda text: console.table((text,), [[text], [Text(text)]]),
    "JSON": lambda text: console.json_document({text: [text]}),
    "JSON line": lambda text: console.json_line({text: [text]}),
    "for a shell": lambda text: console.script([text]),
    "a defect": lambda text: console.report_defect(RuntimeError(text)),
}


@pytest.mark.parametrize("sayer", SAYERS)
def test_no_character_commands_the_terminal(sayer: str, screen: Callable[[], str]) -> None:
    SAYERS[sayer](HOSTILE)
    assert_harmless(screen())


@pytest.mark.parametrize("sayer", ["step", "waiting", "live", "bar"])
def test_nor_in_what_moves(
    sayer: str, screen: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    console.out.cache_clear()
    try:
        match sayer:
            case "step":
                with console.step(HOSTILE, HOSTILE) as step:
                    step.detail = HOSTILE
                    step.progress(1, 2, HOSTILE)
            case "waiting":
                with console.waiting(HOSTILE) as progress:
                    progress(1, 2)
            case "live":
                with console.live() as show:
                    show(HOSTILE)
            case _:
                with console.bar() as bar:
                    bar.add_task(HOSTILE, total=1)
                    bar.console.print(HOSTILE)
    finally:
        console.out.cache_clear()
    # rich's own cursor moves and colours are there, and nothing of what was said.
    assert_harmless(screen(), in_terminal=True)


@given(st.text())
def test_what_is_shown_is_printable_and_as_wide_as_it_was_counted(text: str) -> None:
    shown = console.text(text)
    assert all(each.isprintable() for each in shown.plain)
    assert len(shown.plain) == len(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_stays_as_it_is_markup_included(text: str) -> None:
    assert console.clean(text) == text


def test_letters_of_the_world_stay_as_they_are() -> None:
    text = "Zoë Łukasz 日本 ‎عمر हिन्दी ✓ …".replace("\u200e", "")
    assert console.clean(text) == text


@given(st.recursive(st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_json_is_ascii_and_what_it_was(value: object) -> None:
    text = console.json_text(value)
    assert all(" " <= each <= "~" for each in text)
    assert json.loads(text) == value


def test_what_a_message_quotes_does_not_pass_for_a_line_of_ours(screen: Callable[[], str]) -> None:
    console.error("It says: x\n✓ all is well")
    assert screen().splitlines()[1:] == ["  ✓ all is well"]


def test_libraries_and_threads_say_it_here_too(
    screen: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])  # pytest's own would report it raw
    for owner, hook in ((threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(owner, hook, getattr(owner, hook))

    def fail() -> None:
        raise RuntimeError(HOSTILE)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        console.listen()
        logging.getLogger("botocore").warning("it was %s", HOSTILE)
        warnings.warn(HOSTILE, stacklevel=1)
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert screen().count("note: ") == 2
    assert screen().count("error: ") == 1
    assert_harmless(screen())


def typed(*arguments: str) -> tuple[int, str]:
    ended = run_here(*arguments)
    assert "Something unexpected" not in ended.stderr
    return ended.status, ended.output


@pytest.mark.parametrize("command", list(commands()))
@pytest.mark.parametrize("hostile", [f"--{HOSTILE}", f"--json={HOSTILE}", f"--since={HOSTILE}"])
def test_what_is_typed_is_not_echoed_raw(command: str, hostile: str) -> None:
    code, said = typed(*command.split(), hostile)
    assert code == 2
    assert "error: " in said
    assert_harmless(said)


def test_a_command_that_there_is_not() -> None:
    code, said = typed(WELL_FORMED)
    assert (code, "Unknown command" in said) == (2, True)
    assert_harmless(said)


def test_a_group_alone_shows_its_help() -> None:
    code, said = typed("dlq")
    assert (code, "redrive" in said, "error:" in said) == (0, True, False)


@pytest.mark.parametrize("more", [False, True])
def test_a_defect_ends_in_a_message(
    more: bool,
    screen: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_command: str = "") -> None:
        raise KeyError(HOSTILE)

    monkeypatch.setattr("orderctl.commands.load", fail)
    if more:
        monkeypatch.setenv(console.DEBUG_VARIABLE, "1")
    assert cli.run(["status"]) == 1
    assert "ORDERCTL_DEBUG=1" in screen()
    assert ("Traceback" in screen()) == more
    assert_harmless(screen())


def test_a_real_defect_shows_no_traceback(tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import orderctl.commands as c\nc.load = lambda *_: 1 / 0\n"
            "from orderctl.cli import main\nmain()",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def _sources() -> Iterator[Path]:
    """The modules that run in a terminal; the local cloud's own process writes to its log file."""
    for path in SOURCE.rglob("*.py"):
        if path not in (SOURCE / "terminal" / "console.py", SOURCE / "cli.py"):
            yield path


def prints(source: str) -> Iterator[ast.AST]:
    """Where a module prints, or gets something to print with, other than through the console."""
    for node in ast.walk(ast.parse(source)):
        if (
            (isinstance(node, ast.Name | ast.Attribute) and PRINTING.fullmatch(ast.unparse(node)))
            or (isinstance(node, ast.Import | ast.ImportFrom) and _brings_a_printer(node))
            or (isinstance(node, ast.Call) and _reads_markup(ast.unparse(node)))
        ):
            yield node


def _reads_markup(call: str) -> bool:
    return call.startswith("TextColumn(") and "{" in call and "markup=False" not in call


def _brings_a_printer(node: ast.Import | ast.ImportFrom) -> bool:
    names = {each.name for each in node.names}
    if isinstance(node, ast.Import):
        return any(name.partition(".")[0] in ("rich", "click") for name in names)
    module = node.module or ""
    if module.partition(".")[0] == "rich":
        return not names <= HARMLESS_OF_RICH.get(module, set())
    return any(PRINTING.match(f"{module}.{name}.write") for name in names) or any(
        PRINTING.fullmatch(f"{module}.{name}") for name in names
    )


@pytest.mark.parametrize("path", list(_sources()), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_other_module_prints(path: Path) -> None:
    found = [
        f"{path.name}:{getattr(node, 'lineno', '?')}: {ast.unparse(node)}"
        for node in prints(path.read_text())
    ]
    assert not found, "all that is shown goes through orderctl.terminal.console"


@pytest.mark.parametrize(
    "source",
    [
        "print('x')",
        "sys.stdout.write('x')",
        "from sys import stderr",
        "from rich.console import Console",
        "from rich import print",
        "import rich.prompt",
        "console.out().status('x')",
        "console.out().file.write('x')",
        "traceback.print_exc()",
        "TextColumn('{task.description}')",
    ],
)
def test_printing_around_the_console_is_noticed(source: str) -> None:
    assert list(prints(source))
