"""The command line as it is typed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orderctl.commands import load
from support.command_line import commands, run_here


def orderctl(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orderctl", *arguments],
        env=os.environ | {"ORDERCTL_STATE_DIR": str(state), "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_version(tmp_path: Path) -> None:
    result = orderctl("--version", state=tmp_path)
    assert (result.returncode, result.stdout.split()[0]) == (0, "orderctl")


def test_no_command_is_overlooked() -> None:
    assert {"run", "deploy", "submit", "stock set", "status", "dlq purge"} <= set(commands())


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_has_an_example(command: str) -> None:
    ended = run_here(*command.split(), "--help")
    assert ended.status == 0
    _, example = ended.stdout.split("Example", 1)
    assert f"orderctl {command}" in example


@pytest.mark.parametrize("command", list(commands()))
def test_every_option_is_explained(command: str) -> None:
    shown = run_here(*command.split(), "--help").stdout.splitlines()
    rows = [line.strip("│* ") for line in shown if line.startswith("│")]
    options = [row for row in rows if row.startswith("--")]
    assert all("  " in option for option in options), options


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("orderctl wa", ["watch"]),
        ("orderctl dlq p", ["purge"]),
        ("orderctl logs pay", ["payments"]),
        ("orderctl status --context l", ["local"]),
        ("orderctl replay --rule order-c", ["order-cancelled", "order-confirmed"]),
    ],
)
def test_the_shell_completes(words: str, completed: list[str], tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(load().generate_completion(shell="bash"))  # noqa: S604 - a name
    typed = words.split(" ")
    ask = (
        f"source {script}; COMP_WORDS=({' '.join(typed[:-1])} '{typed[-1]}'); "
        f"COMP_CWORD={len(typed) - 1}; _orderctl 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    found = subprocess.run(
        ["bash", "-c", ask],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == completed


def test_the_parameters_of_the_template_are_completed() -> None:
    ended = run_here("__complete", "deploy", "--param", "Charge")
    assert {"ChargeFailureRate=", "BatchSize="} <= set(ended.stdout.splitlines())
    assert "CodeKey=" not in ended.stdout  # the deployment sets it itself


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit"], "--amount of an order, a FILE of orders, or a --count"),
        (["submit", "f", "--count", "1"], "cannot be combined with --count"),
        (["status", "--local", "--region", "eu-west-1"], "cannot be combined with --local"),
        (["submit", "--count", "1", "--id", "a"], "cannot be combined with --count"),
        (["submit", "--rate", "5", "--amount", "1"], "needs --count or a FILE"),
        (["submit", "--amount", "much"], "'much' is not a number"),
        (["submit", "--amount", "1", "--item", "mug=some"], "'mug=some' is not of the form SKU=N"),
        (["logs", "order-api", "--since", "soon"], "'soon' is not a time"),
        (["status", "--since", "10s"], "must be from one minute to 15 days ago"),
        (["replay"], "--from is missing."),
        (["replay", "--from"], "--from needs a value."),
        (["order"], "ORDER_ID is missing."),
        (["order", "a", "b"], "'b' is one argument too many."),
        (["submit", "--count", "x"], "--count takes a whole number, not 'x'."),
        (["submit", "--rate", "x"], "--rate takes a number, not 'x'."),
        (["submit", "--count", "0"], "--count must be from 1 to 1,000,000, not 0."),
        (["tune", "payments", "--memory", "1"], "--memory must be from 128 to 10,240, not 1."),
        (["dlq", "show", "--limit", "0"], "--limit must be 1 or more, not 0."),
        (["capacity", "--rate", "0"], "must be more than 0 and at most 1,000,000, not 0."),
        (["status", "--local=x"], "--local takes no value."),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: list[str], said: str) -> None:
    ended = run_here(*arguments)
    assert ended.status == 2
    assert said in ended.stderr


def test_env_without_a_local_cloud_prints_nothing_to_evaluate(tmp_path: Path) -> None:
    result = orderctl("env", state=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: No local cloud is running. Start one with: ")


@pytest.mark.parametrize(
    "command", ["order a", "orders", "cancel a", "updates", "dlq list", "dlq redrive"]
)
def test_a_command_without_a_local_cloud_says_how_to_start_one(
    command: str, tmp_path: Path
) -> None:
    result = orderctl(*command.split(), state=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: No local cloud is running. Start one with: ")


def test_events_are_followed_or_counted(tmp_path: Path) -> None:
    result = orderctl("events", state=tmp_path)
    assert result.returncode == 2
    assert "Give --follow" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--all", "--stuck"],
        ["--csv", "--json"],
        ["--since", "2099-01-01"],
        ["--status", "lost"],
    ],
)
def test_orders_are_listed_in_one_way(options: list[str], tmp_path: Path) -> None:
    assert orderctl("orders", *options, state=tmp_path).returncode == 2


def test_down_without_a_local_cloud_is_no_error(tmp_path: Path) -> None:
    result = orderctl("down", state=tmp_path)
    assert (result.returncode, result.stdout) == (0, "No local cloud is running.\n")


def test_misspelt_parameter_ends_before_anything_is_started(tmp_path: Path) -> None:
    result = orderctl("up", "--param", "chargefailurerate=0", state=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "Did you mean ChargeFailureRate?" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pair", ["ChargeFailureRate", "=1"])
def test_parameter_must_be_a_pair(pair: str, tmp_path: Path) -> None:
    result = orderctl("up", "--param", pair, state=tmp_path)
    assert result.returncode == 2
    assert "is not of the form KEY=VALUE" in result.stderr
