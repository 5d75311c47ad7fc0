"""The life cycle of a local cloud: starting the server, deploying the stack, and stopping it.

Whatever ends its owner (Ctrl-C, a signal, a crash, SIGKILL) ends the server: it is a child process
whose standard input is a pipe from the owner, and it exits when that pipe closes. Only a detached
server keeps running.
"""

import contextlib
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from filelock import Timeout

from orderctl import deploying, paths
from orderctl.deploying.package import Artifact
from orderctl.errors import OrderctlError
from orderctl.localcloud import kept
from orderctl.localcloud.processes import (
    PORT_TAKEN,
    any_free_port,
    port_is_free,
    uninterrupted,
)
from orderctl.localcloud.state import HELD_NAME_SECONDS, REGION, LocalState, StateDirectory, health
from orderctl.localcloud.user_pool import with_user_pool
from orderctl.pipeline.stack import reachable
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    import boto3

DEFAULT_PORT = 4566
TRANSACTION_MS = 12
"""How long a transaction of DynamoDB takes, unless it is said; on AWS it takes about as long."""
NAME_HELD = timedelta(seconds=HELD_NAME_SECONDS + 1)

_SERVER = (sys.executable, "-m", "orderctl.localcloud.server")
_PORTS_TO_TRY = 100
_BOOT_SECONDS = 60.0
_POLL_SECONDS = 0.05
# How long `orderctl up` may take to notice that its server was stopped, and to end.
_OWNER_SECONDS = 3.0
_LOG_LINES_SHOWN = 15
# The exit codes of a server that was told to stop.
_STOPPED = (0, -signal.SIGTERM)
# On AWS the API takes signed requests only; here only this machine can reach it. Retries are quick,
# so that nobody has to wait for them; and here the index of ended orders costs nothing.
LOCAL_PARAMETERS = {"ApiAuthorization": "NONE", "RetryDelaySeconds": "1", "OrdersIndex": "true"}


class NotRunningError(OrderctlError):
    """There is no local cloud to work with."""


class NotInstalledError(OrderctlError):
    """What the local cloud needs is not installed."""


class PortTakenError(OrderctlError):
    """Another program was faster to listen on the port."""


