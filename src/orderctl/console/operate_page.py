"""The page for operating: place an order, pause and resume, stock, and replays."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import htpy as h
import msgspec
from htpy import Element, Node

from orderctl.console.changes import Form, form, hidden
from orderctl.console.collector import Pipelines, Snapshot
from orderctl.console.page import Setting
from orderctl.console.texts import count
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading, times
from orderctl.pipeline.incidents import INCIDENTS, Incidents
from orderctl.pipeline.replay import Archive
from orderctl.pipeline.steps import CONSUMERS
from orderctl.pipeline.times import format_time
from orders.events import Sku

_BACK: Final = "/operate"
_LARGEST: Final = 10**15
_LISTED: Final = 200
_LONGEST_INCIDENT: Final = 600


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows beside the snapshot."""

    stock: Mapping[str, int | None]
    rules: tuple[str, ...]
    """The rules that a replay sends events to."""
    retention_days: int


def look(pipelines: Pipelines) -> Seen:
    """Read what the page shows."""
    with pipelines.borrow() as pipeline:
        archive = pipeline.archive
        return Seen(pipeline.stock.levels(), tuple(archive.rules(())), archive.retention_days)


def page(setting: Setting, seen: Seen, snapshot: Snapshot) -> Node:
    """The whole page."""
    return [
        h.h1["Operate"],
        None
        if setting.may_change
        else h.p(".notice")[
            "This console only reads. Start it with --allow-changes to change something."
        ],
        h.div(".panels")[
            _order_form(setting),
            _consumers(setting, snapshot),
            _stock(setting, seen.stock),
            _replay(setting, seen),
            _incidents(setting),
        ],
    ]


def _panel(title: str, *content: Node) -> Element:
    return h.section(".panel")[h.h2[title], content]


def _field(label: str, name: str, **attributes: Any) -> Element:  # noqa: ANN401 - of HTML
    return h.label[label, h.input(name=name, autocomplete="off", **attributes)]


def _order_form(setting: Setting) -> Node:
    if not setting.may_change:
        return None
    return _panel(
        "Place an order",
        form(
            setting,
            "/operate/order",
            _field("Amount", "amount", inputmode="decimal", required=True, value="12.50"),
            _field("SKU", "sku", placeholder="none", maxlength="64"),
            _field("Quantity", "quantity", type="number", min="1", value="1"),
            _field("Order id", "order_id", placeholder="made by the API", maxlength="64"),
            h.button(type="submit")["Place it"],
            back=_BACK,
        ),
    )


def _consumers(setting: Setting, snapshot: Snapshot) -> Element:
    states = {step.name: step for step in snapshot.health.steps} if snapshot.health else {}
    return _panel(
        "Consumers",
        h.p(".muted")["Pausing one loses nothing: its queue keeps the messages for 4 days."],
        h.table[
            h.tbody[
                [
                    h.tr[
                        h.th(scope="row")[name],
                        h.td[((step := states.get(name)) and step.state) or "not known yet"],
                        h.td[_switch(setting, name, paused=bool(step and step.is_paused))],
                    ]
                    for name in CONSUMERS
                ]
            ]
        ],
    )


def _switch(setting: Setting, name: str, *, paused: bool) -> Node:
    return form(
        setting,
        "/operate/consumer",
        hidden("consumer", name),
        hidden("on", "yes" if paused else ""),
        h.button(type="submit")["Resume" if paused else "Pause", h.span(".unseen")[f" {name}"]],
        back=_BACK,
    )


def _stock(setting: Setting, levels: Mapping[str, int | None]) -> Element:
    return _panel(
        "Stock",
        h.p(".muted")["What is available to new orders."],
        h.div(".scrolls.tall", tabindex="0", role="region", aria_label="Stock")[
            h.table[
                h.tbody[
                    [
                        h.tr[
                            h.th(scope="row")[sku],
                            h.td(".number")[reading.UNREADABLE if n is None else count(n)],
                        ]
                        for sku, n in sorted(levels.items())[:_LISTED]
                    ]
                ]
            ]
        ]
        if levels
        else h.p["There is none."],
        form(
            setting,
            "/operate/stock",
            _field("SKU", "sku", required=True, maxlength="64"),
            _field("Number", "number", type="number", required=True),
            h.button(type="submit", name="how", value="add")["Add"],
            h.button(type="submit", name="how", value="set")["Set"],
            back=_BACK,
        ),
    )


