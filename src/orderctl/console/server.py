"""Serves the console on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_SECONDS_FOR_OPEN_REQUESTS: Final = 1
_TICKS_A_SECOND: Final = 10  # of uvicorn's main loop


def serve(
    listener: socket.socket,
    app: ASGIApp,
    ready: Callable[[], None] = lambda: None,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Serve until a signal ends it, or it is to go on no longer.

    Args:
        listener: a socket from `listening.listen`.
        app: the application.
        ready: is called once it answers.
        goes_on: is asked once a second.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_FOR_OPEN_REQUESTS,
    )
    _Server(config, ready, goes_on).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], goes_on: Callable[[], bool]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._goes_on = goes_on

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        ends = await super().on_tick(counter)
        return ends or (counter % _TICKS_A_SECOND == 0 and not self._goes_on())
