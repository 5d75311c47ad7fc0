"""The local cloud's program: `python -m orderctl.localcloud.server --port N --instance ID`.

The caller chooses the root credentials and passes them as AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY. The server listens on 127.0.0.1 only, keeps its state in memory, and leaves
nothing behind: no process, and no file but its state if it is told to keep it.
`GET /_orderctl/health` answers {"instance": ID}.
"""

import argparse
import asyncio
import contextlib
import errno
import gc
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orderctl.localcloud import kept
from orderctl.localcloud.processes import LOOPBACK, PORT_TAKEN

# Functions inherit this process's environment from MiniStack. Nothing of the user's own environment
# may reach them (on AWS it would not be there either), so only these variables pass.
_INHERITED = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "USER"})
_KEEP_ALIVE_SECONDS = 75
_MOST_HEAD_BYTES = 64 * 1024
_SECONDS_FOR_OPEN_REQUESTS = 0.5
_OBJECTS_UNTIL_COLLECTED = 50_000


def main() -> None:
    """Run the local cloud until SIGTERM, SIGINT or, if asked so, the parent's end."""
    arguments = _parse_arguments()
    if not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= os.environ.keys():
        sys.exit("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to the root user's credentials.")
    os.umask(0o077)  # other users of this machine must not read what is written
    temporary = tempfile.mkdtemp(prefix="orderctl-")
    status = 0
    try:
        _set_environment(arguments.port, temporary, keep=arguments.keep is not None)
        if arguments.keep:
            kept.load(arguments.keep, Path(os.environ["STATE_DIR"]))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(arguments))
        if arguments.keep:
            _save(arguments)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        status = PORT_TAKEN
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    # MiniStack's threads that still wait for a function or a queue must not delay the exit.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The local cloud, on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--instance", required=True, help="returned by the health check")
    parser.add_argument(
        "--transaction-ms",
        type=float,
        default=0.0,
        help="how long a transaction of DynamoDB holds its items",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="keep the state there, and go on with it"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="exit when standard input closes"
    )
    return parser.parse_args()


def _set_environment(port: int, temporary: str, *, keep: bool) -> None:
    """Set what MiniStack reads when it is imported, and what functions inherit."""
    given = dict(os.environ)
    region = given.get("AWS_DEFAULT_REGION", "us-east-1")
    os.environ.clear()
    os.environ.update({name: given[name] for name in _INHERITED & given.keys()})
    os.environ.update(
        {
            "AWS_ACCESS_KEY_ID": given["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": given["AWS_SECRET_ACCESS_KEY"],
            "AWS_DEFAULT_REGION": region,
            "MINISTACK_REGION": region,
            # Everything that runs here calls this server, and no other AWS.
            "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{port}",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Hide Docker, because MiniStack would clean up containers in it.
            "DOCKER_HOST": f"unix://{temporary}/no-docker.sock",
            "AUTH": "true",
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": str(int(keep)),
            "LOG_LEVEL": "WARNING",
            "TZ": "UTC",
            # All files go here; main() removes them.
            "TMPDIR": temporary,
            "STATE_DIR": f"{temporary}/state",
            "S3_DATA_DIR": f"{temporary}/s3",
        }
    )
    tempfile.tempdir = None  # so that it is read again


def _save(arguments: argparse.Namespace) -> None:
    """Keep the state for the next local cloud.

    Nobody could continue a deployment that is interrupted, so then what was kept before stays.
    """
    from ministack import app as ministack_app  # noqa: PLC0415
    from ministack.core import persistence  # noqa: PLC0415
    from ministack.services import cloudformation  # noqa: PLC0415

    if any(s["StackStatus"].endswith("_IN_PROGRESS") for s in cloudformation._stacks.all_values()):
        logging.getLogger(__name__).warning("the stack was being changed: nothing was kept")
        return
    persistence.save_all(ministack_app._build_persistence_save_dict())
    of = kept.Kept(
        kept.this_version(),
        arguments.port,
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
    )
    kept.save(arguments.keep, of, Path(os.environ["STATE_DIR"]))


async def _serve(arguments: argparse.Namespace) -> None:
    # Imported only now: these modules read the environment when they are loaded.
    from ministack.core import lambda_runtime  # noqa: PLC0415

    from orderctl.localcloud.app import build_app  # noqa: PLC0415

    server = _Server(
        uvicorn.Config(
            build_app(arguments.instance, arguments.transaction_ms / 1000),
            http=_Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # nobody may say for whom they call
            server_header=False,
            date_header=False,  # MiniStack's responses have one
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            reset_contextvars=True,  # no request sees who sent the one before
        )
    )
    _spare_the_collector()
    stop = _stop_event(arguments.exit_with_parent)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, arguments.port))
        serving = asyncio.create_task(server.serve([listener]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not serving.done():
                # Otherwise a request that waits for a function would delay the exit until it ends.
                await asyncio.to_thread(lambda_runtime.reset)
                server.should_exit = True
                await asyncio.wait({serving}, timeout=_SECONDS_FOR_OPEN_REQUESTS)
            if serving.done():
                serving.result()
        finally:
            logging.disable()  # threads would log that the event loop is gone
            lambda_runtime.reset()  # again, for processes that were started in the meantime


def _spare_the_collector() -> None:
    """Let the garbage collector pass over what was loaded, and come less often.

    It looks at everything that is there. Most of that are modules, which stay.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_UNTIL_COLLECTED)


class _Protocol(HttpToolsProtocol):
    """HTTP whose requests have a short head, and whose responses leave in one piece.

    uvicorn reads a head of any length, and writes head and body of a response one after the other,
    each at once. In one piece their readers wake up once.
    """

    def __init__(self, *of: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*of, **named)
        self._head_bytes: int | None = 0  # None while a body is read

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head of the request is too long."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if (self._head_bytes or 0) > _MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting."""
        self._head_bytes = None
        super().on_headers_complete()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write to the new connection through a buffer."""
        super().connection_made(cast(asyncio.Transport, _Buffered(transport, self.loop)))


class _Buffered:
    """A transport that writes what came in one turn of the event loop together."""

    def __init__(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Close when everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)


class _Server(uvicorn.Server):
    """A server that leaves the signals to its caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def _stop_event(exit_with_parent: bool) -> asyncio.Event:
    """An event that is set by SIGTERM, SIGINT or the end of standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def wait_for_parent() -> None:
        while sys.stdin.buffer.read(1):
            pass
        loop.call_soon_threadsafe(stop.set)

    if exit_with_parent:
        threading.Thread(target=wait_for_parent, daemon=True).start()
    return stop


if __name__ == "__main__":
    main()
