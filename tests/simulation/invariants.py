"""What must hold: at every write and every event, and when everything has come to rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from simulation import history
from simulation.audit import audit
from simulation.card_processor import CardProcessor, Movement
from simulation.dynamodb import DynamoDB, Item
from simulation.queues import Message
from simulation.requests import CARD_PROCESSOR, Request
from simulation.rules import (
    ANSWERS,
    BOOKS,
    CHARGED_ONCE,
    DECIDED_ONCE,
    ENDS,
    LAST_UPDATE,
    ONE_ORDER,
    STOCK,
    UPDATES,
    WRITTEN_FIRST,
)
from simulation.stock import StockWatch
from simulation.story import Violation
from simulation.witness import Handled, Published, Update, Witness, lines, number, text
from simulation.workload import PUBLISHER, Order, Plan
from simulation.world import World

_DECIDED: Final = frozenset({"confirmed", "cancelled"})
_FRESH_SECONDS: Final = 234
"""How long after an order was taken each of its updates comes once: as long as notifications takes
it for fresh, less what two clocks may differ by."""

_STEPS: Final[dict[str, frozenset[tuple[str | None, str | None]]]] = {
    "payments": frozenset(
        {(None, "charged"), (None, "declined"), (None, "voided"), ("charged", "refunded")}
    ),
    "reservations": frozenset(
        {(None, "reserved"), (None, "rejected"), (None, "voided"), ("reserved", "released")}
    ),
}
"""How a record's state may change; nothing else may be written over it.

A table that is not listed has no rules of its own.
"""

_EVENT_OF: Final = {
    ("payments", "charged"): "payment.charged",
    ("payments", "declined"): "payment.declined",
    ("payments", "refunded"): "payment.refunded",
    ("reservations", "reserved"): "inventory.reserved",
    ("reservations", "rejected"): "inventory.rejected",
    ("reservations", "released"): "inventory.released",
    ("orders", "placed"): "order.placed",
    ("orders", "confirmed"): "order.confirmed",
    ("orders", "cancelled"): "order.cancelled",
}
"""The event that tells of a state."""
_STATE_OF: Final = {event: state for state, event in _EVENT_OF.items()}

PAYMENT_AFTER_CANCEL: Final = frozenset({"refunded", "declined", "voided"})
RESERVATION_AFTER_CANCEL: Final = frozenset({"released", "rejected", "voided"})


def _attribute(table: str) -> str:
    return "status" if table == "orders" else "state"


def _is_of(record: Item, order: Order) -> bool:
    """Whether this is what a record of the table orders has as ordered, if it has anything."""
    ordered = number(record, "amount"), lines(record, "items")
    return "amount" not in record or ordered == (order.amount, order.lines)


def is_cancel(handled: Handled) -> bool:
    """Whether it is one after which its order must not be confirmed."""
    cancels = ("order.cancel_requested", "order.cancelled")
    return handled.queue == "order-outcomes" and handled.detail_type in cancels


class Watch:
    """What must hold at every moment."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._stock = StockWatch(world, plan)
        self._had: defaultdict[tuple[str, str], set[str | None]] = defaultdict(set)
        """The states that a record has had."""
        self.settled_at: dict[str, float] = {}
        """Since when an order's payment is on record."""
        self.placed: defaultdict[str, list[Order]] = defaultdict(list)
        """The different orders that came on the bus under an id."""
        self.taken: dict[str, Order] = {}
        """What the API has taken under an id and put on the bus."""

    def changed(self, table: str, key: str, before: Item | None, after: Item | None) -> None:
        """Look at one item's change; items of one call are looked at one by one."""
        if table == "stock":
            self._stock.shelf_changed(key, after)
            return
        old, new = text(before, _attribute(table)), text(after, _attribute(table))
        self._had[table, key].add(new)
        if table == "orders":
            self._order_changed(key, old, new)
            return
        if table not in _STEPS:
            return
        if old != new and (old, new) not in _STEPS[table]:
            rule = CHARGED_ONCE if table == "payments" else STOCK
            raise Violation(rule, f"in {table} {key} went from {old} to {new}")
        if table == "payments":
            self.settled_at.setdefault(key, self._world.scheduler.now)
        elif old != new:
            self._stock.reservation_changed(key, new, after)

    def balanced(self) -> None:
        """Check the stock, when all items of a call have been looked at."""
        self._stock.check()

    def published(self, event: Published) -> None:
        """Look at an event that was put on the bus."""
        if event.detail_type == "order.placed":
            self._check_placed(event)
        if event.publisher == PUBLISHER:
            return
        if event.detail_type in _STATE_OF:
            table, state = _STATE_OF[event.detail_type]
            if state not in self._had[table, event.order_id]:
                raise Violation(
                    WRITTEN_FIRST,
                    f"{event.publisher} published {event.detail_type} ({event.order_id}), "
                    f"which {table} has not had",
                )
        self._check_detail(event)

    def asked(self, request: Request, began: float) -> None:
        """Look at a question to the card processor from an invocation that began then."""
        if request.service == CARD_PROCESSOR and request.operation == "charge":
            key = request.arguments["idempotency_key"]
            if key not in self._plan.orders:
                raise Violation(CHARGED_ONCE, f"charged under {key}, which is no order")
            if self.settled_at.get(key, began) < began:
                raise Violation(
                    CHARGED_ONCE, f"charged without looking: {key} had its payment on record"
                )

    def _order_changed(self, order_id: str, old: str | None, new: str | None) -> None:
        if old in _DECIDED and new != old:
            from_outside = any(
                event.publisher == PUBLISHER
                and (event.order_id, event.detail_type) == (order_id, "order.cancelled")
                for event in self._world.witness.published
            )
            if new != "cancelled" or not from_outside:
                raise Violation(DECIDED_ONCE, f"{order_id} was {old} and is now {new}")
        if new == "confirmed" and old != new:
            for handled in self._world.witness.handled:
                if is_cancel(handled) and handled.order_id == order_id:
                    raise Violation(
                        DECIDED_ONCE,
                        f"{order_id} is confirmed, though its {handled.detail_type} was done "
                        f"at {handled.seconds:.2f} s",
                    )

    def _check_placed(self, event: Published) -> None:
        """What is put on the bus was ordered so; by the API, nothing else under the same id."""
        key = event.order_id
        orders = (order for order in self._plan.variants(key) if order.fits(event.detail))
        order = next(orders, None)
        if order is None:
            raise Violation(WRITTEN_FIRST, f"nobody ordered {event.detail} ({key})")
        if order not in self.placed[key]:
            self.placed[key].append(order)
        if event.publisher != PUBLISHER and self.taken.setdefault(key, order) != order:
            raise Violation(ANSWERS, f"two different orders were placed as {key}")

    def _check_detail(self, event: Published) -> None:
        """An event says of its order what was ordered."""
        if not {"amount", "items"} & set(event.detail):
            return
        orders = self.placed[event.order_id]
        if not any(order.fits(event.detail) for order in orders):
            raise Violation(
                WRITTEN_FIRST,
                f"{event.detail_type} ({event.order_id}) has {event.detail}, ordered was {orders}",
            )


