"""SNS: the FIFO topic of the order updates, and what its readers get."""

from __future__ import annotations

import json
from typing import Any, Final

from simulation.clients import Refusal
from simulation.requests import Request
from simulation.witness import Update
from simulation.world import World

_DEDUPLICATION_SECONDS: Final = 300


class Topic:
    """Takes messages in the order in which they come, and drops repetitions for five minutes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken: dict[str, float] = {}

    def perform(self, request: Request) -> Any:  # noqa: ANN401 - the operation's answer
        """``Publish``.

        Raises:
            Refusal: there is no such topic.
        """
        assert request.operation == "Publish", request.operation
        if request.arguments["TopicArn"] != self._world.topology.topic:
            raise Refusal("NotFoundException", "Topic does not exist")
        self._take(request.arguments)
        return {"MessageId": "message"}

    def _take(self, message: Any) -> None:  # noqa: ANN401 - the request's members
        now = self._world.scheduler.now
        id_ = message["MessageDeduplicationId"]
        if now - self._taken.get(id_, -_DEDUPLICATION_SECONDS) < _DEDUPLICATION_SECONDS:
            return
        self._taken[id_] = now
        update = json.loads(message["Message"])
        group, order_id, status = message["MessageGroupId"], update["order_id"], update["status"]
        version = update["version"]
        self._world.witness.updates.append(Update(now, group, order_id, status, version))
        self._world.story.tell("order-updates.fifo", f"takes {status} ({order_id})")
