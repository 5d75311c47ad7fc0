"""The local cloud's life: whatever happens to its owner, nothing is left behind."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orderctl import paths
from orderctl.errors import OrderctlError
from orderctl.localcloud import processes
from orderctl.localcloud.lifecycle import LocalCloud, claim
from orderctl.localcloud.processes import any_free_port, is_running
from orderctl.localcloud.state import StateDirectory
from orderctl.waiting import wait_until

PATIENCE_SECONDS = 60.0


def wait_for(condition: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - what it waits for
    """Wait until something is there."""
    found = wait_until(condition, patience_seconds=PATIENCE_SECONDS, poll_seconds=0.01)
    assert found, f"{what} did not come in {PATIENCE_SECONDS} s"
    return found


class Orderctl:
    """The command line with a state directory and a port of its own."""

    def __init__(self, state: Path) -> None:
        self.port = str(any_free_port())
        self._state = state / "local.json"
        self._environment = os.environ | {"ORDERCTL_STATE_DIR": str(state), "NO_COLOR": "1"}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "orderctl", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str]:
        return self.end_of(self.start(*arguments))

    def end_of(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """How a command ended and what it said."""
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, output

    def state(self) -> dict[str, Any] | None:
        with contextlib.suppress(OSError):
            found: dict[str, Any] = json.loads(self._state.read_text())
            return found
        return None

    def deployed(self) -> dict[str, Any] | None:
        state = self.state()
        return state if state and state["outputs"] else None

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        subprocess.run(
            [sys.executable, "-m", "orderctl", "down"],
            env=self._environment,
            capture_output=True,
            check=True,
        )


@pytest.fixture(autouse=True)
def hung_up() -> Iterator[None]:
    """Under nohup, what the tests start would not be told that its terminal is gone."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def orderctl(tmp_path: Path) -> Iterator[Orderctl]:
    with contextlib.closing(Orderctl(tmp_path)) as orderctl:
        yield orderctl


def is_gone(state: dict[str, Any]) -> bool:
    """Whether the server and every process that has something of it in its environment are gone."""
    return not is_running(state["pid"], state["instance"]) and not group_members(state["pid"])


def group_members(group: int) -> list[str]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [status for pgid, status in rows if pgid == str(group) and not status.startswith("Z")]


def test_up_runs_until_ctrl_c_and_leaves_nothing(orderctl: Orderctl) -> None:
    up = orderctl.start("up", "--port", orderctl.port)
    state = wait_for(orderctl.deployed, "the pipeline")
    code, exports = orderctl.run("env")
    assert code == 0
    assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{orderctl.port}\n" in exports
    up.send_signal(signal.SIGINT)
    code, output = orderctl.end_of(up)
    assert code == 130
    assert output.endswith("Stopped by Ctrl-C.\n")
    assert "Traceback" not in output
    assert orderctl.state() is None
    assert is_gone(state)


def test_detached_cloud_stays_until_down_and_a_second_up_says_where_it_is(
    orderctl: Orderctl,
) -> None:
    code, output = orderctl.run("up", "--detach", "--port", orderctl.port)
    assert code == 0
    assert "orderctl down" in output
    state = orderctl.state()
    assert state
    assert not is_gone(state)
    code, output = orderctl.run("up")
    assert code == 1
    assert output.startswith(
        f"error: A local cloud is running already, at http://127.0.0.1:{orderctl.port}. `"
    )
    assert "orderctl down` stops it." in output
    assert orderctl.state() == state
    assert orderctl.run("down") == (
        0,
        f"Stopped the local cloud at http://127.0.0.1:{orderctl.port}.\n",
    )
    assert is_gone(state)
    assert orderctl.run("down") == (0, "No local cloud is running.\n")


def test_down_ends_a_cloud_in_the_foreground_too(orderctl: Orderctl) -> None:
    up = orderctl.start("up", "--port", orderctl.port)
    wait_for(orderctl.deployed, "the pipeline")
    assert orderctl.run("down")[0] == 0
    code, output = orderctl.end_of(up)
    assert code == 0
    assert output.endswith("The local cloud was stopped.\n")


