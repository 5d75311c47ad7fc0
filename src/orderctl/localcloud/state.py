"""The record of a running local cloud, kept in a directory for other commands."""

import contextlib
import http.client
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from filelock import FileLock, Timeout

from orderctl import paths
from orderctl.errors import OrderctlError
from orderctl.localcloud.processes import GRACE_SECONDS, LOOPBACK, is_running, terminate

if TYPE_CHECKING:
    import boto3

HEALTH_PATH = "/_orderctl/health"
TRACES_PATH = "/_orderctl/traces"
"""Where the local cloud tells what its functions did; see `traces.py`."""
REGION = "us-east-1"
HELD_NAME_SECONDS = 15.0
"""How long the name of a deleted queue cannot be used again; on AWS a minute."""
_HEALTH_TIMEOUT_SECONDS = 2.0
_GRACE_TO_SAVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LocalState:
    """A local cloud as it was started.

    Attributes:
        pid: The server's process, which leads its own process group.
        port: Its port on the loopback interface.
        instance: A random name, in the server's command line and in its health answer.
        secret_access_key: The root user's, with `access_key_id`; made for this instance.
        stack_name: The stack that is deployed in it.
        log: The server's output.
        started_at: When, in UTC, in ISO 8601.
        detached: Whether it was started with --detach.
        keep: Whether it keeps its state for the next local cloud when it is stopped.
        ready: Whether the stack was deployed, so that other commands may use it.
        outputs: The stack's outputs, with reachable addresses; empty after it was destroyed.
        console: The address of the console beside it, with its secret; empty without one.
    """

    pid: int
    port: int
    instance: str
    access_key_id: str
    secret_access_key: str
    stack_name: str
    log: str
    started_at: str
    detached: bool = False
    keep: bool = False
    ready: bool = False
    outputs: Mapping[str, str] = field(default_factory=dict)
    console: str = ""

    @property
    def endpoint(self) -> str:
        """The address at which the AWS APIs are served."""
        return f"http://{LOOPBACK}:{self.port}"

    def is_running(self) -> bool:
        """Whether the server's process is running."""
        return is_running(self.pid, self.instance)

    def answers(self) -> bool:
        """Whether the server is ready for requests, and is this one."""
        return health(self.port) == self.instance

    def terminate(self, runs: Callable[[], bool] | None = None) -> bool:
        """End the server and its functions' processes.

        Args:
            runs: Whether it still runs; `is_running` when not given.

        Returns:
            Whether it was running.
        """
        grace_seconds = _GRACE_TO_SAVE_SECONDS if self.keep else GRACE_SECONDS
        return terminate(self.pid, runs or self.is_running, grace_seconds)

    def session(self) -> "boto3.Session":
        """A session for the local cloud alone, whatever AWS settings the machine has."""
        import boto3  # noqa: PLC0415 — slow to load, and not every command needs it
        import botocore.session  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        core = botocore.session.Session()
        settings = core.get_component("config_store")
        for name, value in {
            "profile": None,
            "config_file": os.devnull,
            "endpoint_url": self.endpoint,
            "ignore_configured_endpoint_urls": False,
        }.items():
            settings.set_config_variable(name, value)
        core.set_default_client_config(
            Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 3})
        )
        return boto3.Session(
            botocore_session=core,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=REGION,
        )


def health(port: int) -> str | None:
    """The instance that answers on a port; None when it is no local cloud."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_HEALTH_TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", HEALTH_PATH)
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
    instance = answer.get("instance") if isinstance(answer, dict) else None
    return instance if isinstance(instance, str) else None


class StateDirectory:
    """The directory of one local cloud: its state, its log, and what it needs while it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "local.log"
        self.temporary = path / "tmp"
        self.kept = path / "kept"
        self.previous_log = path / "local.previous.log"
        self._state = path / "local.json"
        self._lock = path / "up.lock"

    def prepare(self) -> None:
        """Make the directory, and remove what an earlier run left in it.

        An existing directory may be readable by others, so the files in it must not be.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(mode=0o700)

    def keep_log(self) -> None:
        """Keep the log of the last local cloud, which may tell why it ended, beside the new one."""
        if self.log.exists():
            self.log.replace(self.previous_log)

    def open_log(self) -> BinaryIO:
        """Start a new server log, readable by its owner only."""
        self.log.unlink(missing_ok=True)
        return os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def read(self) -> LocalState | None:
        """The recorded state; None when there is no readable one."""
        try:
            return LocalState(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, state: LocalState) -> None:
        """Record a state, readable by its owner only; a reader sees the old one or this one."""
        descriptor, name = tempfile.mkstemp(dir=self.path, prefix=".local-")  # made with mode 0600
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(state), file, indent=2)
        Path(name).replace(self._state)

    def clear(self, instance: str) -> None:
        """Delete the record of an instance, unless another has been recorded since."""
        state = self.read()
        if state is None or state.instance == instance:
            self._state.unlink(missing_ok=True)
            shutil.rmtree(self.temporary, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only `orderctl up` in this directory; the lock ends with its holder's process.

        Raises:
            filelock.Timeout: Another one holds the lock.
            OrderctlError: The directory cannot be created or written to.
        """
        lock = FileLock(self._lock, blocking=False)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:  # an OSError, too
            raise
        except OSError as error:
            raise OrderctlError(
                f"{paths.display_path(self.path)} cannot hold the state of a local cloud: "
                f"{error.strerror}. Choose another directory with {paths.STATE_VARIABLE}."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def wait_until_unlocked(self, seconds: float) -> None:
        """Wait until no `orderctl up` holds this directory, but not for longer than asked."""
        with contextlib.suppress(Timeout), FileLock(self._lock, timeout=seconds):
            pass
