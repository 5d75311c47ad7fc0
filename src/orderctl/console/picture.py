"""Draws the pipeline: each step as a card on the bus, with what is in it now.

There are two drawings of the same: a wide one, with the bus above the cards, and one for a narrow
window, with the bus at their left. The style sheet shows the one that fits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import htpy as h
from htpy import Element, Node

from orderctl.console.flow import Flow
from orderctl.console.texts import count, per_minute, short
from orderctl.pipeline.health import Health, StepHealth
from orderctl.pipeline.steps import Step

_HEADER = 46
_NAME = 26
_BELOW_NAME = 42  # where a step with a queue has its bar
_ROW = 19
_PADDING = 12
_BAR_IS_FULL_AT = 1000
_LANE = 18


@dataclass(frozen=True, slots=True)
class _Box:
    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def way_in(self) -> int:
        return self.y + 22

    @property
    def way_out(self) -> int:
        return self.bottom - 20


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a card."""

    label: str
    value: str
    tone: str = ""


def draw(flow: Flow, health: Health | None, ringing: Mapping[str, Sequence[str]]) -> Node:
    """Both drawings.

    Args:
        flow: what is wired to what.
        health: the state of the steps; None while it is not known.
        ringing: the names of the alarms that ring, by step.
    """
    states = {step.name: step for step in health.steps} if health else {}
    cards = {
        step.name: _Card(step, states.get(step.name), ringing.get(step.name, ()), health)
        for step in (*flow.steps, *flow.keepers, *filter(None, [flow.bus]))
    }
    layouts = (_Wide(flow, cards), _Narrow(flow, cards))
    return [[layout.picture(), layout.dots()] for layout in layouts]


def paths(flow: Flow) -> dict[str, dict[str, dict[str, str]]]:
    """The ways that events go, by drawing, detail type and target, as paths of SVG."""
    cards = {step.name: _Card(step, None, (), None) for step in (*flow.steps, *flow.keepers)}
    return {
        layout.name: _by_detail_type(flow, layout)
        for layout in (_Wide(flow, cards), _Narrow(flow, cards))
    }


def _by_detail_type(flow: Flow, layout: _Layout) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    publisher: dict[str, str] = {}
    for route in flow.routes:
        if route.publisher not in layout.boxes or route.target not in layout.boxes:
            continue
        for detail_type in route.detail_types:
            # Others may publish it too, but only this one does so in the normal course.
            if publisher.setdefault(detail_type, route.publisher) == route.publisher:
                path = layout.path(layout.boxes[route.publisher], layout.boxes[route.target])
                found.setdefault(detail_type, {})[route.target] = path
    return found


