"""`make cut`: orders through the local cloud while the functions' connections to it are cut.

Between each function and the cloud stands a proxy that cuts every connection after a random number
of bytes, mostly in the middle of a request or an answer. Nothing may be lost, and nothing be done
twice.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from bench import soak
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.processes import LOOPBACK

_MOST_BYTES: Final = 60_000
"""How many bytes go over a connection before it is cut; 20 to 30 calls at most."""
_BYTES_AT_ONCE: Final = 65_536


@dataclass(slots=True)
class _Connection:
    """A function's connection, and the way on to the cloud."""

    function: asyncio.StreamWriter
    cloud: asyncio.StreamWriter
    left: int
    """How many bytes may still go over it."""
    is_cut: bool = False

    def cut(self) -> None:
        """Close both ends, without a word: what is on its way is lost."""
        self.is_cut = True
        for end in (self.function, self.cloud):
            end.transport.abort()


@dataclass(slots=True)
class Cutter:
    """The proxy; it stays when it cuts no more."""

    cloud: LocalCloud
    cuts: Counter[str] = field(default_factory=Counter)
    """How often a connection was cut, by what went over it then."""
    _is_calm: bool = False
    _port: int = 0
    _ready: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Cut for as long as the block takes."""
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait()
        self._lead_functions_here()
        try:
            yield
        finally:
            self._is_calm = True

    def told(self) -> str:
        """What it has done."""
        return f"{self.cuts.total():,} connections cut, in {soak.listed(self.cuts)}"

    def _lead_functions_here(self) -> None:
        functions = self.cloud.session().client("lambda")
        for function in functions.list_functions()["Functions"]:
            name = function["FunctionName"]
            known = functions.get_function_configuration(FunctionName=name)["Environment"]
            here = {"AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{self._port}"}
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": {**known["Variables"], **here}}
            )

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, LOOPBACK, 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _connect(
        self, from_function: asyncio.StreamReader, to_function: asyncio.StreamWriter
    ) -> None:
        from_cloud, to_cloud = await asyncio.open_connection(LOOPBACK, self.cloud.state.port)
        left = random.randrange(_MOST_BYTES)  # noqa: S311 - no secret
        connection = _Connection(to_function, to_cloud, left)
        await asyncio.gather(
            self._carry(from_function, to_cloud, connection, "requests"),
            self._carry(from_cloud, to_function, connection, "answers"),
        )

    async def _carry(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        connection: _Connection,
        what: str,
    ) -> None:
        """Carry bytes in one direction until the connection is closed, or cut."""
        with suppress(ConnectionError):
            while data := await source.read(_BYTES_AT_ONCE):
                carried = data if self._is_calm else data[: connection.left]
                target.write(carried)
                await target.drain()
                connection.left -= len(data)
                if len(carried) < len(data):
                    await asyncio.sleep(0)  # what was carried is out
                    self.cuts[what] += not connection.is_cut
                    connection.cut()
                    return
        target.close()


if __name__ == "__main__":
    soak.main(__doc__, Cutter, orders=10_000)
