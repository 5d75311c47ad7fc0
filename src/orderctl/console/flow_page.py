"""The page of the flow: the pipeline as a picture, live."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

import htpy as h
from htpy import Element, Node

from orderctl.console import addresses, picture
from orderctl.console.collector import WINDOW, Snapshot
from orderctl.console.page import columns
from orderctl.console.practice import Happening
from orderctl.console.story_reader import ORDERS, PLACED_WITHIN
from orderctl.console.texts import clock, count, per_minute, short
from orderctl.pipeline import reading
from orderctl.pipeline.feed import SeenEvent
from orderctl.pipeline.health import Depth, Health, StepHealth


def page(now: Node, events: Iterable[SeenEvent], stories_seconds: float) -> Node:
    """The whole page; console.js replaces what is in #flow and #passed as it changes.

    Args:
        now: what `live` has made of the state of the pipeline.
        events: those that have passed, newest first.
        stories_seconds: how often the events are read from the orders' records; 0 if they are
            followed on the bus.
    """
    return [
        h.h1(".unseen")["Flow"],
        h.section("#flow", aria_label="The pipeline now")[now],
        h.section(".passed", aria_labelledby="passing")[
            h.h2("#passing")["Passing by"],
            _only_read(stories_seconds)
            if stories_seconds
            else h.p(".muted")[
                "Every event on the bus, as it passes. To see some: ",
                h.a(href="/operate")["place an order"],
                ".",
            ],
            h.div("#passed")[passed(events)],
        ],
    ]


def _only_read(seconds: float) -> Element:
    """What a console that only reads cannot show, and why."""
    return h.p(".notice")[
        "This console only reads. To see each event as it passes takes a rule and a queue of its "
        f"own, so instead it reads the records of the newest {ORDERS} orders of the last "
        f"{PLACED_WITHIN // timedelta(minutes=1)} minutes every {seconds:.0f} seconds: what "
        "happened to them passes here that much later, and with many orders not all of it. "
        "For every event, start it with --allow-changes."
    ]


def passed(events: Iterable[SeenEvent]) -> Node:
    """The events that have passed, newest first."""
    rows = [_event(event) for event in events]
    return h.ol(".events")[rows] if rows else h.p(".muted")["None so far."]


def _event(event: SeenEvent) -> Element:
    # With an id of its own it stays the same element, and keeps the focus, when others come.
    return h.li(id=f"event-{event.id}-{event.replay or ''}")[
        h.span(".time")[clock(event.at) if event.at else reading.UNREADABLE],
        h.span(".type")[event.type],
        h.span[addresses.order(event.order_id)],
        event.replay and h.span(".tag")["replayed"],
    ]


def live(snapshot: Snapshot, incident: Happening | None = None) -> Node:
    """The part that changes.

    Args:
        snapshot: the state of the pipeline.
        incident: what goes wrong on purpose.
    """
    flow, health = snapshot.flow, snapshot.health
    if flow is None:
        return h.p(".notice.to-come")[snapshot.failure or "Reading the pipeline…"]
    return [
        _summary(snapshot),
        h.div(".stage", data_paths=json.dumps(picture.paths(flow)))[
            picture.draw(flow, health, snapshot.ringing)
        ],
        _news(snapshot, incident),
        _table(health, snapshot.ringing) if health else None,
    ]


def _summary(snapshot: Snapshot) -> Element:
    health = snapshot.health
    return h.div("#summary.summary")[
        [_fact(label, value, tone) for label, value, tone in _facts(health)] if health else None,
    ]


def _news(snapshot: Snapshot, incident: Happening | None) -> Element:
    """What is unusual, below the picture, so that nothing there moves."""
    health = snapshot.health
    warnings = list(_warnings(health)) if health else []
    if snapshot.failure:
        warnings.insert(0, f"The pipeline could not be read: this is old. {snapshot.failure}")
    return h.div("#news", aria_live="polite")[
        h.p(".notice")[incident.in_words()] if incident else None,
        [h.p(".notice.bad")[text] for text in warnings],
    ]


def _fact(label: str, value: str, tone: str) -> Element:
    return h.dl(class_=["fact", tone])[h.dt[label], h.dd[value]]


def _facts(health: Health) -> Iterator[tuple[str, str, str]]:
    steps = {step.name: step for step in health.steps}
    oldest = f", oldest {short(health.oldest_unfinished)}" if health.oldest_unfinished else ""
    yield "orders not finished", f"{count(health.unfinished)}{oldest}", ""
    for step, label in (
        ("order-api", "placed"),
        ("tracker", "confirmed"),
        ("tracker", "cancelled"),
    ):
        if step in steps:
            yield label, per_minute(steps[step].counts.get(label, 0), health.window), ""
    parked = sum(_depth(step.parked) for step in health.steps)
    yield "parked", count(parked), "bad" if parked else ""
    ringing = len(health.ringing)
    yield "alarms", f"{ringing} of {len(health.alarms)}", "bad" if ringing else ""
    yield "as of", f"{clock(health.at)} UTC", ""


def _warnings(health: Health) -> Iterator[str]:
    for alarm in health.ringing:
        yield f"Alarm {alarm}: {health.advice.get(alarm) or 'it says nothing more'}"
    for step in health.steps:
        if step.is_cut_off and step.circuit:
            yield f"The circuit of {step.name} is {step.circuit.state}: {step.circuit.reason}"
        elif step.is_paused:
            yield f"{step.name} is paused: its queue fills, nothing is lost."


def _table(health: Health, ringing: Mapping[str, tuple[str, ...]]) -> Element:
    minutes = f"{WINDOW // timedelta(minutes=1)} minutes"
    header = ("step", "waiting", "at work", "oldest", "parked", "calls", "errors", "done", "alarms")
    return h.details("#as-table.as-table")[
        h.summary["The same as a table"],
        h.div(".scrolls", tabindex="0", role="region", aria_label="The steps as a table")[
            h.table[
                h.caption[f"Counts of the last {minutes}."],
                columns(*header, numbers=header[1:7]),
                h.tbody[[_row(step, ringing.get(step.name, ())) for step in health.steps]],
            ]
        ],
    ]


def _row(step: StepHealth, ringing: tuple[str, ...]) -> Element:
    queue = step.queue
    state = "circuit open" if step.is_cut_off else "paused" if step.is_paused else ""
    return h.tr[
        h.th(scope="row")[step.name, state and [" ", h.span(".tag")[state]]],
        h.td(".number")[count(queue.waiting) if queue else "-"],
        h.td(".number")[count(queue.at_work) if queue else "-"],
        h.td(".number")[short(queue.oldest) if queue and queue.oldest is not None else "-"],
        h.td(".number")[count(_depth(step.parked)) if step.parked else "-"],
        h.td(".number")[count(step.calls.get("Invocations", 0)) if step.function else "-"],
        h.td(".number")[count(step.calls.get("Errors", 0)) if step.function else "-"],
        h.td[", ".join(f"{number} {label}" for label, number in step.counts.items()) or "-"],
        h.td[", ".join(ringing) or "-"],
    ]


def _depth(depth: Depth | None) -> int:
    return depth.waiting + depth.at_work if depth else 0