class _Card:
    """What is written on a step's card."""

    def __init__(
        self,
        step: Step,
        state: StepHealth | None,
        ringing: Sequence[str],
        health: Health | None,
    ) -> None:
        self.step = step
        self._state = state
        self._ringing = ringing
        self._window = health.window if health else None

    @property
    def rows(self) -> list[_Row]:
        """Its lines; always as many, so that nothing moves when numbers change."""
        return [*self._queue_rows(), *self._function_rows(), *self._parked_rows()]

    @property
    def height(self) -> int:
        return _HEADER + _ROW * len(self.rows) + 8

    @property
    def chip(self) -> tuple[str, str]:
        """What is unusual, in a word, and its tone."""
        if self._state and self._state.is_cut_off:
            return "circuit open", "bad"
        if self._state and self._state.is_paused:
            return "paused", "odd"
        if self._ringing:
            return ("alarm" if len(self._ringing) == 1 else f"{len(self._ringing)} alarms"), "bad"
        return "", ""

    @property
    def tone(self) -> str:
        if self._ringing or (self._state and self._state.parked and _depth(self._state.parked)):
            return "bad"
        return self.chip[1]

    @property
    def waiting(self) -> int:
        queue = self._state.queue if self._state else None
        return queue.waiting + queue.at_work if queue else 0

    def said(self) -> str:
        """All of it in a sentence."""
        rows = ", ".join(f"{row.label} {row.value}" for row in self.rows)
        about = f": {self.chip[0]}" if self.chip[0] else ""
        alarms = f". Alarms: {', '.join(self._ringing)}" if self._ringing else ""
        return f"{self.step.name}{about}. {rows}{alarms}"

    def _queue_rows(self) -> Iterator[_Row]:
        if not self.step.queue:
            return
        queue = self._state.queue if self._state else None
        oldest = f" · {short(queue.oldest)}" if queue and queue.oldest is not None else ""
        waiting = queue.waiting if queue else 0
        yield _Row("waiting", f"{count(waiting)}{oldest}", "" if waiting else "none")
        if self.step.event_source:
            at_work = queue.at_work if queue else 0
            yield _Row("at work or in retry", count(at_work), "" if at_work else "none")

    def _function_rows(self) -> Iterator[_Row]:
        if not self.step.function:
            return
        counts = self._state.counts if self._state else {}
        labels = [label for _, label in self.step.counts]
        for label in [*labels[:1], *labels[1:][-1:]]:
            number = counts.get(label, 0)
            tone = "odd" if number and label in ("failed tries", "not served") else ""
            yield _Row(label, self._rate(number), tone if number else "none")
        if not labels:
            calls = self._state.calls.get("Invocations", 0) if self._state else 0
            yield _Row("runs", self._rate(calls), "" if calls else "none")
        errors = self._state.calls.get("Errors", 0) if self._state else 0
        yield _Row("errors", self._rate(errors), "bad" if errors else "none")

    def _parked_rows(self) -> Iterator[_Row]:
        if self.step.dead_letter_queue:
            parked = _depth(self._state.parked) if self._state and self._state.parked else 0
            yield _Row("parked", count(parked), "bad" if parked else "none")

    def _rate(self, number: int) -> str:
        return per_minute(number, self._window) if self._window else "0"


def _depth(depth: object) -> int:
    waiting: int = getattr(depth, "waiting", 0) + getattr(depth, "at_work", 0)
    return waiting


class _Layout(ABC):
    """Where things are drawn."""

    name = ""
    width = 0
    height = 0

    def __init__(self, flow: Flow, cards: Mapping[str, _Card]) -> None:
        self.flow = flow
        self.cards = cards
        self.boxes: dict[str, _Box] = {}
        self.keepers: dict[str, _Box] = {}
        self.place()

    @abstractmethod
    def place(self) -> None:
        """Give every step its box."""

    @abstractmethod
    def path(self, source: _Box, target: _Box) -> str:
        """The way of an event from a step to another."""

    @abstractmethod
    def lane_in(self, box: _Box) -> str:
        """The way of an event into a step."""

    @abstractmethod
    def lane_out(self, box: _Box) -> str:
        """The way of an event out of a step."""

    @abstractmethod
    def link(self, source: _Box, target: _Box) -> str:
        """The way between two steps without the bus."""

    @abstractmethod
    def entrance(self, box: _Box) -> str:
        """The way of a request into the pipeline."""

    @abstractmethod
    def rail(self) -> Node:
        """The bus."""

    def dots(self) -> Element:
        """Where console.js draws what moves; new numbers leave it as it is."""
        return h.svg(
            f"#dots-{self.name}.dots.{self.name}",
            viewBox=f"0 0 {self.width} {self.height}",
            aria_hidden="true",
            hx_morph_skip=True,
        )

    def picture(self) -> Element:
        flow = self.flow
        arrow = f"arrow-{self.name}"
        ends = {"marker_end": f"url(#{arrow})"}
        lanes: list[Node] = []
        for name, box in self.boxes.items():
            if flow.receives(name):
                lanes.append(h.path(".lane", d=self.lane_in(box), **ends))
            if flow.publishes(name):
                lanes.append(h.path(".lane", d=self.lane_out(box), **ends))
            if name in flow.entrances:
                lanes.append(h.path(".lane", d=self.entrance(box), **ends))
        for source, target in flow.links:
            if source in self.boxes and target in self.boxes:
                d = self.link(self.boxes[source], self.boxes[target])
                lanes.append(h.path(".lane", d=d, **ends))
        return h.svg(
            f"#picture-{self.name}.picture.{self.name}",
            viewBox=f"0 0 {self.width} {self.height}",
            role="group",
            aria_label="The pipeline, step by step",
        )[
            h.defs[
                h.marker(
                    id=arrow,
                    viewBox="0 0 8 8",
                    refX="7",
                    refY="4",
                    markerWidth="7",
                    markerHeight="7",
                    orient="auto-start-reverse",
                )[h.path(".arrow", d="M0 0.8 7 4 0 7.2z")]
            ],
            self.rail(),
            lanes,
            [_draw_card(self.cards[name], box) for name, box in self.boxes.items()],
            [_draw_keeper(self.cards[name], box) for name, box in self.keepers.items()],
        ]


