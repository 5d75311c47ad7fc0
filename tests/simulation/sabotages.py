"""Small ways to break the handlers, each of which the simulation must notice.

A sabotage replaces a piece of source text. When the source has changed so that the text is not
there any more, loading it fails, and the sabotage must be written anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from simulation.rooms import Sabotage

_API = "orders.order_api.handler"
_BUS = "orders.aws.bus"
_CARETAKER = "orders.caretaker.handler"
_CARETAKER_DECISIONS = "orders.caretaker.decisions"
_CIRCUITS = "orders.circuit_breaker.circuits"
_CIRCUIT_BREAKER = "orders.circuit_breaker.handler"
_CIRCUIT_CONSUMER = "orders.circuit_breaker.consumer"
_CIRCUIT_DECISIONS = "orders.circuit_breaker.decisions"
_DYNAMODB = "orders.aws.dynamodb"
_EVENTS = "orders.events"
_INVENTORY = "orders.inventory.handler"
_INVENTORY_DECISIONS = "orders.inventory.decisions"
_MOVING = "orders.inventory.moving"
_NOTIFICATIONS = "orders.notifications.handler"
_ORDER_TABLE = "orders.aws.order_table"
_PARKED = "orders.caretaker.parked"
_PATIENCE = "orders.aws.patience"
_PAYMENTS = "orders.payments.handler"
_PAYMENTS_DECISIONS = "orders.payments.decisions"
_RESERVATIONS = "orders.inventory.reservations"
_SHELVES = "orders.inventory.shelves"
_SQS = "orders.aws.sqs"
_TRACKER = "orders.tracker.handler"
_TRACKER_DECISIONS = "orders.tracker.decisions"

SABOTAGES: Final = (
    # Payments
    Sabotage(
        "payments: charge before looking",
        _PAYMENTS,
        "next_action(before, message.event), message.event.detail",
        "next_action(None, message.event), message.event.detail",
    ),
    Sabotage(
        "payments: charge under a new key each time",
        _PAYMENTS,
        "self.processor.charge(order.order_id, ",
        'self.processor.charge(f"{order.order_id}-{message.attempt}", ',
    ),
    Sabotage(
        "payments: a failed charge counts as declined",
        _PAYMENTS,
        "            except ProcessorFailedError as error:\n",
        "            except ZeroDivisionError as error:\n",
    ),
    Sabotage(
        "payments: leave no voided record",
        _PAYMENTS,
        "for _, before, payment in changes if payment != before]",
        'for _, before, payment in changes if payment != before and payment.state != "voided"]',
    ),
    Sabotage(
        "payments: give nothing back",
        _PAYMENTS,
        "            self.processor.cancel(message.order_id)\n",
        "",
    ),
    Sabotage(
        "payments: ignore a cancel that comes after the charge",
        _PAYMENTS_DECISIONS,
        'return Action.CANCEL if state in (None, "charged") else Action.NOTHING',
        "return Action.CANCEL if state is None else Action.NOTHING",
    ),
    Sabotage(
        "payments: take an order DynamoDB did not answer for as new",
        _PAYMENTS,
        "if why := refusals.get(message.order_id):",
        "if why := None:",
    ),
    Sabotage(
        "payments: publish only what is new",
        _PAYMENTS,
        "if event := outcome(payment, message.event):",
        "if payment != before and (event := outcome(payment, message.event)):",
    ),
    Sabotage(
        "payments: tell of the charge when an order comes again that was refunded",
        _PAYMENTS_DECISIONS,
        '    if payment.state == "refunded":\n',
        '    if payment.state == "refunded" and isinstance(event.detail, OrderCancelled):\n',
    ),
    Sabotage(
        "payments: forget what is older than the year",
        _PAYMENTS,
        "            before = payments.get(message.order_id)\n",
        "            before = payments.get(message.order_id)\n"
        "            before = before if before and before.at[:4] == self.now()[:4] else None\n",
    ),
    # Inventory
    Sabotage(
        "inventory: reserve without a condition",
        _RESERVATIONS,
        '                    "ConditionExpression": "attribute_not_exists(order_id)",\n',
        "",
    ),
    Sabotage(
        "inventory: take stock that is not there",
        _RESERVATIONS,
        '"available >= :taken"',
        '"available >= :taken OR available < :taken"',
    ),
    Sabotage(
        "inventory: tell of the reservation when an order comes again that was released",
        _INVENTORY_DECISIONS,
        "            return InventoryReleased(order_id=order_id, items=lines)\n",
        "            if isinstance(event.detail, OrderCancelled):\n"
        "                return InventoryReleased(order_id=order_id, items=lines)\n"
        "            return InventoryReserved(order_id=order_id, items=lines)\n",
    ),
    Sabotage(
        "inventory: release what is released",
        _INVENTORY_DECISIONS,
        'elif reservation.state == "reserved":',
        'elif reservation.state in ("reserved", "released"):',
    ),
    Sabotage(
        "inventory: reject on a conflict of transactions",
        _MOVING,
        "                self._hold([move.change], max(transient - {HELD}, default=HELD))\n",
        "                before, now = move.change\n"
        "                self.rejected.append((before, reject(now, {})))\n",
    ),
    Sabotage(
        "inventory: leave no voided record",
        _INVENTORY,
        "for _, before, now in changes if now != before]",
        'for _, before, now in changes if now != before and now.state != "voided"]',
    ),
    Sabotage(
        "inventory: take a failed transaction as done",
        _RESERVATIONS,
        "                return error.code\n",
        "                return None\n",
    ),
    Sabotage(
        "inventory: take what other transactions held as done",
        _MOVING,
        "                self._hold([move.change], max(transient - {HELD}, default=HELD))\n",
        "                self.written[move.order_id] = move.change[1]\n",
    ),
    Sabotage(
        "inventory: fail what other transactions hold",
        _SQS,
        "        if why == HELD:\n",
        '        if why == "never":\n',
    ),
    Sabotage(
        "inventory: mark as released, and keep the stock",
        _RESERVATIONS,
        "str(put_back - taken)",
        "str(-taken)",
    ),
    Sabotage(
        "inventory: take for one of several orders only",
        _RESERVATIONS,
        "sums[shelf] = taken + quantity, put_back",
        "sums[shelf] = quantity, put_back",
    ),
    Sabotage(
        "inventory: take what could not be written together as done",
        _MOVING,
        "                self.ready.append(move.change)\n",
        "                self.written[move.order_id] = move.change[1]\n",
    ),
    Sabotage(
        "inventory: take an order that somebody else has written as written",
        _MOVING,
        "                self._refuse([move.change], CONFLICT)\n",
        "                self.written[move.order_id] = move.change[1]\n",
    ),
    Sabotage(
        "inventory: forget what did not fit beside the others",
        _MOVING,
        "[change for change in self.ready if change[1].order_id not in moving]",
        "[]",
    ),
    Sabotage(
        "inventory: fail the whole batch for what one of it met",
        _MOVING,
        "            elif transient:\n",
        "            elif TRANSIENT_CODES & {*cancelled.records, *cancelled.shelves.values()}:\n"
        '                self._refuse([move.change], "held")\n'
        "            elif transient:\n",
    ),
    Sabotage(
        "shelves: turn away by what was seen some time ago",
        _MOVING,
        "        seen = self._look({line.sku for now in doubtful for line in now.lines})\n",
        "        seen = self.stock\n",
    ),
    Sabotage(
        "shelves: turn away when the first one is empty",
        _SHELVES,
        "        there = sum(max(level, 0) for level in levels.values())\n",
        "        there = levels.get(line.sku, 0)\n",
    ),
    Sabotage(
        "shelves: turn away who does not fit beside the others",
        _MOVING,
        "[change for change in self.ready if change[1].order_id not in moving]",
        "[c for c in self.ready if c[1].order_id not in moving]\n"
        "        self.rejected += [(before, reject(now, {})) for before, now in self.ready]\n"
        "        self.ready = []",
    ),
    Sabotage(
        "shelves: take a whole line of each when it is split",
        _SHELVES,
        "            portions[shelf] = min(there, quantity)\n",
        "            portions[shelf] = there\n",
    ),
    Sabotage(
        "shelves: forget which one it was taken from",
        _SHELVES,
        "    noted = None if all(shelf == sku_of(shelf) for shelf in taken) else dict(taken)\n",
        "    noted = None\n",
    ),
    Sabotage(
        "shelves: put back on the first one",
        _SHELVES,
        "        back[sku if is_gone else shelf] += quantity\n",
        "        back[sku] += quantity\n",
    ),
    Sabotage(
        "shelves: put back on one that is gone",
        _SHELVES,
        "        is_gone = sku in stock and shelf not in stock[sku]\n",
        "        is_gone = False\n",
    ),
    Sabotage(
        "shelves: lose what is put back to one that is taken from",
        _RESERVATIONS,
        "            sums[shelf] = taken, put_back + quantity\n",
        "            sums.setdefault(shelf, (taken, quantity))\n",
    ),
    Sabotage(
        "shelves: look at the first one only",
        _RESERVATIONS,
        "for sku, n in counts.items() if n > 1 for key in",
        "for sku, n in counts.items() if n > 9 for key in",
    ),
    # The tracker
    Sabotage(
        "tracker: write without a condition",
        _ORDER_TABLE,
        'condition=("version", {"N": str(order.version)}),',
        'condition=("order_id", {"S": order.order_id}),',
    ),
    Sabotage(
        "tracker: confirm what is charged",
        _TRACKER_DECISIONS,
        'if noted.payment == "charged" and noted.inventory == "reserved":',
        'if noted.payment == "charged":',
    ),
    Sabotage(
        "tracker: confirm a payment of one order and a reservation of another",
        _TRACKER_DECISIONS,
        "if _is_for_another(order, event.detail):",
        "if False:",
    ),
    Sabotage(
        "tracker: take the first answer for what was ordered",
        _TRACKER_DECISIONS,
        "        known = ordered.fingerprint\n",
        "        known = known or told or ordered.fingerprint\n",
    ),
    Sabotage(
        "tracker: forget cancel requests",
        _TRACKER_DECISIONS,
        '    OrderCancelRequested.detail_type: "",\n',
        "",
    ),
    Sabotage(
        "tracker: announce a decision only once",
        _TRACKER_DECISIONS,
        "(before != after or _follows(event.detail)):",
        "True:",
    ),
    Sabotage(
        "tracker: announce before writing",
        _TRACKER,
        "        refusals = self.orders.write(new, context)\n",
        "        self.bus.publish([told for _, _, _, told, _ in changes if told], context)\n"
        "        refusals = self.orders.write(new, context)\n",
    ),
    Sabotage(
        "tracker: take a conflict as done",
        _TRACKER,
        "if why := refusals.get(after.order_id):",
        'if (why := refusals.get(after.order_id)) and why != "somebody else wrote first":',
    ),
    # The order API
    Sabotage(
        "order-api: publish before recording",
        _API,
        "        try:\n            self.orders.create(first_record(placed, self.now()))\n",
        "        self._publish(placed, context)\n"
        "        try:\n            self.orders.create(first_record(placed, self.now()))\n",
    ),
    Sabotage(
        "order-api: answer 202 though the bus refused",
        _API,
        "        if refusal:\n            raise NotPublishedError(refusal)\n",
        "",
    ),
    Sabotage(
        "order-api: take any order under a taken id",
        _API,
        "if known.ordered != placed:",
        "if False:",
    ),
    Sabotage(
        "order-api: record without a condition",
        _ORDER_TABLE,
        '                ConditionExpression="attribute_not_exists(order_id)",\n',
        "",
    ),
    Sabotage(
        "order-api: publish a repeated order never again",
        _API,
        'if known.payment or known.inventory or known.status != "placed":',
        "if True:",
    ),
    # The caretaker
    Sabotage(
        "caretaker: publish nothing again",
        _CARETAKER,
        "if is_due(order, repeats, now, self.settings)",
        "if False",
    ),
    Sabotage(
        "caretaker: publish something else than was ordered",
        _CARETAKER_DECISIONS,
        "    return order.ordered\n",
        "    ordered = order.ordered\n"
        "    return ordered and msgspec.structs.replace(ordered, amount=ordered.amount + 2)\n",
    ),
    Sabotage(
        "caretaker: cancel at the deadline whatever is decided",
        _CARETAKER_DECISIONS,
        "return OrderCancelRequested(order_id=order.order_id, reason=LATE)",
        "return OrderCancelled(order_id=order.order_id, reason=LATE)",
    ),
    Sabotage(
        "caretaker: know no deadline",
        _CARETAKER_DECISIONS,
        "if now >= _moment(order.placed_at) + settings.deadline:",
        "if False:",
    ),
    Sabotage(
        "caretaker: redrive nothing",
        _CARETAKER,
        "            back = self._to_be_redriven(queue, stay, context)\n",
        "            back = []\n",
    ),
    Sabotage(
        "caretaker: redrive what no code can read",
        _PARKED,
        "            order_id = None\n",
        '            order_id = "nobody-s"\n',
    ),
    Sabotage(
        "caretaker: redrive what was denied",
        _CARETAKER_DECISIONS,
        'NEEDS_PERSON: Final = ("AccessDenied", ',
        "NEEDS_PERSON: Final = (",
    ),
    Sabotage(
        "caretaker: redrive without bound",
        _CARETAKER_DECISIONS,
        " or message.redrives >= MAX_REDRIVES:",
        ":",
    ),
    Sabotage(
        "caretaker: forget how often a message was sent back",
        _PARKED,
        "str(message.redrives + 1)",
        "str(message.redrives)",
    ),
    Sabotage(
        "caretaker: delete without sending back",
        _PARKED,
        "        answer = self.sqs().send_message_batch(\n",
        "        answer = {} if messages else self.sqs().send_message_batch(\n",
    ),
    # The circuit breaker
    Sabotage(
        "circuit breaker: have orders tried on hold",
        _CIRCUIT_DECISIONS,
        "if circuit.is_closed or circuit.on_hold:",
        "if circuit.is_closed:",
    ),
    Sabotage(
        "circuit breaker: resume what an operator holds",
        _CIRCUIT_DECISIONS,
        "return circuit.is_closed and not circuit.on_hold",
        "return circuit.is_closed or bool(circuit.on_hold)",
    ),
    Sabotage(
        "circuit breaker: overwrite what an operator has noted",
        _CIRCUITS,
        '"attribute_not_exists(consumer) OR version = :version"',
        '"attribute_exists(consumer) OR NOT version = :version"',
    ),
    Sabotage(
        "circuit breaker: resume what somebody else has paused",
        _CIRCUIT_DECISIONS,
        "if circuit.switched_at is None:",
        "if False:",
    ),
    Sabotage(
        "circuit breaker: never resume",
        _CIRCUIT_BREAKER,
        "if to_be_on != (state == ENABLED):",
        "if state == ENABLED and not to_be_on:",
    ),
    Sabotage(
        "circuit breaker: lose what fails in a test",
        _CIRCUIT_CONSUMER,
        "self._delete(self._send_anew(failed))",
        "self._delete(failed)",
    ),
    Sabotage(
        "circuit breaker: forget how often a tested message was sent back",
        _CIRCUIT_CONSUMER,
        'for name, value in message.get("MessageAttributes", {}).items()',
        "for name, value in ()",
    ),
    Sabotage(
        "circuit breaker: close without a test",
        _CIRCUIT_DECISIONS,
        "    if not trial.passed:\n",
        "    if False:\n",
    ),
    Sabotage(
        "circuit breaker: never test",
        _CIRCUIT_BREAKER,
        "if is_due(circuit, self.now()):",
        "if False:",
    ),
    # Batches, tables, the bus, updates
    Sabotage(
        "batches: report no failures",
        _SQS,
        'return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in self._failed]}',
        'return {"batchItemFailures": []}',
    ),
    Sabotage(
        "batches: report nothing by the right name",
        _SQS,
        '[{"itemIdentifier": id_} for id_ in self._failed]',
        '[{"itemIdentifier": ""} for id_ in self._failed]',
    ),
    Sabotage(
        "batches: fail with the first unreadable message",
        _SQS,
        "            except UnreadableEventError as error:\n",
        "            except ZeroDivisionError as error:\n",
    ),
    Sabotage(
        "batches: forget refused outcomes",
        _SQS,
        "            if refusal:\n",
        "            if False:\n",
    ),
    Sabotage(
        "batches: drop the second message of an order",
        _SQS,
        "self._waiting = [m for m in self._waiting if first[m.order_id] is not m]",
        "self._waiting = []",
    ),
    Sabotage(
        "contract: believe an event whatever its source",
        _EVENTS,
        "if envelope.source != detail.source:",
        "if False:",
    ),
    Sabotage(
        "tables: overwrite what is there",
        _DYNAMODB,
        "        for order_id, code in zip(statements, codes, strict=True)\n        if code\n",
        "        for order_id, code in zip(statements, codes, strict=True)\n"
        "        if code and code not in _CONFLICT_CODES\n",
    ),
    Sabotage(
        "bus: look at no entry's answer",
        _BUS,
        'if not answer["FailedEntryCount"]:',
        "if True:",
    ),
    Sabotage(
        "bus: take a call that failed as done",
        _BUS,
        "return [error.code] * len(entries)",
        "return [None] * len(entries)",
    ),
    # Retries within an invocation
    Sabotage(
        "retries: write a refused statement not again",
        _DYNAMODB,
        "try_all(list(statements.values()), attempt, context)",
        "attempt(list(statements.values()))",
    ),
    Sabotage(
        "retries: read a key that was left out not again",
        _DYNAMODB,
        "try_all(keys, attempt, context)",
        "attempt(keys)",
    ),
    Sabotage(
        "retries: put a refused event not again",
        _BUS,
        "try_all([self._entry(detail) for detail in details], self._put, context)",
        "self._put([self._entry(detail) for detail in details])",
    ),
    Sabotage(
        "retries: make a cancelled transaction not again",
        _MOVING,
        "if not self.held or not patience.wait():",
        "if True:",
    ),
    Sabotage(
        "retries: take what is refused twice as done",
        _PATIENCE,
        "            answers[n] = answer\n",
        "            answers[n] = None\n",
    ),
    Sabotage(
        "retries: give up after the second try",
        _PATIENCE,
        "self._tries_left = tries - 1",
        "self._tries_left = 1",
    ),
    Sabotage(
        "updates: tell them anew each time",
        _NOTIFICATIONS,
        '"" if fresh or not before else f":{utc_now()}"',
        'f":{utc_now()}"',
    ),
    Sabotage(
        "updates: tell the end without the beginning",
        _NOTIFICATIONS,
        "*before, told = updates\n",
        "before, told = [], updates[-1]\n",
    ),
    Sabotage(
        "updates: let the topic drop the last one of an old order",
        _NOTIFICATIONS,
        '"" if fresh or not before else f":{utc_now()}"',
        '""',
    ),
    Sabotage(
        "tracker: keep a cancel from outside to itself",
        _TRACKER_DECISIONS,
        '    if after.status == "placed":\n',
        '    if after.status == "placed" or isinstance(event.detail, OrderCancelled):\n',
    ),
    Sabotage(
        "updates: take a refusal as done",
        _NOTIFICATIONS,
        "raise NotificationFailedError(reason(error)) from None",
        "return",
    ),
)
"""Each a name, a module, a text of its source, and what stands there instead."""

NOTICED: Final = Path(__file__).parent / "noticed.json"
SEEDS_TO_NOTICE_IN: Final = 400
"""Within how many seeds each of them must be noticed."""


def likely_seeds(sabotage: Sabotage) -> list[int]:
    """The seeds that must notice a sabotage; first the one that did when it was last looked for.

    That saves minutes. Once a change draws other schedules, the others follow.
    """
    first = json.loads(NOTICED.read_text(encoding="utf-8")).get(sabotage.name, 0)
    return [first, *(seed for seed in range(SEEDS_TO_NOTICE_IN) if seed != first)]
