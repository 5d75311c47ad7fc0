"""The command line as it is typed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


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


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "down",
        "env",
        "order",
        "orders",
        "cancel",
        "updates",
        "dlq list",
        "dlq redrive",
        "dlq show",
        "dlq purge",
        "deploy",
        "destroy",
        "submit",
        "logs",
        "pause",
        "resume",
        "stock list",
        "stock set",
        "stock add",
        "replay",
        "schemas",
    ],
)
def test_every_command_has_an_example(command: str, tmp_path: Path) -> None:
    result = orderctl(*command.split(), "--help", state=tmp_path)
    assert result.returncode == 0
    _usage, *examples = re.split(r"Examples?:", result.stdout)
    assert f"orderctl {command}" in "".join(examples)


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


def test_updates_are_not_followed_without_being_taken(tmp_path: Path) -> None:
    result = orderctl("updates", "--follow", "--peek", state=tmp_path)
    assert result.returncode == 2
    assert "goes not with --follow" in result.stderr


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