class _Wide(_Layout):
    """The bus above, the cards below it from left to right."""

    name = "wide"
    _RAIL_Y = 8
    _RAIL_HEIGHT = 34
    _TOP = 82
    _LEFT = 44
    _CARD = 190
    _GAP = 52
    _BETWEEN = 20

    def place(self) -> None:
        bottom = self._TOP
        for number, column in enumerate(self.flow.columns):
            x, y = self._LEFT + number * (self._CARD + self._GAP), self._TOP
            for step in column:
                height = self.cards[step.name].height
                self.boxes[step.name] = _Box(x, y, self._CARD, height)
                y += height + self._BETWEEN
            bottom = max(bottom, y)
        self.width = self._LEFT + len(self.flow.columns) * (self._CARD + self._GAP) - self._GAP + 4
        for number, step in enumerate(self.flow.keepers):
            height = self.cards[step.name].height
            x = self._LEFT + (number + len(self.flow.columns) - len(self.flow.keepers)) * (
                self._CARD + self._GAP
            )
            self.keepers[step.name] = _Box(x, bottom - height - self._BETWEEN, self._CARD, height)
        self.height = bottom - self._BETWEEN + 4

    @property
    def _rail_middle(self) -> int:
        return self._RAIL_Y + self._RAIL_HEIGHT // 2

    def path(self, source: _Box, target: _Box) -> str:
        y = self._rail_middle
        return (
            f"M{source.right} {source.way_out}H{source.right + _LANE}V{y}"
            f"H{target.x - _LANE}V{target.way_in}H{target.x}"
        )

    def lane_in(self, box: _Box) -> str:
        top = self._RAIL_Y + self._RAIL_HEIGHT
        return f"M{box.x - _LANE} {top}V{box.way_in}H{box.x - 1}"

    def lane_out(self, box: _Box) -> str:
        bottom = self._RAIL_Y + self._RAIL_HEIGHT
        return f"M{box.right} {box.way_out}H{box.right + _LANE}V{bottom + 1}"

    def link(self, source: _Box, target: _Box) -> str:
        y = min(source.bottom, target.bottom) - 40
        return f"M{source.right} {y}H{target.x - 1}"

    def entrance(self, box: _Box) -> str:
        return f"M4 {box.way_in}H{box.x - 1}"

    def rail(self) -> Node:
        card = self.cards.get(self.flow.bus.name) if self.flow.bus else None
        x, y = self._LEFT, self._RAIL_Y
        return _draw_rail(card, _Box(x, y, self.width - x - 4, self._RAIL_HEIGHT))


