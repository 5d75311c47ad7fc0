"""EventBridge: events out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orders.aws.errors import AwsError
from orders.aws.patience import try_all
from orders.clock import utc_now
from orders.events import encode_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from orders.aws.context import Context
    from orders.events import Announcement

_ENTRIES_A_CALL: Final = 10
"""As many as ``PutEvents`` takes."""
_BYTES_A_CALL: Final = 250_000
"""What ``PutEvents`` takes is "less than 256 KB" for all entries of a call ("Calculating PutEvents
event entry size" in the EventBridge user guide). Since January 2026 an event may have 1 MB (AWS
Compute Blog), which that page does not say; the envelope around it must fit into a queue, too."""


@dataclass(frozen=True, slots=True)
class Bus:
    """The event bus of the pipeline."""

    client: EventBridgeClient
    name: str

    def publish(self, details: Sequence[Announcement], context: Context) -> list[str | None]:
        """Put events on the bus, with as few calls as possible.

        ``PutEvents`` answers 200 with failures inside, so each entry's answer is looked at. What
        was refused for a transient reason is tried again.

        Args:
            details: what the events say.
            context: the invocation's.

        Returns:
            For each event None, or why EventBridge did not take it.
        """
        codes = try_all([self._entry(detail) for detail in details], self._put, context)
        return [code and f"{code} from PutEvents" for code in codes]

    def _put(self, entries: Sequence[PutEventsRequestEntryTypeDef]) -> list[str | None]:
        return [code for call in _calls(entries) for code in self._put_together(call)]

    def _put_together(self, entries: list[PutEventsRequestEntryTypeDef]) -> list[str | None]:
        if len(entries) == 1 and _size(entries[0]) > _BYTES_A_CALL:
            return [f"EntryTooLarge ({_size(entries[0])} bytes)"]
        try:
            answer = self.client.put_events(Entries=entries)
        except AwsError as error:
            return [error.code] * len(entries)
        if not answer["FailedEntryCount"]:
            return [None] * len(entries)
        return [entry.get("ErrorCode") for entry in answer["Entries"]]

    def _entry(self, detail: Announcement) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self.name,
            "Source": detail.source,
            "DetailType": detail.detail_type,
            "Detail": encode_event(detail, utc_now()),
        }


def _calls(
    entries: Sequence[PutEventsRequestEntryTypeDef],
) -> Iterator[list[PutEventsRequestEntryTypeDef]]:
    """Divide entries into what fits into one call; one that fits into none comes by itself."""
    call: list[PutEventsRequestEntryTypeDef] = []
    total = 0
    for entry in entries:
        size = _size(entry)
        if call and (len(call) == _ENTRIES_A_CALL or total + size > _BYTES_A_CALL):
            yield call
            call, total = [], 0
        call.append(entry)
        total += size
    if call:
        yield call


def _size(entry: PutEventsRequestEntryTypeDef) -> int:
    """An entry's bytes as EventBridge counts them."""
    return sum(len(entry[part].encode()) for part in ("Source", "DetailType", "Detail"))
