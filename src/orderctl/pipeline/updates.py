"""Reads the order updates as a shop's own service would."""

from __future__ import annotations

import json
from typing import Any

from orderctl.pipeline.queues import Queue


class OrderUpdates(Queue):
    """The queue that is subscribed to the topic of order updates."""

    def take(self) -> list[dict[str, Any]]:
        """Receive up to ten updates that are there now, and delete them."""
        messages = self.receive(wait_seconds=0)
        self.delete(messages)
        return [json.loads(message.body) for message in messages]