def _replay(setting: Setting, seen: Seen) -> Element:
    kept = f"{seen.retention_days} days" if seen.retention_days else "for ever"
    return _panel(
        "Replay",
        h.p(".muted")[
            f"Events of the archive (kept {kept}) go again to {', '.join(seen.rules)}. Every "
            "effect happens once; only what was missed is done."
        ],
        form(
            setting,
            "/operate/replay",
            _field("From", "from", required=True, value="2h"),
            _field("To", "to", required=True, value="10m"),
            h.button(type="submit", name="how", value="estimate")["How many events?"],
            h.button(type="submit", name="how", value="start")["Start the replay"],
            back=_BACK,
        ),
    )


def _incidents(setting: Setting) -> Node:
    """Something goes wrong on purpose; offered on the local cloud alone."""
    if not setting.practises:
        return None
    return _panel(
        "Incidents",
        h.p(".muted")["Something goes wrong on purpose, and is put right by itself."],
        form(
            setting,
            "/operate/incident",
            h.label[
                "Incident",
                h.select(name="incident")[[h.option(value=name)[name] for name in INCIDENTS]],
            ],
            _field("Seconds", "seconds", type="number", min="1", max="600", value="60"),
            h.button(type="submit")["Make it happen"],
            back=_BACK,
        ),
        h.dl[[[h.dt[name], h.dd[kind.happens]] for name, kind in INCIDENTS.items()]],
    )


def start_incident(pipelines: Pipelines, sent: Form) -> str:
    """Have an incident happen for a while, in a thread of its own; it is undone at its end.

    Raises:
        OrderctlError: there is no such incident, or it cannot be made.
    """
    name, seconds = sent.get("incident", ""), _whole(sent.get("seconds", ""), "Seconds")
    if name not in INCIDENTS:
        raise OrderctlError(f"There is no incident {name}.")
    if not 1 <= seconds <= _LONGEST_INCIDENT:
        raise OrderctlError(f"Seconds: it must be from 1 to {_LONGEST_INCIDENT}.")
    begun: Future[None] = Future()
    threading.Thread(target=_practise, args=(pipelines, name, seconds, begun), daemon=True).start()
    begun.result()
    expected = "; ".join(INCIDENTS[name].expect)
    return f"{name} goes on for {seconds} s. {INCIDENTS[name].happens} Expect: {expected}."


def _practise(pipelines: Pipelines, name: str, seconds: int, begun: Future[None]) -> None:
    try:
        with pipelines.borrow() as pipeline:
            incidents = Incidents(pipeline)
            incidents.undo_left()
            with incidents.happening(name) as incident:
                begun.set_result(None)
                ends = time.monotonic() + seconds
                while time.monotonic() < ends:
                    incident.go_on()
    except Exception as error:  # whoever asked is told; later there is nobody to tell
        if not begun.done():
            begun.set_exception(error)


def place_order(pipelines: Pipelines, sent: Form) -> str:
    """Place an order as a client would.

    Raises:
        OrderctlError: the API did not accept it.
    """
    order: dict[str, Any] = {"amount": _amount(sent.get("amount", ""))}
    if order_id := sent.get("order_id", "").strip():
        order["order_id"] = order_id
    if sku := sent.get("sku", "").strip():
        order["items"] = [{"sku": sku, "quantity": _whole(sent.get("quantity", ""), "Quantity")}]
    with pipelines.borrow() as pipeline:
        reply = pipeline.api.place(order)
    body = reply.body if isinstance(reply.body, dict) else {}
    if reply.status != HTTPStatus.ACCEPTED:
        faults = "; ".join(
            f"{reading.to_text(fault.get('field'))}: {reading.to_text(fault.get('message'))}"
            for fault in reading.maps(body.get("errors"))
        )
        detail = faults or reading.to_text(body.get("detail", ""))
        raise OrderctlError(f"The API answered {reply.status}. {detail}")
    return f"Accepted: {reading.to_text(body.get('order_id', ''))}"


