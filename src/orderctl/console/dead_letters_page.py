"""The page of the dead letters: what is parked and why, and sending it back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Final

import htpy as h
from botocore.exceptions import BotoCoreError, ClientError
from htpy import Element, Node
from starlette.exceptions import HTTPException

from orderctl.console import addresses
from orderctl.console.changes import Form, form, hidden
from orderctl.console.collector import Pipelines
from orderctl.console.page import Setting, columns
from orderctl.console.texts import count, short
from orderctl.errors import OrderctlError
from orderctl.pipeline import parked, reading
from orderctl.pipeline.dead_letters import DeadLetterQueue, UndeliverableError, reason
from orderctl.pipeline.logs import LogLine
from orderctl.pipeline.parked import Parked
from orderctl.pipeline.queues import Message, QueueError
from orderctl.pipeline.times import format_time
from orders.events import is_order_id

if TYPE_CHECKING:
    from orderctl.pipeline import Pipeline

REDRIVE: Final = "/dead-letters/redrive"
PURGE: Final = "/dead-letters/purge"
_SHOWN: Final = 100
"""How many messages of a queue are read for the page."""
_LINES: Final = 40
_CLOCK_SKEW: Final = timedelta(minutes=1)
_TRY = re.compile(r" \(try [^)]*\)$")


@dataclass(frozen=True, slots=True)
class Group:
    """Messages that are parked in the same queue for the same reason."""

    queue: str
    reason: str
    messages: tuple[Parked, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in the dead-letter queues."""

    groups: tuple[Group, ...]
    depths: Mapping[str, int]
    """How many messages are in each queue, by its name."""


def look(pipelines: Pipelines) -> Seen:
    """Read what is parked; each queue's messages are hidden from others for that moment."""
    found: list[Parked] = []
    with pipelines.borrow() as pipeline:
        depths = pipeline.dead_letters.depths()
        for queue in pipeline.dead_letters.queues():
            if depths[queue.name]:
                with parked.peek(pipeline, queue, most=_SHOWN) as messages:
                    found += messages[:_SHOWN]
    return Seen(tuple(group(found)), depths)


def group(messages: Sequence[Parked]) -> list[Group]:
    """Put together what is parked for the same reason, the largest group first."""
    found: dict[tuple[str, str], list[Parked]] = {}
    for each in messages:
        found.setdefault((each.queue, alike(each.reason.text)), []).append(each)
    groups = [Group(queue, why, tuple(some)) for (queue, why), some in found.items()]
    return sorted(groups, key=lambda each: -len(each.messages))


def alike(why: str) -> str:
    """A reason without what differs from message to message."""
    return _TRY.sub("", why)


def page(setting: Setting, seen: Seen, now: datetime) -> Node:
    """All groups."""
    total = sum(seen.depths.values())
    return [
        h.h1["Dead letters"],
        h.p(".muted")[
            f"{count(total)} parked. The caretaker redrives by itself what failed for a passing "
            "reason, once a minute; the rest needs a person."
            if total
            else "Nothing is parked."
        ],
        [_group(setting, each, now) for each in seen.groups],
        [
            _purge(setting, name, depth)
            for name, depth in seen.depths.items()
            if depth and setting.may_change
        ],
    ]


def _group(setting: Setting, found: Group, now: datetime) -> Element:
    number = len(found.messages)
    return h.section(".group")[
        h.h2[f"{found.queue}: {found.reason}"],
        h.div(".row")[
            h.span(".muted")[f"{count(number)} message{'' if number == 1 else 's'}"],
            form(
                setting,
                "/dead-letters/redrive-group",
                hidden("queue", found.queue),
                hidden("reason", found.reason),
                h.button(type="submit")[f"Redrive {'it' if number == 1 else 'all of this reason'}"],
                back="/dead-letters",
            ),
        ],
        h.div(".scrolls", tabindex="0", role="region", aria_label=f"Messages in {found.queue}")[
            h.table[
                columns("message", "order", "event", "parked", "age", numbers=("age",)),
                h.tbody[[_row(each, now) for each in found.messages]],
            ]
        ],
    ]