class _Narrow(_Layout):
    """The bus at the left, the cards beside it from top to bottom."""

    name = "narrow"
    width = 376
    _RAIL_X = 6
    _RAIL_WIDTH = 14
    _LEFT = 52
    _TOP = 62
    _BETWEEN = 18

    def place(self) -> None:
        y = self._TOP
        for step in (*self.flow.steps, *self.flow.keepers):
            box = _Box(self._LEFT, y, self.width - self._LEFT - 4, self.cards[step.name].height)
            (self.keepers if step in self.flow.keepers else self.boxes)[step.name] = box
            y = box.bottom + self._BETWEEN
        self.height = y
        self._rail_end = max((box.way_out for box in self.boxes.values()), default=y) + 12

    @property
    def _rail_middle(self) -> int:
        return self._RAIL_X + self._RAIL_WIDTH // 2

    def path(self, source: _Box, target: _Box) -> str:
        x = self._rail_middle
        return f"M{source.x} {source.way_out}H{x}V{target.way_in}H{target.x}"

    def lane_in(self, box: _Box) -> str:
        return f"M{self._RAIL_X + self._RAIL_WIDTH} {box.way_in}H{box.x - 1}"

    def lane_out(self, box: _Box) -> str:
        return f"M{box.x} {box.way_out}H{self._RAIL_X + self._RAIL_WIDTH + 1}"

    def link(self, source: _Box, target: _Box) -> str:
        x = source.x + source.width // 2
        return f"M{x} {source.bottom}V{target.y - 1}"

    def entrance(self, box: _Box) -> str:
        x = box.x + box.width // 2
        return f"M{x} {box.y - 16}V{box.y - 1}"

    def rail(self) -> Node:
        card = self.cards.get(self.flow.bus.name) if self.flow.bus else None
        head = _Box(self._RAIL_X, 4, self.width - self._RAIL_X - 4, 34)
        down = f"M{self._rail_middle} {head.bottom - 4}V{self._rail_end}"
        return [h.path(".rail-down", d=down), _draw_rail(card, head)]


def _draw_rail(card: _Card | None, box: _Box) -> Node:
    parked = next(iter(card.rows), None) if card else None
    middle = box.y + 22
    return h.g(class_=["rail", card.tone if card else ""])[
        h.rect(x=box.x, y=box.y, width=box.width, height=box.height, rx="8"),
        h.title[card.said()] if card else None,
        h.text(".name", x=box.x + _PADDING, y=middle)[card.step.name if card else "event bus"],
        h.text(class_=["value", parked.tone], x=box.right - _PADDING, y=middle, text_anchor="end")[
            f"undeliverable {parked.value}"
        ]
        if parked
        else None,
    ]


def _draw_card(card: _Card, box: _Box) -> Element:
    chip, tone = card.chip
    return h.g(class_=["card", card.tone], data_step=card.step.name)[
        h.title[card.said()],
        h.rect(".box", x=box.x, y=box.y, width=box.width, height=box.height, rx="10"),
        h.text(".name", x=box.x + _PADDING, y=box.y + _NAME)[card.step.name],
        chip
        and h.text(
            class_=["chip", tone],
            x=box.right - _PADDING,
            y=box.y + (_NAME if card.step.queue else _BELOW_NAME),
            text_anchor="end",
        )[chip],
        _draw_bar(card, box) if card.step.queue else None,
        [_draw_row(row, number, box) for number, row in enumerate(card.rows)],
    ]


def _draw_keeper(card: _Card, box: _Box) -> Element:
    return h.g(".keeper")[_draw_card(card, box)]


def _draw_bar(card: _Card, box: _Box) -> Node:
    """How full the queue is; the first messages count most."""
    full = box.width - 2 * _PADDING
    share = min(card.waiting / _BAR_IS_FULL_AT, 1.0) ** 0.5
    x, y = box.x + _PADDING, box.y + 36
    return [
        h.rect(".bar", x=x, y=y, width=full, height="4", rx="2"),
        h.rect(".fill", x=x, y=y, width=round(full * share), height="4", rx="2"),
    ]


def _draw_row(row: _Row, number: int, box: _Box) -> Node:
    y = box.y + _HEADER + 14 + number * _ROW
    return [
        h.text(".label", x=box.x + _PADDING, y=y)[row.label],
        h.text(class_=["value", row.tone], x=box.right - _PADDING, y=y, text_anchor="end")[
            row.value
        ],
    ]
