"""EventBridge: every event to every target of its rules, at least once, late and in any order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from simulation.requests import Request
from simulation.rules import OWN_SOURCE
from simulation.weather import DUPLICATED_EVENT
from simulation.witness import Published
from simulation.world import World


@dataclass(frozen=True, slots=True)
class Event:
    """An event in the envelope that targets get."""

    id: str
    detail_type: str
    order_id: str
    envelope: str
    unreadable: str | None
    """The rule that is broken if a handler does anything with it; None if it is sound."""


Deliver = Callable[[str, Event], None]


class Bus:
    """The event bus and its rules."""

    def __init__(
        self, world: World, deliver: Deliver, watcher: Callable[[Published], None]
    ) -> None:
        """Begin empty.

        Args:
            world: the run's.
            deliver: hands an event to a target, which is named.
            watcher: is told of each event.
        """
        self._watcher = watcher
        self._world = world
        self._deliver = deliver
        self._count = 0

    def perform(self, request: Request, publisher: str) -> Any:  # noqa: ANN401 - the answer
        """``PutEvents``: take each entry that is one."""
        answers = []
        for entry in request.arguments["Entries"]:
            if entry["EventBusName"] != self._world.topology.bus:
                answers.append({"ErrorCode": "ResourceNotFoundException"})
                continue
            id_ = self.put(publisher, entry["Source"], entry["DetailType"], entry["Detail"])
            answers.append({"EventId": id_})
        failed = sum("ErrorCode" in answer for answer in answers)
        return {"FailedEntryCount": failed, "Entries": answers}

    def put(
        self,
        publisher: str,
        source: str,
        detail_type: str,
        detail: str,
        *,
        unreadable: str | None = None,
    ) -> str:
        """Take an event and send it on its ways; the answer is its id.

        One of a false source goes the ways of its detail-type, as if rules had grown too wide.
        """
        id_ = self._next_id()
        decoded = json.loads(detail)
        event = Event(
            id=id_,
            detail_type=detail_type,
            order_id=decoded.get("order_id", ""),
            envelope=self._envelope(id_, source, detail_type, detail),
            unreadable=unreadable,
        )
        world = self._world
        if not unreadable:
            published = Published(
                world.scheduler.now, publisher, detail_type, event.order_id, decoded
            )
            world.witness.published.append(published)
            self._watcher(published)
        for route in world.topology.routes:
            if detail_type in route.detail_types and (
                source in route.sources or unreadable == OWN_SOURCE
            ):
                self._send(route.target, event)
                if world.weather.strikes(DUPLICATED_EVENT):
                    self._send(route.target, event)
        return event.id

    def _next_id(self) -> str:
        self._count += 1
        return f"event-{self._count}"

    def _send(self, target: str, event: Event) -> None:
        delay = self._world.weather.delay()
        self._world.scheduler.after(delay, partial(self._deliver, target, event))

    def _envelope(self, id_: str, source: str, detail_type: str, detail: str) -> str:
        time = self._world.scheduler.instant().strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = {
            "version": "0",
            "id": id_,
            "detail-type": detail_type,
            "source": source,
            "account": "123456789012",
            "time": time,
            "region": "us-east-1",
            "resources": [],
        }
        # The detail stays the publisher's text: its numbers keep their digits.
        return f'{json.dumps(facts)[:-1]}, "detail": {detail}}}'


class BusOfOneId(Bus):
    """The same, but all events have one id: for runs that are to be equal if what they do is."""

    def _next_id(self) -> str:
        return "event"