def _row(each: Parked, now: datetime) -> Element:
    return h.tr[
        h.th(scope="row")[
            h.a(href=addresses.dead_letter(each.queue, each.message.id))[each.message.id[:8]]
        ],
        h.td[addresses.order(each.order_id)],
        h.td[each.event],
        h.td(".time")[each.reason.at or "-"],
        h.td(".number")[short(now - each.message.sent_at)],
    ]


def _purge(setting: Setting, queue: str, depth: int) -> Node:
    """Deleting is asked for by name."""
    typed = setting.typed(PURGE)
    was_refused = typed.get("queue") == queue
    return h.details(open=was_refused)[
        h.summary[f"Purge {queue}"],
        h.p[
            f"This deletes for good the {count(depth)} parked here. Their work is never done, so "
            "their orders may not end."
        ],
        form(
            setting,
            PURGE,
            hidden("queue", queue),
            h.label[
                f"To confirm, type {queue}",
                h.input(
                    name="confirmation",
                    required=True,
                    autocomplete="off",
                    value=typed.get("confirmation", "") if was_refused else "",
                ),
            ],
            h.button(".danger", type="submit")["Delete for good"],
            back="/dead-letters",
        ),
    ]


@dataclass(frozen=True, slots=True)
class One:
    """A message, and what its function logged of it."""

    message: Parked
    lines: tuple[LogLine, ...]


def look_at(pipelines: Pipelines, queue: str, message_id: str) -> One:
    """Read one message.

    Raises:
        HTTPException: it is not there.
    """
    with pipelines.borrow() as pipeline:
        found = _queue(pipeline, queue)
        with parked.peek(pipeline, found, matches=lambda m: m.id == message_id) as messages:
            if not messages:
                raise HTTPException(
                    HTTPStatus.NOT_FOUND, f"There is no message {message_id} in {queue} any more."
                )
            return One(messages[0], tuple(islice(_lines(pipeline, found, messages[0]), _LINES)))


def _lines(pipeline: Pipeline, queue: DeadLetterQueue, each: Parked) -> Iterator[LogLine]:
    """What the function of a queue logged about a message or its order."""
    if not queue.step.function:
        return
    log = pipeline.functions.log(pipeline.stack.physical_id(queue.step.function))
    since = each.message.sent_at - _CLOCK_SKEW
    # A message that the function could not read is logged by its own id.
    names = [each.message.id]
    if each.order_id and is_order_id(each.order_id):
        names.append(each.order_id)
    lines = {line.id: line for name in names for line in log.read(since, None, name)}
    for line in sorted(lines.values(), key=lambda line: line.at):
        if _is_about(line, each) and not line.is_noise:
            yield line


def _is_about(line: LogLine, each: Parked) -> bool:
    is_of_message = line.fields.get("message_id") == each.message.id
    return is_of_message or (each.order_id is not None and line.is_about(each.order_id))


def message_page(setting: Setting, one: One) -> Node:
    """One message: why it is parked, what it says, and sending it back as it is or changed."""
    each = one.message
    send_as = {"queue": each.queue, "message": each.message.id}
    sent_along = [hidden(name, value) for name, value in send_as.items()]
    here = addresses.dead_letter(each.queue, each.message.id)
    return [
        h.h1[f"A message in {each.queue}"],
        h.p(".notice.bad")[each.reason.text],
        h.div(".summary")[
            [
                h.dl(".fact")[h.dt[name], h.dd[value]]
                for name, value in (
                    ("event", each.event),
                    ("order", addresses.order(each.order_id)),
                    ("sent", format_time(each.message.sent_at)),
                    ("message", each.message.id),
                )
            ]
        ],
        form(
            setting,
            REDRIVE,
            *sent_along,
            h.button(type="submit")["Redrive it as it is"],
            back="/dead-letters",
        ),
        h.h2["What its function logged"],
        _log(one.lines),
        h.h2["Body"],
        form(
            setting,
            REDRIVE,
            *sent_along,
            h.label[
                "Change it, then redrive the changed copy in its place",
                h.textarea(name="body", rows="14", spellcheck="false")[
                    setting.typed(REDRIVE).get("body") or _pretty(each.message.body)
                ],
            ],
            h.button(type="submit")["Redrive the changed copy"],
            back="/dead-letters",
            again=here,
        )
        or h.pre[_pretty(each.message.body)],
        each.message.attributes
        and [
            h.h2["Attributes"],
            h.div(".summary")[
                [
                    h.dl(".fact")[h.dt[name], h.dd[value]]
                    for name, value in each.message.attributes.items()
                ]
            ],
        ],
    ]


