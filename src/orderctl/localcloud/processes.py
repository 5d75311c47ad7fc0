"""Processes, signals and ports of this machine."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import psutil

from orderctl.signals import ENDING_SIGNALS
from orderctl.waiting import wait_until

LOOPBACK = "127.0.0.1"
PORT_TAKEN = 98
"""The exit status of a server whose port another program has."""

GRACE_SECONDS = 5.0
"""How long a process may take to end after SIGTERM, unless it has something to save."""

_POLL_SECONDS = 0.02


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back signals that end the program until the block is done, then deliver the first."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    held: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: held.append(number))
        for number in ENDING_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def is_running(pid: int, marker: str) -> bool:
    """Whether a process runs and is the one meant.

    Args:
        pid: Its process id, which another process may have by now.
        marker: A text that is in its command line and in no other.
    """
    try:
        # A process that has ended has no command line, even before its parent waits for it.
        return any(marker in argument for argument in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def terminate(pid: int, runs: Callable[[], bool], grace_seconds: float = GRACE_SECONDS) -> bool:
    """End a process that leads a process group, then the rest of the group.

    Args:
        pid: The process and its group.
        runs: Whether it still runs, and is the one meant.
        grace_seconds: How long it may take to end after SIGTERM.

    Returns:
        Whether it was running.
    """
    if not runs():
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not runs(), patience_seconds=grace_seconds, poll_seconds=_POLL_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return True


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port on the loopback interface."""
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
