"""The page for operating: place an order, pause and resume, stock, replays, and incidents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import htpy as h
import msgspec
from htpy import Element, Node

from orderctl.console import addresses
from orderctl.console.changes import Form, Said, form, hidden
from orderctl.console.collector import Pipelines
from orderctl.console.page import Sent, Setting
from orderctl.console.practice import Practice
from orderctl.console.texts import count
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading, times
from orderctl.pipeline.health import is_paused
from orderctl.pipeline.incidents import INCIDENTS
from orderctl.pipeline.replay import Archive
from orderctl.pipeline.steps import CONSUMERS
from orderctl.pipeline.times import format_time
from orders.events import Sku
from orders.stock import MAX_SHELVES

_BACK: Final = "/operate"
ESTIMATED: Final = "estimated"
_LARGEST: Final = 10**15
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}")
_LISTED: Final = 200
ORDER: Final = "/operate/order"
STOCK: Final = "/operate/stock"
REPLAY: Final = "/operate/replay"
INCIDENT: Final = "/operate/incident"
END_INCIDENT: Final = "/operate/incident/end"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows, as it is now: it follows a change at once."""

    consumers: Mapping[str, str]
    """The state of each, such as Enabled."""
    stock: Mapping[str, int | None]
    rules: tuple[str, ...]
    """The rules that a replay sends events to."""
    retention_days: int


def look(pipelines: Pipelines) -> Seen:
    """Read what the page shows."""
    with pipelines.borrow() as pipeline:
        archive = pipeline.archive
        return Seen(
            {name: pipeline.consumer(name).state() for name in CONSUMERS},
            pipeline.stock.levels(),
            tuple(archive.rules(())),
            archive.retention_days,
        )


def page(setting: Setting, seen: Seen, practice: Practice) -> Node:
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
            _consumers(setting, seen.consumers),
            _stock(setting, seen.stock),
            _replay(setting, seen),
            _incidents(setting, practice),
        ],
    ]


def _panel(title: str, *content: Node) -> Element:
    return h.section(".panel")[h.h2[title], content]


def _field(
    typed: Mapping[str, str],
    label: str,
    name: str,
    value: str = "",
    **attributes: Any,  # noqa: ANN401 - of HTML
) -> Element:
    """A field with its value: what was typed in it, if the form is shown again."""
    shown = typed.get(name, value)
    return h.label[label, h.input(name=name, value=shown, autocomplete="off", **attributes)]


def _order_form(setting: Setting) -> Node:
    if not setting.may_change:
        return None
    typed = setting.typed(ORDER)
    return _panel(
        "Place an order",
        form(
            setting,
            ORDER,
            _field(typed, "Amount", "amount", "12.50", inputmode="decimal", required=True),
            _field(typed, "SKU", "sku", placeholder="none"),
            _field(typed, "Quantity", "quantity", "1", inputmode="numeric"),
            _field(typed, "Order id", "order_id", placeholder="made by the API"),
            h.button(type="submit")["Place it"],
            back=_BACK,
        ),
    )