class LocalCloud:
    """A local cloud that lives as long as its `with` block.

    Without a directory it is private: a port of its own, nothing recorded, nothing left behind.

        with LocalCloud() as cloud:
            outputs = cloud.deploy(package.build(Target.this_machine()))
            sqs = cloud.session().client("sqs")
    """

    def __init__(
        self,
        directory: StateDirectory | None = None,
        *,
        ports: Iterable[int] | None = None,
        detached: bool = False,
        keep: bool = False,
        transaction_ms: int = TRANSACTION_MS,
        server: Sequence[str] = _SERVER,
    ) -> None:
        """Create a local cloud without starting it.

        Args:
            directory: Where it is recorded for other commands.
            ports: The ports to try in turn; any free port when not given.
            detached: Whether it may outlive this process, once `detach` is called.
            keep: Whether it goes on with what the directory keeps of the last one, and keeps its
                state when it stops. Then its port must be that of the last one, if there was one.
            transaction_ms: How long a transaction of DynamoDB holds its items.
            server: The program, with the arguments before its own.
        """
        self._private: tempfile.TemporaryDirectory[str] | None = None
        if directory is None:
            self._private = tempfile.TemporaryDirectory(prefix="orderctl-")
            directory = StateDirectory(Path(self._private.name))
        self._home = directory
        self._ports = iter(any_free_port, None) if ports is None else ports
        self._detached = detached
        self._keep = keep
        self._transaction_ms = transaction_ms
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None
        self._state: LocalState | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def state(self) -> LocalState:
        """Its recorded state; only while it runs."""
        if self._state is None:
            raise NotRunningError("This local cloud is not running.")
        return self._state

    @property
    def endpoint(self) -> str:
        """The address at which the AWS APIs are served."""
        return self.state.endpoint

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs, with addresses that can be reached from here."""
        return self.state.outputs

    def session(self) -> "boto3.Session":
        """A session with its root credentials."""
        return self.state.session()

    def start(self) -> None:
        """Start the server and wait until it is ready.

        Raises:
            NotInstalledError: What it needs is not installed.
            OrderctlError: It ended or did not become ready; the message has the end of its log.
        """
        check_installed()
        for port in self._ports:
            try:
                # Nothing may interrupt between starting the process and recording it.
                with uninterrupted():
                    self._spawn(port)
                self._wait_until_ready()
            except PortTakenError:
                self.stop()  # another program was faster; the next port may do
            except BaseException:
                self.stop()
                raise
            else:
                return
        raise OrderctlError("Other programs have all the ports that the local cloud may use.")

    def deploy(
        self,
        artifact: Artifact,
        *,
        template: deploying.Template | None = None,
        parameters: Mapping[str, str] | None = None,
        observer: deploying.Observer | None = None,
    ) -> Mapping[str, str]:
        """Deploy the pipeline into it.

        Args:
            artifact: The functions, packaged for this machine.
            template: What to deploy; the project's template when not given.
            parameters: The template's parameters.
            observer: Gets the events of the deployment.

        Returns:
            The stack's outputs, with addresses that can be reached from here.

        Raises:
            OrderctlError: The parameters do not fit the template.
            StackError: The template could not be deployed.
            OrderctlError: The server ended meanwhile.
        """
        template = template or deploying.Template.load()
        parameters = with_user_pool(self.session(), self.state.stack_name, parameters or {})
        try:
            deployment = deploying.deploy(
                self.session(),
                artifact,
                template=template,
                parameters=parameters,
                first_parameters=LOCAL_PARAMETERS,
                stack_name=self.state.stack_name,
                observer=observer,
                poll_seconds=_POLL_SECONDS,
                name_held=NAME_HELD,
            )
        except deploying.StackError:
            self._check_alive()
            raise
        outputs = reachable(deployment.outputs, self.endpoint)
        self._record(replace(self.state, outputs=outputs, ready=True))
        return self.outputs

    @property
    def directory(self) -> StateDirectory:
        """Where it is recorded."""
        return self._home

    def note_console(self, address: str) -> None:
        """Record the address of the console beside it."""
        self._record(replace(self.state, console=address))

    def detach(self) -> None:
        """Leave it running on its own; `orderctl down` stops it."""
        self._record(replace(self.state, detached=True))
        self._process = None

    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Wait until another command stops it.

        Raises:
            OrderctlError: It ended by itself.
        """
        code = self._process.wait() if self._process else 0
        if code not in _STOPPED:
            raise OrderctlError(self._end(code))

    def stop(self) -> None:
        """End the server, its functions' processes, and the record of it."""
        with uninterrupted():
            if self._process:
                process = self._process
                # Not `is_running`: a process that has only just started may lack a command line.
                self.state.terminate(lambda: process.poll() is None)
                process.wait()
                if process.stdin:
                    process.stdin.close()
                self._home.clear(self.state.instance)
                self._process = self._state = None
            if self._private:
                self._private.cleanup()

    def _spawn(self, port: int) -> None:
        home = self._home
        home.prepare()
        instance = secrets.token_hex(8)
        key, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        command = [*self._server, "--port", str(port), "--instance", instance]
        command += ["--transaction-ms", str(self._transaction_ms)] if self._transaction_ms else []
        if self._keep:
            command += ["--keep", str(home.kept)]
            if before := kept.find(home.kept):
                key, secret = before.access_key_id, before.secret_access_key
        with home.open_log() as log:
            self._process = subprocess.Popen(
                command if self._detached else [*command, "--exit-with-parent"],
                stdin=subprocess.DEVNULL if self._detached else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_server_environment(key, secret, home.temporary),
                start_new_session=True,  # so that Ctrl-C in the terminal reaches only the owner
            )
        self._record(
            LocalState(
                pid=self._process.pid,
                port=port,
                instance=instance,
                access_key_id=key,
                secret_access_key=secret,
                stack_name=deploying.DEFAULT_NAME,
                log=str(home.log),
                started_at=datetime.now(UTC).isoformat(timespec="seconds"),
                keep=self._keep,
            )
        )

    def _record(self, state: LocalState) -> None:
        self._state = state
        self._home.write(state)

    def _wait_until_ready(self) -> None:
        def answers() -> bool:
            self._check_alive()
            return self.state.answers()

        if not wait_until(answers, patience_seconds=_BOOT_SECONDS, poll_seconds=_POLL_SECONDS):
            raise OrderctlError(
                f"The local cloud was not ready after {_BOOT_SECONDS:.0f} s. "
                f"The end of its log:\n{self._log_end()}"
            )

    def _check_alive(self) -> None:
        """Raise if the server has ended."""
        code = self._process.poll() if self._process else None
        if code in _STOPPED:
            raise OrderctlError("The local cloud was stopped meanwhile. Start it again.")
        if code == PORT_TAKEN:
            raise PortTakenError(_port_taken(self.state.port))
        if code is not None:
            raise OrderctlError(self._end(code))

    def _end(self, code: int) -> str:
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return f"The local cloud ended by itself ({how}). The end of its log:\n{self._log_end()}"

    def _log_end(self) -> str:
        lines = self._home.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return "\n".join(f"  {line}" for line in lines) or "  (it is empty)"