def _amount(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError:
        raise OrderctlError(f"Amount: {text!r} is not a number.") from None


def _whole(text: str, name: str) -> int:
    try:
        number = int(text.strip())
    except ValueError:
        raise OrderctlError(f"{name}: {text!r} is not a whole number.") from None
    if abs(number) > _LARGEST:
        raise OrderctlError(f"{name}: {number} is too large.")
    return number


def cancel_order(pipelines: Pipelines, sent: Form) -> str:
    """Request the cancellation of an order.

    Raises:
        OrderctlError: the API did not accept it.
    """
    order_id = sent.get("order_id", "")
    with pipelines.borrow() as pipeline:
        status = pipeline.api.cancel(order_id).status
    match status:
        case HTTPStatus.ACCEPTED:
            return f"Requested the cancellation of {order_id}; the tracker decides."
        case HTTPStatus.CONFLICT:
            raise OrderctlError(f"Too late: {order_id} is confirmed.")
    raise OrderctlError(f"The API answered {status}: {order_id} was not cancelled.")


def switch_consumer(pipelines: Pipelines, sent: Form) -> str:
    """Pause or resume a consumer.

    Raises:
        OrderctlError: there is none of that name, or it did not switch in time.
    """
    name, on = sent.get("consumer", ""), bool(sent.get("on"))
    if name not in CONSUMERS:
        raise OrderctlError(f"There is no consumer {name}.")
    with pipelines.borrow() as pipeline:
        pipeline.consumer(name).switch(on=on)
    return f"{name} takes messages again." if on else f"{name} is paused."


def change_stock(pipelines: Pipelines, sent: Form) -> str:
    """Add to what is available of a SKU, or set it.

    Raises:
        OrderctlError: a field is wrong, or the stock does not allow it.
    """
    sku, number = sent.get("sku", "").strip(), _whole(sent.get("number", ""), "Number")
    try:
        msgspec.convert(sku, Sku)
    except msgspec.ValidationError:
        raise OrderctlError(
            "SKU: it must be 1 to 64 printable ASCII characters without spaces."
        ) from None
    with pipelines.borrow() as pipeline:
        if sent.get("how") == "add":
            before = pipeline.stock.add(sku, number)
            return f"{sku}: {count(before + number)} available, {count(before)} before."
        if number < 0:
            raise OrderctlError("Number: it must be 0 or more.")
        was = pipeline.stock.put(sku, number)
    return f"{sku}: {count(number)} available, {'none' if was is None else count(was)} before."


def start_replay(pipelines: Pipelines, sent: Form) -> str:
    """Start a replay of archived events, or say how many it would deliver.

    Raises:
        OrderctlError: the times make no sense.
    """
    now = datetime.now(UTC)
    start, end = (_moment(sent.get(name, ""), name.title(), now) for name in ("from", "to"))
    if start >= end:
        raise OrderctlError("From must be before To.")
    with pipelines.borrow() as pipeline:
        archive: Archive = pipeline.archive
        rules = archive.rules(())
        if sent.get("how") != "start":
            by_rule = archive.estimate(start, end, rules, now).by_rule
            told = ", ".join(f"{count(number)} to {rule}" for rule, number in by_rule.items())
            return f"About so many events would be delivered: {told}. Nothing was started."
        name = archive.replay(start, end, rules)
    return f"Started {name}: events from {format_time(start)} to {format_time(end)}."


def _moment(text: str, name: str, now: datetime) -> datetime:
    try:
        moment = times.parse(text.strip(), now).replace(microsecond=0)
    except ValueError as error:
        raise OrderctlError(f"{name}: {error}.") from None
    if moment > now + timedelta(seconds=1):
        raise OrderctlError(f"{name}: {format_time(moment)} is in the future.")
    return moment
