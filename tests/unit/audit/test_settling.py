"""What does not look right is read again: values in, values out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from msgspec.structs import replace

from orders.audit.decisions import Books, Kind, Order, Payment, Queues, Reservation
from orders.audit.settling import Judge, Settled
from orders.card_books import Booked

AT = "2026-11-24T10:00:00.000Z"
RIGHT = Books(
    "o",
    Order(order_id="o", placed_at=AT, status="confirmed", payment="charged", inventory="reserved"),
    Payment(order_id="o", state="charged", at=AT),
    Reservation(order_id="o", state="reserved", at=AT),
)
assert isinstance(RIGHT.order, Order)
assert isinstance(RIGHT.payment, Payment)
IN_FLIGHT = Books("o", replace(RIGHT.order, status="placed", payment=None, unfinished="1"))
INDEXED = Books("o", replace(RIGHT.order, unfinished="1"), RIGHT.payment, RIGHT.reservation)
"""Nothing on its way puts that right."""
NOT_CHARGED = Books("o", RIGHT.order, replace(RIGHT.payment, state="refunded"), RIGHT.reservation)
"""A cancel that is on its way would."""
NOT_RESERVED = Books("o", RIGHT.order, RIGHT.payment, None)
NOTHING = Queues()
NOTHING_BOOKED = Booked()


@dataclass
class Script:
    """The tables as they are at each look, and what was done between the looks."""

    looks: list[Books]
    queues: Queues = NOTHING
    booked: Booked = NOTHING_BOOKED
    other: Books = RIGHT
    """What there is of any other order than ``o``, at each look."""
    done: list[str] = field(default_factory=list)

    def settle(self, *others: str) -> Settled:
        judge = Judge(
            books=self,
            read=self._read,
            queues=self._ask,
            now=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC),
            sleep=lambda seconds: self.done.append(f"slept {seconds}"),
        )
        return judge.settle(["o", *others])

    def find(self, idempotency_key: str) -> Booked:
        return self.booked

    def _read(self, order_ids: Collection[str]) -> dict[str, Books]:
        self.done.append(f"read {', '.join(sorted(order_ids))}")
        books = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {order_id: books if order_id == "o" else self.other for order_id in order_ids}

    def _ask(self) -> Queues:
        self.done.append("asked")
        return self.queues


def kinds(settled: Settled) -> list[Kind]:
    return [finding.kind for finding in settled.findings]


FOUR_LOOKS = ["read o", "slept 1.0", "read o", "slept 1.0", "read o", "slept 1.0", "read o"]


def test_what_is_right_by_now_is_read_once() -> None:
    script = Script([RIGHT])
    assert script.settle() == Settled([], set(), 0)
    assert script.done == ["read o"]


def test_what_is_wrong_twice_is_found_and_nobody_asks_the_queues() -> None:
    script = Script([INDEXED])
    settled = script.settle("p")
    assert (kinds(settled), settled.moving, settled.in_flight) == ([Kind.WRONGLY_INDEXED], set(), 0)
    assert script.done == ["read o, p", "slept 1.0", "read o"]


def test_what_is_right_the_second_time_is_right() -> None:
    script = Script([INDEXED, RIGHT])
    assert script.settle() == Settled([], set(), 0)
    assert script.done == FOUR_LOOKS[:3]


def test_what_is_wrong_in_another_way_each_time_moves() -> None:
    script = Script([INDEXED, NOT_RESERVED, INDEXED, NOT_RESERVED])
    assert script.settle() == Settled([], {"o"}, 0)
    assert script.done == FOUR_LOOKS


def test_what_is_wrong_in_the_same_way_at_the_second_and_third_look_is_found() -> None:
    settled = Script([NOT_RESERVED, INDEXED, INDEXED]).settle()
    assert (kinds(settled), settled.moving) == ([Kind.WRONGLY_INDEXED], set())


def test_what_may_pass_has_all_the_time_for_it_and_is_found_when_nothing_is_on_its_way() -> None:
    script = Script([NOT_CHARGED])
    assert kinds(script.settle()) == [Kind.NOT_CHARGED]
    assert script.done == [*FOUR_LOOKS, "asked", "read o"]


def test_what_has_passed_when_the_queues_were_looked_at_is_right() -> None:
    assert Script([*[NOT_CHARGED] * 4, RIGHT]).settle() == Settled([], set(), 0)


def test_what_waits_for_a_message_moves() -> None:
    script = Script([NOT_CHARGED], Queues(is_waiting=True))
    assert script.settle() == Settled([], {"o"}, 0)


def test_what_cannot_pass_is_found_beside_what_waits() -> None:
    """Of two orders: what is on its way to the one helps the other nothing."""
    wrong = Books("o", INDEXED.order, NOT_CHARGED.payment, RIGHT.reservation)
    settled = Script([wrong], Queues(is_waiting=True)).settle()
    assert (kinds(settled), settled.moving) == ([Kind.WRONGLY_INDEXED], {"o"})


def test_an_order_that_is_in_flight_is_no_finding_and_does_not_move() -> None:
    script = Script([IN_FLIGHT])
    assert script.settle() == Settled([], set(), 1)
    assert script.done == FOUR_LOOKS


def test_what_is_wrong_with_an_order_that_stays_in_flight_is_found_in_the_end() -> None:
    assert isinstance(IN_FLIGHT.order, Order)
    lost = Books("o", replace(IN_FLIGHT.order, unfinished=None))
    settled = Script([lost]).settle()
    assert (kinds(settled), settled.moving, settled.in_flight) == ([Kind.NOT_INDEXED], set(), 1)


def test_the_books_of_the_card_processor_are_looked_at() -> None:
    settled = Script([RIGHT], booked=Booked(("ch_1", "ch_2"), Decimal(1))).settle()
    assert Kind.CHARGED_TWICE in kinds(settled)


def of_another(books: Books) -> Books:
    return dataclasses.replace(books, order_id="p")


def test_what_may_pass_beside_what_cannot_has_all_the_time_for_it() -> None:
    script = Script([Books("o", INDEXED.order, NOT_CHARGED.payment, RIGHT.reservation)])
    assert set(kinds(script.settle())) == {Kind.WRONGLY_INDEXED, Kind.NOT_CHARGED}
    assert script.done == [*FOUR_LOOKS, "asked", "read o"]


def test_only_what_may_pass_is_read_again_when_the_queues_were_looked_at() -> None:
    script = Script([NOT_CHARGED], other=of_another(INDEXED))
    settled = script.settle("p")
    assert {(f.subject, f.kind) for f in settled.findings} == {
        ("o", Kind.NOT_CHARGED),
        ("p", Kind.WRONGLY_INDEXED),
    }
    assert script.done[-2:] == ["asked", "read o"]


def test_what_moves_and_what_waits_for_a_message_both_move() -> None:
    script = Script(
        [INDEXED, NOT_RESERVED, INDEXED, NOT_RESERVED],
        Queues(is_waiting=True),
        other=of_another(NOT_CHARGED),
    )
    assert script.settle("p") == Settled([], {"o", "p"}, 0)