def check_installed() -> None:
    """Check that what the local cloud needs is there: an extra of the package.

    Raises:
        NotInstalledError: It is not.
    """
    if importlib.util.find_spec("ministack") is None:
        raise NotInstalledError(
            "The local cloud is not installed. Install orderctl with it, for example with: "
            "pipx install --force 'order-pipeline[local]', or from a checkout '.[local]'"
        )


def _server_environment(key: str, secret: str, temporary: Path) -> dict[str, str]:
    """The server's environment: this one, but with the local cloud's AWS settings only."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return own | {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": REGION,
        "TMPDIR": str(temporary),
    }


def kept_port(directory: StateDirectory, asked: int | None) -> int | None:
    """The port for a local cloud that goes on with what a directory keeps.

    Args:
        directory: Where it is recorded.
        asked: The requested port, if any.

    Raises:
        OrderctlError: The kept state is of another port or version.
    """
    before = kept.find(directory.kept)
    if before and asked not in {None, before.port}:
        raise OrderctlError(
            f"The kept local cloud is of port {before.port}, which stands in its addresses. Leave "
            f"--port out. To start anew, delete {paths.display_path(directory.kept)}."
        )
    if before and not port_is_free(before.port):
        raise OrderctlError(
            f"Port {before.port}, which the kept local cloud has, is taken by another program. "
            f"Stop that program. To start anew, delete {paths.display_path(directory.kept)}."
        )
    return before.port if before else asked


def free_ports(asked: int | None) -> Iterator[int]:
    """Yield the requested port, or else the default and the next ones, as far as they are free.

    The next one is needed when another program was faster.

    Args:
        asked: The requested port, if any.

    Raises:
        OrderctlError: The requested port is taken, or all default ones are.
    """
    if asked is not None:
        if port_is_free(asked):
            yield asked
        raise OrderctlError(_port_taken(asked))
    for port in range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TO_TRY):
        if port_is_free(port):
            yield port
    raise OrderctlError(
        f"Ports {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS_TO_TRY - 1} are all taken. "
        "Give a free one with --port."
    )


def _port_taken(port: int) -> str:
    by = "another local cloud" if health(port) else "another program"
    return (
        f"Port {port} is taken by {by}. "
        "Stop that program, give another --port, or leave --port out to use the next free one."
    )


@contextlib.contextmanager
def claim(directory: StateDirectory) -> Iterator[LocalState | None]:
    """Lock a directory for a new local cloud.

    Args:
        directory: Where it will be recorded.

    Yields:
        The record of one that ended without being stopped, if any; it is cleaned up.

    Raises:
        OrderctlError: One is running, or another `orderctl up` is starting one.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(directory.lock())
        except Timeout:
            raise OrderctlError(_already_running(directory.read())) from None
        left_over = directory.read()
        if left_over and left_over.detached and left_over.is_running():
            raise OrderctlError(_already_running(left_over))
        if left_over:
            left_over.terminate()
            directory.clear(left_over.instance)
        directory.keep_log()
        yield left_over


def _already_running(state: LocalState | None) -> str:
    stop_it = f"`{paths.orderctl()} down` stops it."
    if state is None or not state.ready:
        return f"Another `orderctl up` is starting a local cloud. {stop_it}"
    return f"A local cloud is running already, at {state.endpoint}. {stop_it}"


def find_running(directory: StateDirectory) -> LocalState:
    """Find the running local cloud that is recorded in a directory.

    Args:
        directory: Where to look.

    Raises:
        NotRunningError: None is running, or it is not ready.
    """
    state = directory.read()
    if state is None:
        raise NotRunningError(f"No local cloud is running. Start one with: {paths.orderctl()} up")
    if not state.is_running():
        raise NotRunningError(
            "The local cloud ended without being stopped. "
            f"Start a new one with: {paths.orderctl()} up"
        )
    if not state.ready:
        raise NotRunningError(
            "The local cloud is still starting. Try again when `orderctl up` says it is ready."
        )
    if not state.answers():
        raise NotRunningError(
            f"The local cloud (process {state.pid}) does not answer at {state.endpoint}. "
            f"Its log is {paths.display_path(Path(state.log))}; `{paths.orderctl()} down` stops it."
        )
    return state


def stop(directory: StateDirectory) -> LocalState | None:
    """Stop the local cloud that is recorded in a directory, and delete the record.

    Args:
        directory: Where to look.

    Returns:
        What was stopped; None when nothing was running.
    """
    state = directory.read()
    if state is None:
        return None
    with uninterrupted():
        was_running = state.terminate()
        directory.clear(state.instance)
        directory.wait_until_unlocked(_OWNER_SECONDS)
    return state if was_running else None