def test_port_that_is_taken_is_named(orderctl: Orderctl) -> None:
    with LocalCloud() as other:
        port = str(other.state.port)
        code, output = orderctl.run("up", "--port", port)
    assert code == 1
    assert output.startswith(f"error: Port {port} is taken by another local cloud.")
    assert orderctl.state() is None


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGINT, []),
        (signal.SIGTERM, []),
        (signal.SIGHUP, []),
        (signal.SIGHUP, ["--detach"]),
    ],
)
def test_interrupted_start_leaves_nothing(
    orderctl: Orderctl, number: signal.Signals, options: list[str]
) -> None:
    up = orderctl.start("up", "--port", orderctl.port, *options)
    state = wait_for(orderctl.state, "the server")
    up.send_signal(number)
    code, output = orderctl.end_of(up)
    assert code == 128 + number
    assert "Traceback" not in output
    assert orderctl.state() is None
    assert is_gone(state)


@pytest.mark.parametrize("moment", ["state", "deployed"])
def test_killed_owner_takes_its_cloud_along(orderctl: Orderctl, moment: str) -> None:
    up = orderctl.start("up", "--port", orderctl.port)
    state = wait_for(getattr(orderctl, moment), moment)
    up.kill()
    wait_for(lambda: is_gone(state), "the end of the server")
    following = orderctl.start("up", "--port", orderctl.port)
    wait_for(lambda: (orderctl.state() or state) != state, "the next server")
    following.send_signal(signal.SIGINT)
    _, output = orderctl.end_of(following)
    assert (
        f"The local cloud of {state['started_at']} was not stopped; removed what it left." in output
    )


def test_what_a_killed_detaching_owner_leaves_is_ended_by_the_next_up(orderctl: Orderctl) -> None:
    up = orderctl.start("up", "--detach", "--port", orderctl.port)
    state = wait_for(orderctl.state, "the server")
    up.kill()
    code, _ = orderctl.run("up", "--detach", "--port", orderctl.port)
    assert code == 0
    assert is_gone(state)


def test_server_that_ends_at_boot_shows_the_end_of_its_log() -> None:
    dying = (sys.executable, "-c", "print('first', flush=True); raise SystemExit('no such option')")
    with pytest.raises(OrderctlError) as caught:
        LocalCloud(server=dying).start()
    assert str(caught.value) == (
        "The local cloud ended by itself (exit code 1). The end of its log:\n"
        "  first\n"
        "  no such option"
    )


def test_server_that_ends_later_is_noticed() -> None:
    with LocalCloud() as cloud:
        os.kill(cloud.state.pid, signal.SIGKILL)
        with pytest.raises(OrderctlError, match=r"ended by itself \(SIGKILL\)"):
            cloud.wait()


def test_server_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    command = [sys.executable, "-c", stubborn, "0123456789abcdef"]
    with subprocess.Popen(command, start_new_session=True) as process:
        wait_for(lambda: is_running(process.pid, "0123456789abcdef"), "the process")
        time.sleep(0.2)  # until it ignores SIGTERM
        assert processes.terminate(process.pid, lambda: process.poll() is None, grace_seconds=0.2)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL


def test_private_cloud_is_recorded_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(paths.STATE_VARIABLE, str(tmp_path / "state"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with LocalCloud() as cloud:
        state = cloud.state
        assert cloud.session().client("sts").get_caller_identity()["Account"]
    assert not (tmp_path / "state").exists()
    assert not is_running(state.pid, state.instance)
    assert not Path(state.log).parent.exists()


def test_each_local_cloud_has_a_root_key_of_its_own() -> None:
    with LocalCloud() as one, LocalCloud() as other:
        assert one.state.access_key_id != other.state.access_key_id
        assert one.state.secret_access_key != other.state.secret_access_key


def test_settings_of_the_machine_do_not_reach_the_local_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("this is no configuration [")
    for name, value in {
        "AWS_PROFILE": "production",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    with LocalCloud() as cloud:
        url = cloud.session().client("sqs").create_queue(QueueName="queue")["QueueUrl"]
        assert url == f"{cloud.endpoint}/000000000000/queue"


@pytest.mark.long
def test_a_port_that_another_program_was_faster_to_take_is_passed_over(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = any_free_port()
        with LocalCloud(StateDirectory(tmp_path), ports=[port, free]) as cloud:
            assert cloud.state.port == free
        with pytest.raises(OrderctlError, match="have all the ports"):
            LocalCloud(ports=[port]).start()


def test_the_log_of_the_last_cloud_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.prepare()
    with directory.open_log() as log:
        log.write(b"why it ended")
    with claim(directory):
        pass
    assert directory.previous_log.read_text() == "why it ended"
