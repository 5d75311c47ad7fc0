"""The archive of the bus, and replays from it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderctl.pipeline.names import find
from orderctl.pipeline.steps import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    import boto3
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import DescribeReplayResponseTypeDef

    from orderctl.pipeline.stack import Stack

_ARCHIVE = "OrderEventArchive"
_ENDED = ("COMPLETED", "CANCELLED", "FAILED")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is."""

    state: str
    last_replayed: datetime | None
    """The time of the last event that was replayed."""
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more is replayed."""
        return self.state in _ENDED

    def share(self, start: datetime, end: datetime) -> float:
        """How much of the span of time is done, from 0 to 1."""
        if self.state == "COMPLETED":
            return 1
        if self.last_replayed is None:
            return 0
        return min(max((self.last_replayed - start) / (end - start), 0), 1)


class Archive:
    """What the bus has carried."""

    def __init__(self, session: boto3.Session, stack: Stack) -> None:
        """Take the stack whose bus it is of."""
        self._events: EventBridgeClient = session.client("events")
        self._bus = stack.outputs["EventBusName"]
        self._prefix = stack.prefix
        found = self._events.describe_archive(ArchiveName=stack.physical_id(_ARCHIVE))
        self._arn = found["ArchiveArn"]
        self.retention_days = found.get("RetentionDays", 0)
        """How long events are kept; 0 for ever."""
        # The id of a rule on a bus of its own is BUS|RULE on AWS.
        self._rules = {
            rule: stack.physical_id(rule.logical_id).rsplit("|", 1)[-1] for rule in RULES
        }

    def rules(self, typed: Sequence[str]) -> list[str]:
        """The names of the rules that were meant; the default ones when none was typed.

        Raises:
            OrderctlError: one is none of the pipeline's on the bus.
        """
        if not typed:
            return [name for rule, name in self._rules.items() if rule.is_replayed]
        known = list(self._rules.values())
        return [find(name, known, self._prefix, what="rule") for name in typed]

    def replay(self, start: datetime, end: datetime, rules: Sequence[str]) -> str:
        """Start a replay, and return its name.

        Args:
            start: events from then on.
            end: and before then.
            rules: the names of the rules that get them.
        """
        bus = self._events.describe_event_bus(Name=self._bus)["Arn"]
        name = f"{self._prefix}replay-{end:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self._events.start_replay(
            ReplayName=name,
            Description="orderctl replay",
            EventSourceArn=self._arn,
            EventStartTime=start,
            EventEndTime=end,
            Destination={"Arn": bus, "FilterArns": self._rule_arns(rules)},
        )
        return name

    def progress(self, replay: str) -> Progress:
        """How far a replay is, by its name."""
        found: DescribeReplayResponseTypeDef = self._events.describe_replay(ReplayName=replay)
        return Progress(
            found["State"], found.get("EventLastReplayedTime"), found.get("StateReason", "")
        )

    def cancel(self, replay: str) -> None:
        """Stop a replay; what was replayed by then stays so."""
        self._events.cancel_replay(ReplayName=replay)

    def _rule_arns(self, names: Sequence[str]) -> list[str]:
        pages = self._events.get_paginator("list_rules").paginate(EventBusName=self._bus)
        arns: Mapping[str, str] = {
            rule["Name"]: rule["Arn"] for page in pages for rule in page["Rules"]
        }
        return [arns[name] for name in dict.fromkeys(names)]


def too_old(start: datetime, now: datetime, retention: timedelta) -> bool:
    """Whether a replay asks for more than the archive keeps; for ever is no time at all."""
    return bool(retention) and start < now - retention
