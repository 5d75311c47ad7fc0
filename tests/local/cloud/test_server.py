import json
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .account import Account, Server, wait_for

REPORT = """
    import os

    def handler(event, context):
        return {"pid": os.getpid(), "directory": os.getcwd(), "environment": dict(os.environ)}
"""


def report(account: Account, name: str) -> dict[str, Any]:
    """What a function sees of the machine."""
    account.function(name, REPORT)
    answer = account.functions.invoke(FunctionName=name)
    seen: dict[str, Any] = json.load(answer["Payload"])
    return seen


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end_standard_input(server: Server) -> None:
    assert server.process.stdin is not None
    server.process.stdin.close()


def interrupt(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)


def terminate(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("end", [terminate, interrupt, end_standard_input])
def test_ends_at_once_and_leaves_nothing_behind(end: Callable[[Server], None], name: str) -> None:
    server = Server("--exit-with-parent")
    account = Account(server)
    seen = report(account, name)
    assert Path(seen["directory"]).exists()

    end(server)

    started = time.monotonic()
    assert server.process.wait(timeout=10) == 0
    assert time.monotonic() - started < 2
    wait_for(lambda: not alive(seen["pid"]), seconds=1)
    assert not Path(seen["directory"]).exists()
    assert server.process.stdin is not None
    server.process.stdin.close()


SLEEP = """
    import pathlib, time

    def handler(event, context):
        pathlib.Path(event["started"]).touch()
        time.sleep(20)
"""


def test_does_not_wait_for_a_function_that_runs(name: str, tmp_path: Path) -> None:
    server = Server()
    account = Account(server)
    account.function(name, SLEEP, timeout=30)
    started = tmp_path / "started"
    with ThreadPoolExecutor() as pool:
        call = pool.submit(
            account.functions.invoke,
            FunctionName=name,
            Payload=json.dumps({"started": str(started)}),
        )
        wait_for(started.exists)
        stopped = time.monotonic()
        server.stop()
        assert time.monotonic() - stopped < 2
        call.exception()


def test_functions_see_nothing_of_the_engineers_environment(account: Account, name: str) -> None:
    environment = report(account, name)["environment"]
    assert environment["AWS_ENDPOINT_URL"] == account.server.url
    assert environment["AWS_ACCESS_KEY_ID"] != account.server.access_key
    assert account.server.secret_key not in environment.values()
    assert Server.SECRET_OF_THE_PARENT not in environment


WRITE = """
    import os, pathlib, stat, tempfile

    def handler(event, context):
        written = pathlib.Path(tempfile.gettempdir(), "written")
        written.touch()
        mode = stat.S_IMODE(written.stat().st_mode)
        written.unlink()
        return mode
"""


def test_what_functions_write_is_for_nobody_else(account: Account, name: str) -> None:
    account.function(name, WRITE)
    answer = account.functions.invoke(FunctionName=name)
    assert json.load(answer["Payload"]) == 0o600


def test_listens_on_the_loopback_interface_only(account: Account) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; asks for the address to the outside
        outside = probe.getsockname()[0]
    with socket.socket() as caller:
        assert caller.connect_ex((outside, account.server.port)) != 0


def test_a_request_whose_head_never_ends_is_refused(account: Account) -> None:
    with socket.create_connection(("127.0.0.1", account.server.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with suppress(ConnectionError):  # it may hang up on the rest
            for number in range(20):
                client.sendall(b"X-%d: %s\r\n" % (number, b"x" * 8192))
            assert client.recv(1024).startswith(b"HTTP/1.1 400 ")
    assert account.server.healthy()