def _consumers(setting: Setting, states: Mapping[str, str]) -> Element:
    return _panel(
        "Consumers",
        h.p(".muted")["Pausing one loses nothing: its queue keeps the messages for 4 days."],
        h.table[
            h.tbody[
                [
                    h.tr[
                        h.th(scope="row")[name],
                        h.td[state],
                        h.td[_switch(setting, name, paused=is_paused(state))],
                    ]
                    for name, state in states.items()
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
    typed = setting.typed(STOCK)
    return _panel(
        "Stock",
        h.p(".muted")[
            "What is available to new orders. Add a number, or take one away (-3); set it; or "
            "spread it over so many shelves, so that orders for a SKU in demand do not wait."
        ],
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
        else h.p["No SKU has stock yet."],
        form(
            setting,
            STOCK,
            _field(typed, "SKU", "sku", required=True),
            _field(typed, "Number", "number", required=True, inputmode="numeric"),
            h.button(type="submit", name="how", value="add")["Add"],
            h.button(type="submit", name="how", value="set")["Set"],
            h.button(type="submit", name="how", value="shelves")["Spread over shelves"],
            back=_BACK,
        ),
    )


def _replay(setting: Setting, seen: Seen) -> Element:
    """Only what was estimated can be started."""
    typed = setting.typed(REPLAY)
    kept = f"{seen.retention_days} days" if seen.retention_days else "for ever"
    return _panel(
        "Replay",
        h.p(".muted")[
            f"Events of the archive (kept {kept}) go again to {', '.join(seen.rules)}. Every "
            "effect happens once; only what was missed is done."
        ],
        form(
            setting,
            REPLAY,
            _field(typed, "From", "from", "2h", required=True),
            _field(typed, "To", "to", "10m", required=True),
            h.button(type="submit", name="how", value="estimate")["How many events?"],
            back=_BACK,
        ),
        typed.get("how") == ESTIMATED
        and form(
            setting,
            REPLAY,
            hidden("from", typed["from"]),
            hidden("to", typed["to"]),
            h.button(".danger", type="submit", name="how", value="start")[
                f"Replay {typed['from']} to {typed['to']}"
            ],
            back=_BACK,
        ),
    )


def _incidents(setting: Setting, practice: Practice) -> Node:
    """Something goes wrong on purpose; offered on the local cloud alone."""
    if not setting.practises:
        return None
    happening, typed = practice.now, setting.typed(INCIDENT)
    return _panel(
        "Incidents",
        h.p(".muted")["Something goes wrong on purpose, and is put right by itself."],
        practice.trouble
        and h.p(".notice.bad")[f"The last one was not put right: {practice.trouble}"],
        [
            h.p(".notice")[happening.in_words()],
            form(
                setting,
                END_INCIDENT,
                h.button(type="submit", disabled=happening.over.is_set())["End it now"],
                back=_BACK,
            ),
        ]
        if happening
        else form(
            setting,
            INCIDENT,
            h.label[
                "Incident",
                h.select(name="incident")[
                    [
                        h.option(value=name, selected=name == typed.get("incident"))[name]
                        for name in INCIDENTS
                    ]
                ],
            ],
            _field(typed, "Seconds", "seconds", "60", inputmode="numeric"),
            h.button(type="submit")["Make it happen"],
            back=_BACK,
        ),
        h.dl[[[h.dt[name], h.dd[kind.happens]] for name, kind in INCIDENTS.items()]],
    )


def place_order(pipelines: Pipelines, sent: Form) -> Said:
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
    accepted = reading.to_text(body.get("order_id", ""))
    return Said(f"Accepted: {accepted}.", link=addresses.path("orders", accepted))


def _amount(text: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text := text.strip()) else _LARGEST
    if number >= _LARGEST:
        raise OrderctlError(f"Amount: {text!r} is not an amount. Write it as in 12.50.")
    return number


def _whole(text: str, name: str) -> int:
    number = int(text) if _WHOLE.fullmatch(text := text.strip()) else _LARGEST
    if abs(number) >= _LARGEST:
        raise OrderctlError(f"{name}: {text!r} is not a whole number. Write it as in 12.")
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
        match sent.get("how"):
            case "add":
                before = pipeline.stock.add(sku, number)
                return f"{sku}: {count(before + number)} available, {count(before)} before."
            case "shelves":
                if not 1 <= number <= MAX_SHELVES:
                    raise OrderctlError(f"Number: it must be from 1 to {MAX_SHELVES} shelves.")
                levels = pipeline.stock.set_shelves(sku, number).levels
                told = ", ".join(f"{key} {_cell(level)}" for key, level in levels.items())
                return f"{sku} stands on {number} shel{'f' if number == 1 else 'ves'}: {told}."
        if number < 0:
            raise OrderctlError("Number: it must be 0 or more to set it.")
        was = pipeline.stock.put(sku, number)
    return f"{sku}: {count(number)} available, {'none' if was is None else count(was)} before."


def _cell(level: int | None) -> str:
    return reading.UNREADABLE if level is None else count(level)


def replay(pipelines: Pipelines, sent: Form) -> str | Said:
    """Say how many events a replay would deliver, or start it.

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
        if sent.get("how") == "start":
            name = archive.replay(start, end, rules)
            return f"Started {name}: events from {format_time(start)} to {format_time(end)}."
        by_rule = archive.estimate(start, end, rules, now).by_rule
    told = ", ".join(f"{count(number)} to {rule}" for rule, number in by_rule.items())
    times_ = {"from": format_time(start), "to": format_time(end), "how": ESTIMATED}
    return Said(
        f"About so many events would be delivered: {told}. Nothing was started yet.",
        sent=Sent(REPLAY, times_),
    )


def _moment(text: str, name: str, now: datetime) -> datetime:
    try:
        moment = times.parse(text.strip(), now).replace(microsecond=0)
    except ValueError as error:
        raise OrderctlError(f"{name}: {error}.") from None
    if moment > now + timedelta(seconds=1):
        raise OrderctlError(f"{name}: {format_time(moment)} is in the future.")
    return moment
