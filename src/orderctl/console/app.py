"""The console as an application: which address shows what, and what it changes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar

from htpy import Node
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from orderctl.console import (
    changes,
    dead_letters_page,
    film,
    flow_page,
    operate_page,
    order_page,
    orders_page,
)
from orderctl.console.changes import Change, Form, Notes, Said
from orderctl.console.collector import Collector, Open, Pace, Pipelines, Snapshot
from orderctl.console.follower import Follower
from orderctl.console.guard import Guard
from orderctl.console.key import Key
from orderctl.console.live import Frame, Hub
from orderctl.console.page import Setting, answer, document, made, notice, to_html
from orderctl.console.practice import Practice
from orderctl.console.shared import Shared
from orderctl.console.story_reader import StoryReader
from orderctl.console.watching import Watching
from orderctl.errors import OrderctlError
from orderctl.pipeline.feed import SeenEvent

STATIC: Final = Path(__file__).parent / "static"
_STREAM: Final = {"x-accel-buffering": "no"}
_EVENTS_LISTED: Final = 12

CHANGES: Final[dict[str, Change]] = {
    dead_letters_page.REDRIVE: dead_letters_page.redrive,
    "/dead-letters/redrive-group": dead_letters_page.redrive_group,
    dead_letters_page.PURGE: dead_letters_page.purge,
    operate_page.ORDER: operate_page.place_order,
    "/operate/cancel": operate_page.cancel_order,
    "/operate/consumer": operate_page.switch_consumer,
    operate_page.STOCK: operate_page.change_stock,
    operate_page.REPLAY: operate_page.replay,
}
"""What each form's address does."""