def _log(lines: Sequence[LogLine]) -> Element:
    if not lines:
        return h.p(".muted")["Nothing."]
    return h.div(".scrolls", tabindex="0", role="region", aria_label="Log lines")[
        h.table[
            h.tbody[
                [
                    h.tr[
                        h.td(".time")[format_time(line.at)],
                        h.td[f"{line.level} {line.message}"],
                        h.td(".facts")[
                            ", ".join(f"{n} {reading.to_text(v)}" for n, v in line.facts.items())
                        ],
                    ]
                    for line in lines
                ]
            ]
        ]
    ]


def _pretty(body: str) -> str:
    """A body as it can be read and edited; unchanged if it is no JSON."""
    try:
        return json.dumps(reading.parse_json(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def redrive(pipelines: Pipelines, sent: Form) -> str:
    """Redrive one message, as it is or with another body.

    Raises:
        OrderctlError: it is not there any more, or could not be sent.
    """
    with pipelines.borrow() as pipeline, _received(pipeline, sent) as (queue, message):
        changed = "body" in sent
        body = sent["body"].replace("\r\n", "\n") if changed else message.body
        where = _deliver(queue, replace(message, body=body))
    return f"Redrove {message.id[:8]} to {where}{', as you changed it' if changed else ''}."


def redrive_group(pipelines: Pipelines, sent: Form) -> str:
    """Redrive the messages of a queue that are parked for one reason.

    Raises:
        OrderctlError: there is no such queue, or not all could be sent.
    """
    moved, failures = 0, []
    with pipelines.borrow() as pipeline:
        queue = _queue(pipeline, sent.get("queue", ""))
        with parked.peek(pipeline, queue) as messages:
            for each in messages:
                if alike(each.reason.text) == sent.get("reason"):
                    try:
                        _deliver(queue, each.message)
                        moved += 1
                    except OrderctlError as error:
                        failures.append(str(error))
    if failures:
        raise OrderctlError(f"Redrove {moved}; {len(failures)} failed: {failures[0]}")
    return f"Redrove {count(moved)} from {queue.name}."


def purge(pipelines: Pipelines, sent: Form) -> str:
    """Delete what is parked in a queue.

    Raises:
        OrderctlError: it was not confirmed, or not everything could be deleted.
    """
    name = sent.get("queue", "")
    if sent.get("confirmation", "").strip() != name:
        raise OrderctlError(f"Nothing was deleted: type {name} to confirm.")
    deleted = 0
    with pipelines.borrow() as pipeline:
        queue = _queue(pipeline, name)
        for messages in queue.receive_all():
            queue.delete(messages)
            deleted += len(messages)
    return f"Deleted {count(deleted)} from {name}."


def _deliver(queue: DeadLetterQueue, message: Message) -> str:
    try:
        return queue.redrive_one(message)
    except (UndeliverableError, QueueError, ClientError, BotoCoreError) as error:
        raise OrderctlError(f"{message.id[:8]} was not moved. {reason(error)}") from error


def _queue(pipeline: Pipeline, name: str) -> DeadLetterQueue:
    for queue in pipeline.dead_letters.queues():
        if queue.name == name:
            return queue
    raise OrderctlError(f"There is no dead-letter queue {name}.")


@contextmanager
def _received(pipeline: Pipeline, sent: Form) -> Iterator[tuple[DeadLetterQueue, Message]]:
    queue = _queue(pipeline, sent.get("queue", ""))
    with queue.peek() as messages:
        for message in messages:
            if message.id == sent.get("message"):
                yield queue, message
                return
        raise OrderctlError(f"This message is not in {queue.name} any more.")
