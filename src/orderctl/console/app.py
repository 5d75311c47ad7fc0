"""The console as an application: which address shows what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from orderctl.console import flow_page, order_page, orders_page
from orderctl.console.collector import Collector, Open, Pace, Pipelines, Snapshot
from orderctl.console.guard import Guard, Key
from orderctl.console.live import Frame, Hub
from orderctl.console.page import Setting, answer, document, notice, to_html
from orderctl.errors import OrderctlError

STATIC: Final = Path(__file__).parent / "static"
_STREAM: Final = {"x-accel-buffering": "no"}


@dataclass(frozen=True, slots=True)
class Options:
    """How a console is set up."""

    stack: str
    where: str
    """Such as the local cloud, or a region of AWS."""
    pace: Pace
    may_change: bool
    port: int
    key: Key
    report: Callable[[BaseException], None]
    """Is told of a defect of the console itself."""


def build(open_pipeline: Open, options: Options) -> ASGIApp:
    """The application, behind its guard.

    Args:
        open_pipeline: opens the pipeline, with a session of its own each time.
        options: how it is set up.
    """
    return Guard(_Console(open_pipeline, options).app(), options.key, options.port)


class _Console:
    def __init__(self, open_pipeline: Open, options: Options) -> None:
        self._setting = Setting(
            stack=options.stack,
            where=options.where,
            form_token=options.key.form_token,
            may_change=options.may_change,
        )
        self._report = options.report
        self._pipelines = Pipelines(open_pipeline)
        self._snapshot = Snapshot()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._collector = Collector(open_pipeline, options.pace, self._tell_from_thread)
        self._hub = Hub(self._collector.want)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._flow),
                Route("/live", self._live),
                Route("/orders", self._page("/orders", "Orders", orders_page.page)),
                Route(
                    "/orders/{order_id:path}", self._page("/orders", "Order", order_page.page)
                ),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            exception_handlers={
                HTTPException: self._failed,
                OrderctlError: self._failed,
                Exception: self._defect,
            },
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._collector.start()
        try:
            yield
        finally:
            self._collector.stop()

    def _tell_from_thread(self, snapshot: Snapshot) -> None:
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, snapshot)

    def _tell(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._hub.tell(Frame("flow", to_html(flow_page.live(snapshot))), lasting=True)

    async def _flow(self, _request: Request) -> Response:
        return answer(document(self._setting, "Flow", "/", flow_page.page(self._snapshot)))

    async def _live(self, _request: Request) -> Response:
        return StreamingResponse(
            self._hub.follow(), media_type="text/event-stream", headers=_STREAM
        )

    def _page(
        self, path: str, title: str, make: Callable[[Pipelines, Request], object]
    ) -> Callable[[Request], Response]:
        """A page that reads the pipeline; it runs in a thread of its own."""

        def endpoint(request: Request) -> Response:
            return answer(document(self._setting, title, path, make(self._pipelines, request)))

        return endpoint

    def _failed(self, _request: Request, error: Exception) -> Response:
        """A page that says what went wrong."""
        if isinstance(error, HTTPException):
            status, why = error.status_code, error.detail
        else:
            status, why = HTTPStatus.BAD_GATEWAY, str(error)
        return answer(document(self._setting, "Not shown", "", notice(why)), status)

    def _defect(self, request: Request, error: Exception) -> Response:
        self._report(error)
        why = "Something unexpected went wrong in the console itself. Its terminal says what."
        return self._failed(request, HTTPException(HTTPStatus.INTERNAL_SERVER_ERROR, why))
