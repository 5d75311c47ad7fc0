"""EventBridge: events out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orders.events import encode

if TYPE_CHECKING:
    import msgspec
    from mypy_boto3_events import EventBridgeClient


class PublishRefusedError(Exception):
    """EventBridge answered, but did not take the event."""


@dataclass(frozen=True, slots=True)
class Bus:
    """The event bus of the pipeline."""

    client: EventBridgeClient
    name: str

    def publish(self, source: str, detail_type: str, detail: msgspec.Struct) -> None:
        """Put one event on the bus.

        ``PutEvents`` answers 200 with failures inside, so ``FailedEntryCount`` is looked at.

        Raises:
            PublishRefusedError: EventBridge refused the event.
            ClientError, BotoCoreError: the call failed.
        """
        answer = self.client.put_events(
            Entries=[
                {
                    "EventBusName": self.name,
                    "Source": source,
                    "DetailType": detail_type,
                    "Detail": encode(detail),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise PublishRefusedError(f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}")
