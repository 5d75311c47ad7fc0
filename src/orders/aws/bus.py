"""EventBridge: events out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orders.aws.clients import AWS_ERRORS, reason
from orders.events import ROUTING, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

_ENTRIES_AT_ONCE: Final = 10
"""As many as ``PutEvents`` takes."""


@dataclass(frozen=True, slots=True)
class Bus:
    """The event bus of the pipeline."""

    client: EventBridgeClient
    name: str

    def publish(self, details: Sequence[msgspec.Struct]) -> list[str | None]:
        """Put events on the bus, ten a call.

        ``PutEvents`` answers 200 with failures inside, so each entry's answer is looked at.

        Args:
            details: event details of the contract, which says under what type each is published.

        Returns:
            For each event None, or why EventBridge did not take it.
        """
        refusals: list[str | None] = []
        for start in range(0, len(details), _ENTRIES_AT_ONCE):
            refusals += self._put(
                [self._entry(d) for d in details[start : start + _ENTRIES_AT_ONCE]]
            )
        return refusals

    def _put(self, entries: list[PutEventsRequestEntryTypeDef]) -> list[str | None]:
        try:
            answer = self.client.put_events(Entries=entries)
        except AWS_ERRORS as error:
            return [reason(error)] * len(entries)
        if not answer["FailedEntryCount"]:
            return [None] * len(entries)
        codes = (entry.get("ErrorCode") for entry in answer["Entries"])
        return [code and f"{code} from PutEvents" for code in codes]

    def _entry(self, detail: msgspec.Struct) -> PutEventsRequestEntryTypeDef:
        source, detail_type = ROUTING[type(detail)]
        return {
            "EventBusName": self.name,
            "Source": source,
            "DetailType": detail_type,
            "Detail": encode(detail),
        }
