"""The record of a running local cloud."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import NotRunningError
from orderctl.localcloud.state import LocalState, StateDirectory

STATE = LocalState(
    pid=2**22 + 1,  # larger than Linux and macOS give
    port=4566,
    instance="0123456789abcdef",
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_access_key="secret",
    stack_name="order-pipeline",
    log="local.log",
    started_at="2026-01-01T00:00:00+00:00",
    outputs={"ApiId": "abc"},
)


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    directory = StateDirectory(tmp_path / "state")
    directory.prepare()
    return directory


def test_what_is_written_is_read(directory: StateDirectory) -> None:
    directory.write(STATE)
    assert directory.read() == STATE


def test_only_the_owner_can_read_it(directory: StateDirectory) -> None:
    directory.write(STATE)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (directory.path, directory.path / "local.json")
    }
    assert modes == {"state": 0o700, "local.json": 0o600}


def test_nothing_but_the_state_is_left_by_writing_it(directory: StateDirectory) -> None:
    directory.write(STATE)
    directory.write(replace(STATE, detached=True))
    assert {path.name for path in directory.path.iterdir()} == {"local.json", "tmp"}


def test_a_directory_that_cannot_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OrderctlError, match="Choose another directory with ORDERCTL_STATE_DIR"),
        StateDirectory(tmp_path / "file").lock(),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"unknown": 1}'])
def test_what_cannot_be_read_is_no_state(directory: StateDirectory, content: str) -> None:
    (directory.path / "local.json").write_text(content)
    assert directory.read() is None


def test_another_instance_is_not_cleared(directory: StateDirectory) -> None:
    directory.write(STATE)
    directory.clear("another")
    assert directory.read() == STATE
    directory.clear(STATE.instance)
    assert directory.read() is None


def test_only_the_owner_can_read_what_is_in_a_directory_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    (path / "local.log").write_text("of an earlier run")
    directory = StateDirectory(path)
    directory.prepare()
    directory.write(STATE)
    with directory.open_log() as log:
        log.write(b"begun")
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.iterdir()}
    assert modes == {"local.json": 0o600, "local.log": 0o600, "tmp": 0o700}
    assert directory.log.read_bytes() == b"begun"


def test_a_directory_is_claimed_once(directory: StateDirectory) -> None:
    with (
        lifecycle.claim(directory),
        pytest.raises(OrderctlError, match="is starting a local cloud"),
        lifecycle.claim(directory),
    ):
        pass
    with lifecycle.claim(directory) as left_over:
        assert left_over is None


def test_what_was_not_stopped_is_cleared_by_the_next_claim(directory: StateDirectory) -> None:
    directory.write(STATE)
    with lifecycle.claim(directory) as left_over:
        assert left_over == STATE
        assert directory.read() is None


def test_another_process_with_the_same_number_is_left_alone(directory: StateDirectory) -> None:
    directory.write(replace(STATE, pid=os.getpid()))
    assert lifecycle.stop(directory) is None
    assert directory.read() is None


def test_commands_are_told_why_there_is_no_local_cloud(directory: StateDirectory) -> None:
    with pytest.raises(NotRunningError, match=r"No local cloud is running\. Start one with"):
        lifecycle.find_running(directory)
    directory.write(STATE)
    with pytest.raises(NotRunningError, match="ended without being stopped"):
        lifecycle.find_running(directory)
    this_process = replace(STATE, pid=os.getpid(), instance=psutil.Process().cmdline()[0])
    directory.write(replace(this_process, outputs={}))
    with pytest.raises(NotRunningError, match="still starting"):
        lifecycle.find_running(directory)
    directory.write(replace(this_process, port=1, ready=True))
    with pytest.raises(NotRunningError, match=r"does not answer at http://127\.0\.0\.1:1"):
        lifecycle.find_running(directory)
