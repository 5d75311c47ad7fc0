"""Every schedule of the smallest scopes, and the proof that the search leaves none out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from simulation import runner
from simulation.alike import Histories
from simulation.choices import Choices
from simulation.clients import Refusal
from simulation.exploration import Exploration, Ground, UnforeseenError
from simulation.explorer import Report, Search, explore
from simulation.memory import Memory
from simulation.rooms import Rooms, Sabotage, load
from simulation.scopes import Scope, scope
from simulation.state import Ids, essence, shown
from simulation.template import topology

CALM, TOLD = scope("calm"), scope("told-calm")
DIED_BEFORE = replace(
    CALM, name="died", faults=1, kinds=frozenset({"died before a call"}), at_once=1
)

CANCELLED = replace(scope("cancel-single"), faults=0)
LOST = replace(DIED_BEFORE, name="lost", kinds=frozenset({"applied, reply lost"}))
"""Here order-api may publish while the order is being decided."""


REFUSED = replace(
    DIED_BEFORE,
    name="refused",
    kinds=frozenset({"service not reached", "throttled", "statements failed"}),
)


def search(
    scope: Scope,
    *,
    commuting: bool = True,
    alike: bool = True,
    remembering: bool = True,
    copying: bool = True,
) -> tuple[Search, Report]:
    found = Search(
        scope,
        topology(),
        runner.rooms(),
        commuting=commuting,
        alike=alike,
        remembering=remembering,
        copying=copying,
    )
    report = found.run()
    if failure := report.failure:
        pytest.fail(f"{failure.violation}\n{failure.story}")
    assert report.complete
    return found, report


def explored(scope: Scope, rooms: Rooms) -> list[Report]:
    return list(explore(scope, topology(), rooms))


def test_the_schedules_of_the_smallest_scope_are_those_counted_by_hand() -> None:
    """One order without a fault: 6 schedules.

    - order-api, payments-processor and inventory-processor have one thing to do each, alone: 1 way.
    - order-tracker gets two events. Its invocations begin with a read (a poll and the first call
      are one step), then write; the one that completes the order then publishes. Reads and writes
      of two invocations come in 4! / (2! * 2!) = 6 orders: in 2 of them the second begins when the
      first has ended, and reads what it wrote; in 4 both have read before one writes, and the
      other meets a conflict, reads and writes anew, and publishes. What follows is the same
      invocation alone each time: 6 ways.
    """
    _, report = search(CALM)
    assert report.schedules == 6


def test_the_schedules_in_which_the_shop_is_told_are_those_counted_by_hand() -> None:
    """The same order, and the shop told as it happens: 352 schedules.

    notifications reads the order's record, so it is not alone. It gets two events: `placed` from
    the beginning, and `confirmed` when the tracker has published, which it does as soon as it has
    decided. It reads; then it makes one call if the order is not decided yet, and otherwise two.
    The tracker makes n reads and writes up to its decision: n = 4 in 2 ways, n = 6 in 4 (above).

    - `placed` reads before the decision, in one of the n gaps before a read or write. Its call
      comes in that gap or a later one before the decision, n * (n + 1) / 2 ways in all, with
      `confirmed` alone after it; or after the decision, n ways, in one of 4 places among the 3
      calls of `confirmed`.
    - Or it reads after the decision: 3 calls among 3, so 6! / (3! * 3!) = 20 ways.

    For n = 4 that makes 10 + 16 + 20 = 46, for n = 6 it is 21 + 24 + 20 = 65; and
    2 * 46 + 4 * 65 = 352.
    """
    _, report = search(TOLD)
    assert report.schedules == 352


@pytest.mark.parametrize("scope", [CALM, DIED_BEFORE], ids=["calm", "died"])
def test_a_state_that_was_seen_leads_to_nothing_new(scope: Scope) -> None:
    remembered, report = search(scope)
    run_to_the_end, each = search(scope, remembering=False)
    assert each.runs == report.schedules
    assert report.runs < each.runs
    assert remembered.ends == run_to_the_end.ends


@pytest.mark.parametrize("scope", [TOLD, DIED_BEFORE], ids=["told", "died"])
def test_a_run_that_goes_on_from_a_copy_does_the_same(scope: Scope) -> None:
    copied, from_copies = search(scope)
    begun, from_the_beginning = search(scope, copying=False)
    assert copied.seen == begun.seen
    assert copied.ends == begun.ends
    assert from_copies.schedules == from_the_beginning.schedules
    assert from_copies.invocations < from_the_beginning.invocations


@pytest.mark.parametrize(
    "scope",
    [CALM, TOLD, DIED_BEFORE, pytest.param(LOST, marks=pytest.mark.long)],
    ids=["calm", "told", "died", "lost"],
)
def test_steps_taken_to_commute_lead_to_the_same_in_any_order(scope: Scope) -> None:
    reduced, report = search(scope)
    whole, every = search(scope, commuting=False)
    assert every.schedules > report.schedules
    assert reduced.ends == whole.ends


@pytest.mark.parametrize(
    "scope",
    [REFUSED, pytest.param(scope("single"), marks=pytest.mark.long)],
    ids=["refused", "single"],
)
def test_when_of_tries_the_last_is_told_the_same_comes_of_it(
    scope: Scope,
) -> None:
    by_last_tries, report = search(scope)
    by_answers, every = search(scope, alike=False)
    assert by_last_tries.alike
    assert report.states < every.states
    assert by_last_tries.ends == by_answers.ends
    assert report.schedules == every.schedules


GOES_BY_CODE = Sabotage(
    "patience: remember the code of a refusal",
    "orders.aws.patience",
    "            answers[n] = answer\n",
    "            if answers[n] == 'ProvisionedThroughputExceeded':\n"
    "                raise ValueError\n"
    "            answers[n] = answer\n",
)
"""It shows when the second try is answered; one after another code is told alike before that."""


def test_a_bug_that_shows_after_one_code_of_several_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms = load(topology(), GOES_BY_CODE)
    found = Search(REFUSED, topology(), rooms)
    failure = found.run().failure
    assert failure
    assert "raised ValueError" in failure.violation
    assert not found.alike
    monkeypatch.setattr(Histories, "check", lambda *_: True)
    assert not Search(REFUSED, topology(), rooms).run().failure


def test_a_search_that_is_ended_during_its_proof_is_not_complete() -> None:
    found = Search(REFUSED, topology(), runner.rooms())
    report = found.run(lambda report: report.share < 1)
    assert report.schedules
    assert not report.complete


class Wanderer(Choices):
    """Goes any way there is, whether others commute with it or not."""

    def __init__(self, seed: int, faults: int) -> None:
        super().__init__([], faults, None, {})
        self._random = Random(seed)

    def choose(self, ways: int) -> int:
        return self._random.randrange(ways)

    def choose_step(self, find: Callable[[], Sequence[int]], describe: object, copy: object) -> int:
        return self._random.choice(find())

    def enter(self, describe: object) -> None:
        pass


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param(replace(scope("last-calm"), at_once=1), marks=pytest.mark.long),
        pytest.param(CANCELLED, marks=pytest.mark.long),
        pytest.param(replace(CANCELLED, faults=1, kinds=LOST.kinds), marks=pytest.mark.long),
        DIED_BEFORE,
    ],
    ids=["last", "cancelled", "cancelled, lost", "died"],
)
def test_the_search_has_every_end_that_a_random_schedule_has(scope: Scope) -> None:
    searched, _ = search(scope)
    ends = searched.ends
    ground = Ground.of(scope, topology(), runner.rooms(), commuting=False, past=searched.past)
    found = set()
    for seed in range(60):
        run = Exploration(ground, Wanderer(seed, scope.faults))
        assert run.run() is None
        found.add(run.end)
    assert found <= ends
    assert len(found) > 1


@pytest.mark.parametrize("faults", [0, 1])
def test_nothing_breaks_with_a_fault_at_any_call(faults: int) -> None:
    """An UnforeseenError says what is missing in `places.CAUSES`."""
    search(replace(scope("single"), faults=faults))


LOSES_COUNT = Sabotage(
    "payments: a new key at the third delivery",
    "orders.payments.handler",
    "self.processor.charge(order.order_id, ",
    'self.processor.charge(order.order_id + "-anew" * (message.attempt == 3), ',
)
"""It shows only if the first two deliveries both fail at the charge or before it."""


def test_a_bug_that_needs_two_faults_is_told_with_the_shortest_schedule() -> None:
    kinds = frozenset({"charge done, reply lost", "throttled"})
    unanswered = replace(scope("pair"), kinds=kinds, at_once=1)
    reports = explored(unanswered, load(topology(), LOSES_COUNT))
    assert [(report.faults, bool(report.failure)) for report in reports] == [
        (0, False),
        (1, False),
        (2, True),
    ]
    failure = reports[-1].failure
    assert failure
    assert "an order is charged at most once" in failure.violation
    assert (failure.faults, failure.detours) == (2, 0)
    charges = [line for line in failure.story.splitlines() if "charge (order-1): done" in line]
    assert len(charges) == 2
    assert "order.confirmed" not in failure.story


def test_a_bug_that_shows_without_a_fault_is_told_without_one() -> None:
    blind = Sabotage(
        "tracker: does not look at what is on record",
        "orders.tracker.handler",
        "orders.get(order_id) or Order(",
        "Order(",
    )
    report = explored(scope("fault"), load(topology(), blind))[-1]
    assert report.failure
    assert report.failure.faults == 0


def test_refusals_with_different_reasons_are_told_apart() -> None:
    """What a handler does depends on them, and so what is known of it."""
    one, other = (
        Refusal("TransactionCanceledException", CancellationReasons=[{"Code": code}])
        for code in ("TransactionConflict", "ConditionalCheckFailed")
    )
    assert shown(one) != shown(other)


def test_a_change_that_was_not_to_come_is_noticed() -> None:
    writes = Sabotage(
        "tracker: write what is not new, too",
        "orders.tracker.handler",
        "for _, before, after, *_ in changes if after != before]",
        "for _, before, after, *_ in changes]",
    )
    found = Search(CANCELLED, topology(), load(topology(), writes))
    with pytest.raises(UnforeseenError, match="was to change nothing"):
        found.run()


def step(kind: str, reason: str = "") -> str:
    reasons = f""""reason": {{"S": "{reason}"}}, """ if reason else ""
    return f"""{{"M": {{"at": {{"S": "now"}}, {reasons}"type": {{"S": "{kind}"}}}}}}"""


def history(*kinds: str) -> str:
    steps = ", ".join(step(kind, "why not" * (kind == "order.cancelled")) for kind in kinds)
    return f"""tables {{"orders": {{"history": {{"L": [{steps}]}}, "status": {{"S": "x"}}}}}}"""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("placed charged reserved", "placed reserved charged", True),
        (
            "placed charged declined order.cancelled",
            "charged placed declined order.cancelled",
            True,
        ),
        (
            "placed charged rejected order.cancelled",
            "placed rejected charged order.cancelled",
            True,
        ),
        (
            "placed rejected order.cancelled charged",
            "placed charged rejected order.cancelled",
            False,
        ),
        (
            "rejected order.cancelled charged refunded",
            "rejected order.cancelled refunded charged",
            True,
        ),
        ("placed charged", "placed", False),
    ],
)
def test_of_a_history_that_counts_which_functions_go_by(one: str, other: str, same: bool) -> None:
    first, second = (history(*kinds.split()) for kinds in (one, other))
    assert (essence(first) == essence(second)) == same
    answers = [shown(json.loads(text.partition(" ")[2])) for text in (first, second)]
    assert (essence(answers[0]) == essence(answers[1])) == same


@dataclass
class Counter:
    """Remembers something, as a part of a handler may."""

    count: int = 0


@dataclass(frozen=True)
class Counting:
    """A handler with such a part."""

    counter: Counter

    def __call__(self, event: dict[str, Any], context: Any) -> None:  # noqa: ANN401
        self.counter.count += 1


def test_what_a_function_keeps_in_memory_is_found_and_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind in (Counter, Counting):
        monkeypatch.setattr(kind, "__module__", "orders.counting")
    handler = Counting(Counter())
    memory = Memory({"counting": handler, "payments": runner.rooms().handlers["order-api"]})
    handler({}, None)
    assert memory.has(handler)
    assert memory.kept() == [{"count": 1}]
    memory.forget()
    assert memory.kept() == [{"count": 0}]
    assert not memory.has(runner.rooms().handlers["order-api"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["queue payments-1/1 x"], ["queue payments-7/1 x"], True),
        (["queue payments-1/1 x"], ["queue payments-1/2 x"], False),
        (["queue payments-1/1 x"], ["queue payments-1/1 x", "queue payments-2/1 x"], False),
        (
            ["queue payments-1/1 x", "queue payments-2/1 x", "held payments-1/1"],
            ["queue payments-1/1 x", "queue payments-2/1 x", "held payments-2/1"],
            True,
        ),
        (
            ["queue payments-1/1 x", "queue payments-2/1 x", "held payments-1/1"],
            ["queue payments-1/1 x", "queue payments-2/1 x", "held payments-3/1"],
            False,
        ),
        (["order-1 of event-1", "order-2"], ["order-2 of event-1", "order-1"], False),
    ],
)
def test_ids_are_told_apart_and_nothing_else(
    one: list[str], other: list[str], *, same: bool
) -> None:
    ids = Ids(topology())
    assert (ids.renumber(one) == ids.renumber(other)) is same