ToldT = TypeVar("ToldT")
Show = Callable[[Request], Node]


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
    practises: bool = False
    """Whether something may go wrong on purpose: in the local cloud."""


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
            practises=options.practises,
        )
        self._report = options.report
        self._pipelines = Pipelines(open_pipeline)
        self._notes = Notes()
        self._shared = Shared()
        self._snapshot = Snapshot()
        self._passed: deque[SeenEvent] = deque(maxlen=_EVENTS_LISTED)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._practice = Practice(open_pipeline)
        self._collector = Collector(open_pipeline, options.pace, self._from_thread(self._tell))
        # To follow the bus makes a rule and a queue, so it is for those who may change something.
        tell_events = self._from_thread(self._pass_on)
        self._events: Watching = (
            Follower(open_pipeline, tell_events)
            if options.may_change
            else StoryReader(open_pipeline, options.pace.stories_seconds, tell_events)
        )
        self._stories_seconds = 0.0 if options.may_change else options.pace.stories_seconds
        self._hub = Hub(self._want)

    def app(self) -> Starlette:
        return Starlette(
            routes=[*self._routes()],
            exception_handlers={
                HTTPException: self._failed,
                OrderctlError: self._failed,
                Exception: self._defect,
            },
            lifespan=self._lifespan,
        )

    def _routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._flow),
            Route("/live", self._live),
            self._page("/orders", "Orders", self._orders),
            self._page("/orders/{order_id:path}", "Order", self._order),
            self._page("/dead-letters", "Dead letters", self._dead_letters),
            self._page("/dead-letters/{queue}/{message}", "Dead letter", self._dead_letter),
            self._page("/operate", "Operate", self._operate),
            self._page("/film", "Film", self._film),
            Route("/film/story", self._story),
            *(self._change(path, change) for path, change in CHANGES.items()),
            self._change(operate_page.INCIDENT, self._if_it_practises(self._practice.start)),
            self._change(operate_page.END_INCIDENT, self._if_it_practises(self._practice.end)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._collector.start()
        self._events.start()
        try:
            yield
        finally:
            self._collector.stop()
            await asyncio.to_thread(self._practice.close)
            await asyncio.to_thread(self._events.stop)

    def _want(self, wanted: bool) -> None:
        self._collector.want(wanted)
        self._events.want(wanted)

    def _from_thread(self, tell: Callable[[ToldT], None]) -> Callable[[ToldT], None]:
        def told(what: ToldT) -> None:
            if self._loop and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(tell, what)

        return told

    def _tell(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._hub.tell(
            Frame("flow", to_html(flow_page.live(snapshot, self._practice.now))), lasting=True
        )

    def _pass_on(self, events: Sequence[SeenEvent]) -> None:
        self._passed.extendleft(events)
        counts = Counter(event.type for event in events)
        self._hub.tell(Frame("events", json.dumps(counts)), lasting=False)
        self._hub.tell(Frame("passed", to_html(flow_page.passed(self._passed))), lasting=True)

    async def _flow(self, request: Request) -> Response:
        live = flow_page.live(self._snapshot, self._practice.now)
        content = flow_page.page(live, self._passed, self._stories_seconds)
        return self._answer(request, "Flow", "/", content)

    async def _live(self, _request: Request) -> Response:
        return StreamingResponse(
            self._hub.follow(), media_type="text/event-stream", headers=_STREAM
        )

    def _orders(self, request: Request) -> Node:
        now = datetime.now(UTC)
        filters = orders_page.Filters.of(request.query_params)
        return orders_page.page(filters, orders_page.look(self._pipelines, filters, now), now)

    def _order(self, request: Request) -> Node:
        seen = order_page.look(self._pipelines, request.path_params["order_id"])
        return order_page.page(self._setting, seen)

    def _dead_letters(self, request: Request) -> Node:
        seen = dead_letters_page.look(self._pipelines)
        return dead_letters_page.page(self._setting_for(request), seen, datetime.now(UTC))

    def _dead_letter(self, request: Request) -> Node:
        names = request.path_params
        one = dead_letters_page.look_at(self._pipelines, names["queue"], names["message"])
        return dead_letters_page.message_page(self._setting_for(request), one)

    def _operate(self, request: Request) -> Node:
        seen = operate_page.look(self._pipelines)
        return operate_page.page(self._setting_for(request), seen, self._practice)

    def _film(self, request: Request) -> Node:
        if not film.is_there():
            return film.missing()
        return film.page(film.Choice.of(request.query_params), film.sabotages())

    def _story(self, request: Request) -> Response:
        choice = film.Choice.of(request.query_params)
        text = self._shared.get(f"story {choice}", lambda: json.dumps(film.story(choice)))
        return Response(text, media_type="application/json")

    def _page(self, path: str, title: str, show: Show) -> Route:
        """A page that reads the pipeline, in a thread; those who ask at once share the answer."""
        menu = f"/{path.split('/')[1]}"

        def endpoint(request: Request) -> Response:
            address = f"{request.url.path}?{request.url.query}"
            content = self._shared.get(address, lambda: to_html(show(request)))
            return self._answer(request, title, menu, made(content))

        return Route(path, endpoint)

    def _change(self, path: str, change: Change) -> Route:
        async def endpoint(request: Request) -> Response:
            self._shared.forget()
            return await changes.carry_out(
                request, self._setting, self._pipelines, self._notes, change
            )

        return Route(path, endpoint, methods=["POST"])

    def _if_it_practises(self, change: Change) -> Change:
        """What makes something go wrong, where that is allowed."""

        def changed(pipelines: Pipelines, sent: Form) -> str | Said:
            if not self._setting.practises:
                raise OrderctlError("Incidents are for the local cloud.")
            return change(pipelines, sent)

        return changed

    def _said(self, request: Request) -> Said | None:
        return self._notes.find(request.query_params.get(changes.SAID))

    def _setting_for(self, request: Request) -> Setting:
        """The setting, with the form that is to be shown again."""
        said = self._said(request)
        return replace(self._setting, sent=said.sent) if said else self._setting

    def _answer(self, request: Request, title: str, menu: str, content: Node) -> Response:
        said = self._said(request)
        told = notice(said.text, said.tone, said.link) if said else None
        return answer(document(self._setting, title, menu, [told, content]))

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