@dataclass(frozen=True, slots=True)
class AtRest:
    """What must hold when faults are over, parked messages were redriven and nothing moves."""

    plan: Plan
    witness: Witness
    tables: DynamoDB
    processor: CardProcessor
    placed: Mapping[str, list[Order]]
    """The different orders that came on the bus under an id."""
    taken: Mapping[str, Order]
    """What the API has taken under an id."""
    left: Mapping[str, list[Message]]
    """What is left on the queues."""

    def check(self) -> None:
        """Check everything.

        Raises:
            Violation: something does not hold.
        """
        self._check_queues()
        for key in self.plan.orders:
            self._check_order(key)
            self._check_events(key)
            self._check_updates(key)
            self._check_answers(key)
        for finding in audit(self.tables, self.processor):
            raise Violation(BOOKS, f"audit: {finding.subject}: {finding.says}")
        for told in history.audit(self.witness.published):
            raise Violation(BOOKS, f"events: {told.order_id}: {told.rule}: {told.says}")
        strangers = set(self.processor.books) - set(self.plan.orders)
        if strangers:
            raise Violation(CHARGED_ONCE, f"the processor's books have {sorted(strangers)}")

    def _check_queues(self) -> None:
        for queue, messages in self.left.items():
            for message in messages:
                if not (message.unreadable and queue.endswith("-dlq")):
                    raise Violation(ENDS, f"{message} is still in {queue}")

    def _check_order(self, key: str) -> None:
        record = self.tables.items("orders").get(key)
        status = text(record, "status")
        payment = text(self.tables.items("payments").get(key), "state")
        reservation = text(self.tables.items("reservations").get(key), "state")
        stands = f"{key} is {status}, its payment {payment}, its reservation {reservation}"
        cancelled = self._put(key, "order.cancelled")
        if record or self._is_taken(key) or cancelled:
            if status not in _DECIDED:
                raise Violation(ENDS, stands)
            if record and "unfinished" in record:
                raise Violation(ENDS, f"{stands}; it is still in the index of unfinished orders")
        books = self.processor.books.get(key, [])
        net = sum((movement.amount for movement in books), Decimal(0))
        orders = self.placed.get(key, [])
        if books and books[0] not in [Movement(order.amount, order.currency) for order in orders]:
            raise Violation(CHARGED_ONCE, f"{stands}; the books say {books}, ordered was {orders}")
        if status == "confirmed":
            self._check_agreement(key, orders, books)
        both = payment == "charged" and reservation == "reserved"
        if (status == "confirmed") != both:
            raise Violation(BOOKS, stands)
        if (status == "confirmed") != (len(books) == 1) or (status != "confirmed" and net != 0):
            raise Violation(BOOKS, f"{stands}; the books say {books}")
        if cancelled and (
            payment not in PAYMENT_AFTER_CANCEL or reservation not in RESERVATION_AFTER_CANCEL
        ):
            raise Violation(BOOKS, stands)
        if cancelled and status != "cancelled":
            raise Violation(DECIDED_ONCE, f"{stands}, though order.cancelled was on the bus")
        if payment == "declined" and key not in self.processor.declines:
            raise Violation(BOOKS, f"{stands}, though the card was not declined")
        self._check_told(key, record, payment, reservation)

    def _was_ambiguous(self, key: str) -> bool:
        """Whether anything was placed under an id beside the order that is on record."""
        record, orders = self.tables.items("orders")[key], self.placed.get(key, [])
        return len(orders) > 1 or any(not _is_of(record, order) for order in orders)

    def _check_agreement(self, key: str, orders: list[Order], books: list[Movement]) -> None:
        """Of all that was placed under an id one order was charged and reserved: the recorded."""
        record = self.tables.items("orders")[key]
        held = lines(self.tables.items("reservations").get(key))
        charged = number(self.tables.items("payments").get(key), "amount")
        for order in orders:
            taken = ([Movement(order.amount, order.currency)], order.amount, order.lines)
            if _is_of(record, order) and (books, charged, held) == taken:
                return
        raise Violation(
            ONE_ORDER, f"{key} is confirmed: {books} charged, {held} reserved, ordered {orders}"
        )

    def _check_told(
        self, key: str, record: Item | None, payment: str | None, reservation: str | None
    ) -> None:
        """The order's own record says of money and stock what is so."""
        told = (text(record, "payment"), text(record, "inventory"))
        true = (
            None if payment == "voided" else payment,
            None if reservation == "voided" else reservation,
        )
        if told != true:
            raise Violation(WRITTEN_FIRST, f"{key} is told to be {told}, but is {true}")

    def _check_events(self, key: str) -> None:
        """The state that each record ended in was published, and only one decision was made."""
        for table in ("payments", "reservations", "orders"):
            state = text(self.tables.items(table).get(key), _attribute(table))
            event = _EVENT_OF.get((table, state or ""))
            if event and event != "order.placed" and not self._put(key, event):
                raise Violation(WRITTEN_FIRST, f"{key} is {state}; {event} was never published")
        decisions = {
            event.detail_type
            for event in self.witness.published
            if event.order_id == key
            and event.publisher != PUBLISHER
            and event.detail_type in ("order.confirmed", "order.cancelled")
        }
        if len(decisions) > 1 and not self._put(key, "order.cancelled", PUBLISHER):
            raise Violation(DECIDED_ONCE, f"{key} was told to be both confirmed and cancelled")
        if "order.cancelled" in decisions and not self._has_reason(key):
            raise Violation(DECIDED_ONCE, f"{key} was cancelled for no reason")

    def _has_reason(self, key: str) -> bool:
        if self._was_ambiguous(key):
            return True
        reasons = (
            "payment.declined",
            "inventory.rejected",
            "order.cancel_requested",
        )
        return any(self._put(key, reason) for reason in reasons) or self._put(
            key, "order.cancelled", PUBLISHER
        )

    def _check_updates(self, key: str) -> None:
        updates = [update for update in self.witness.updates if update.order_id == key]
        statuses = [update.status for update in updates]
        if any(update.group != key for update in updates):
            raise Violation(UPDATES, f"an update of {key} is in the group of another order")
        for status in ("placed", "confirmed", "cancelled"):
            if self._put(key, f"order.{status}") and status not in statuses:
                raise Violation(UPDATES, f"no update told that {key} was {status}")
            if status in statuses and not self._told_by(key, status):
                raise Violation(UPDATES, f"an update told {key} was {status}, which it was not")
        self._check_told_once(key, updates)
        if updates:
            self._check_last_update(key, updates)
        ended = [n for n, status in enumerate(statuses) if status in _DECIDED]
        if ended and "placed" not in statuses[: ended[0]]:
            raise Violation(UPDATES, f"the updates of {key} came as {statuses}")

    def _check_told_once(self, key: str, updates: list[Update]) -> None:
        """An update of an order that the API took comes once, while the topic can tell."""
        recorded = [
            change.seconds
            for change in self.witness.changes
            if (change.table, change.key) == ("orders", key) and change.before is None
        ]
        record = self.tables.items("orders").get(key, {})
        if "amount" not in record or not all(update.version for update in updates):
            return  # told before it was on record: what follows is told anew
        since = recorded[0]
        told = [update for update in updates if since <= update.seconds < since + _FRESH_SECONDS]
        for (status, version), times in Counter((u.status, u.version) for u in told).items():
            if version and times > 1:
                raise Violation(UPDATES, f"updates told more than once that {key} was {status}")

    def _check_last_update(self, key: str, updates: list[Update]) -> None:
        """The last update, and the one with the highest version, say how the order stands."""
        status = text(self.tables.items("orders").get(key), "status") or "placed"
        newest = max(updates, key=lambda update: update.version)
        for which, update in (("last", updates[-1]), ("newest", newest)):
            if update.status != status:
                told = [f"{update.status} ({update.version})" for update in updates]
                raise Violation(
                    LAST_UPDATE, f"{key} is {status}; its {which} update is of {', '.join(told)}"
                )

    def _told_by(self, key: str, status: str) -> bool:
        if status == "placed":
            return any(event.order_id == key for event in self.witness.published)
        history = self.tables.items("orders").get(key, {}).get("history", {"L": []})["L"]
        return any(step["M"]["type"]["S"] == f"order.{status}" for step in history)

    def _check_answers(self, key: str) -> None:
        answers = [a for a in self.witness.answers if a.order_id == key]
        by_request: defaultdict[str, list[tuple[int, Any]]] = defaultdict(list)
        for answer in answers:
            if answer.method == "POST" and answer.status != 503:
                by_request[answer.request].append((answer.status, answer.body))
        taken = [request for request, given in by_request.items() if given[0][0] == 202]
        placed = self.taken.get(key)
        for given in by_request.values():
            if any(answer != given[0] for answer in given):
                raise Violation(ANSWERS, f"{key} was answered {given}")
            if given[0][0] not in (202, 409):
                raise Violation(ANSWERS, f"{key} was answered {given[0]}")
        if len(taken) > 1 or (taken and placed and taken[0] != placed.body()):
            raise Violation(ANSWERS, f"{key} was answered 202 for {taken}, and is {placed}")
        record = self.tables.items("orders").get(key)
        for answer in answers:
            if answer.method == "DELETE":
                self._check_cancel_answer(key, answer.status, answer.seconds)
        shown = [answer for answer in answers if answer.method == "GET"]
        for answer in shown[-1:]:
            stands = (200, text(record, "status")) if record else (404, None)
            if (answer.status, answer.body.get("status") if record else None) != stands:
                raise Violation(ANSWERS, f"GET of {key} shows {answer.status} {answer.body}")

    def _check_cancel_answer(self, key: str, status: int, seconds: float) -> None:
        history = self.witness.states("orders", "status").get(key, [])
        had = {state for since, state in history if since <= seconds}
        asked = self._put(key, "order.cancel_requested")
        if status == 202 and not asked and "cancelled" not in had:
            raise Violation(ANSWERS, f"the cancel of {key} was taken, and never put on the bus")
        if status == 409 and "confirmed" not in had:
            raise Violation(ANSWERS, f"the cancel of {key} was refused, and it is not confirmed")
        if status == 404 and any(since < seconds - 10 for since, _ in history):
            raise Violation(ANSWERS, f"the cancel of {key} found no such order")

    def _is_taken(self, key: str) -> bool:
        """Whether an order was answered 202 or put on the bus."""
        return self._put(key, "order.placed") or any(
            (answer.order_id, answer.method, answer.status) == (key, "POST", 202)
            for answer in self.witness.answers
        )

    def _put(self, key: str, detail_type: str, publisher: str | None = None) -> bool:
        """Whether such an event was put on the bus."""
        return any(
            (event.order_id, event.detail_type) == (key, detail_type)
            and publisher in (None, event.publisher)
            for event in self.witness.published
        )
