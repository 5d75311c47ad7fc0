"""What decides the future of a run, as a text: two runs with the same text go on in the same ways.

Time is left out, as nothing goes by it here; where facts have an order that matters, they stand in
it. Ids are numbered anew, as nothing depends on what an id is: of two equal messages it does not
matter which is which, but it matters that there are two, and who holds which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import count, pairwise
from random import Random
from types import NoneType
from typing import Any, Final

from orders.caretaker.decisions import NEEDS_PERSON
from orders.events import OrderCancelled, OrderConfirmed
from simulation.agenda import ANSWER, arguments_of, name_of
from simulation.invariants import is_cancel
from simulation.lambdas import Invocation, Lambdas
from simulation.queues import Message, Queues
from simulation.scheduler import Action, Scheduler
from simulation.template import Topology
from simulation.witness import Witness
from simulation.workload import Plan
from simulation.world import World

_OF_ANY_OBJECT: Final[Any] = object.__repr__
"""It tells where an object is, and not what it keeps."""
_MOST_KNOWN_TEXTS: Final = 10_000
_Q: Final = "['\"]?"
_STEP: Final = (
    rf"""\{{{_Q}M{_Q}: \{{(?:{_Q}\w+{_Q}: \{{{_Q}S{_Q}: (?:"[^"]*"|'[^']*')\}}(?:, )?)+\}}\}}"""
)
_HISTORY: Final = re.compile(rf"(\{{{_Q}L{_Q}: \[)({_STEP}(?:, {_STEP})*)(?=\])")
_ATTEMPT: Final = re.compile(rf"""{_Q}attempt{_Q}: \{{{_Q}N{_Q}: ['"]\d+['"]\}},? ?""")
_DECISIONS: Final = (OrderConfirmed.detail_type, OrderCancelled.detail_type)
_PLAIN: Final = (str, int, Decimal, NoneType)
_SAME_IN_ALL: Final = (World, Plan, Random, Lambdas, Queues, Scheduler)


class Ids:
    """The ids that a run gives: they are told apart, and nothing else."""

    def __init__(self, topology: Topology) -> None:
        names = sorted({*topology.queues, *topology.functions}, key=len, reverse=True)
        pattern = re.compile(rf"\b((?:{'|'.join(names)})[-#]\d+(?:[-~]\d+)*)")
        self._parts = lru_cache(_MOST_KNOWN_TEXTS)(pattern.split)
        """What stands between ids and the ids, by turns. Most facts of a state are known."""

    def strip(self, text: str) -> str:
        """The text without them."""
        return "_".join(self._parts(text)[::2])

    def anew(self, text: str) -> str:
        """The text with the ids that a run would have given in their order in it."""
        numbers: dict[str, str] = {}
        parts = list(self._parts(text))
        for place in range(1, len(parts), 2):
            kind = re.split(r"[-#]\d", parts[place])[0]
            separator = parts[place][len(kind)]
            numbers.setdefault(parts[place], f"{kind}{separator}{len(numbers) + 1}")
            parts[place] = numbers[parts[place]]
        return "".join(parts)

    def renumber(self, facts: Iterable[str]) -> str:
        """All facts in one text, with ids that follow from it alone."""
        numbers: dict[str, str] = {}
        fresh = count(1)
        ordered = sorted((self.strip(fact), fact) for fact in facts)
        if any(one[0] == other[0] for one, other in pairwise(ordered)):
            ordered = self._sorted_by_use(ordered)

        def renumbered(fact: str) -> str:
            parts = list(self._parts(fact))
            for place in range(1, len(parts), 2):
                if parts[place] not in numbers:
                    numbers[parts[place]] = f"@{next(fresh)}"
                parts[place] = numbers[parts[place]]
            return "".join(parts)

        return "\n".join(sorted(renumbered(fact) for _, fact in ordered))

    def _sorted_by_use(self, facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Facts that differ in ids only in an order of what else these ids stand in."""
        uses: dict[str, list[tuple[str, int]]] = {}
        for text, fact in facts:
            for place, id_ in enumerate(self._parts(fact)[1::2]):
                uses.setdefault(id_, []).append((text, place))
        return sorted(
            facts, key=lambda f: (f[0], [sorted(uses[i]) for i in self._parts(f[1])[1::2]], f[1])
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The parts of a run that its future can depend on."""

    world: World
    plan: Plan
    parts: tuple[object, ...]
    """Whatever keeps something, but for what follows."""
    tables: str
    is_repeated: Callable[[str], bool]
    """Whether a transaction with such a token came before: it takes effect once."""
    queues: Iterable[Any]
    running: Iterable[Invocation]
    settled_at: Mapping[str, float]
    pending: Iterable[Action]
    """What happens next, and what is withheld."""
    others: tuple[object, ...]

    def digest(self, ids: Ids) -> bytes:
        """The state's name."""
        facts = map(essence, self.facts())
        return blake2b(ids.renumber(facts).encode(), digest_size=12).digest()

    def facts(self) -> Iterator[str]:
        """Everything that decides how a run can go on, in no order."""
        yield f"others {shown(self.others)}"
        yield f"tables {self.tables}"
        for part in self.parts:
            yield _object(part)
        yield from self._witnessed(self.world.witness)
        consumers = self._consumers()
        for queue in self.queues:
            for message in queue.messages:
                damage = self._damage(message, consumers.get(queue.spec.name))
                yield f"queue {queue.spec.name} {self._message(message)} {damage}"
        for invocation in self.running:
            yield f"known to {invocation.name} {self._known(invocation)}"
        for action in self.pending:
            if name_of(action) == ANSWER:
                token = arguments_of(action)[1].arguments.get("ClientRequestToken", "")
                if self.is_repeated(token):
                    yield f"repeated {token}"
            if name_of(action) == ANSWER and not arguments_of(action)[0].alive:
                invocation, request, *_ = arguments_of(action)
                yield f"{invocation.function} {request} {self._known(invocation)}"
            else:
                yield shown(action)

    def _known(self, invocation: Invocation) -> list[str]:
        """Which of its orders were settled when an invocation began."""
        settled = (key for key, at in self.settled_at.items() if at < invocation.began)
        return sorted(invocation.orders.intersection(settled))

    def _message(self, message: Message) -> str:
        hidden = message.visible_at > self.world.scheduler.now
        return (
            f"{message.receipt} {message.what} {message.body} {hidden} {message.redrives} "
            f"{message.sent_back} {round(message.sent_at)}"
        )

    def _consumers(self) -> dict[str, str]:
        """The functions that work on what is in queues, or was before it was parked there."""
        read = {queue.spec: queue.reader.function for queue in self.queues if queue.reader}
        parked = {spec.dead_letter_queue: name for spec, name in read.items()}
        return parked | {spec.name: name for spec, name in read.items()}

    def _damage(self, message: Message, consumer: str | None) -> str:
        """What a message needs a person for, should it be parked: all that its log is read for."""
        reasons = [
            str(line.facts.get("reason"))
            for line in self.world.witness.log
            if (line.function, line.level) == (consumer, "WARNING")
            and line.facts.get("order_id") in message.orders
            and line.seconds >= message.sent_at
        ]
        return next((mark for mark in NEEDS_PERSON if reasons and mark in reasons[-1]), "")

    def _witnessed(self, witness: Witness) -> Iterator[str]:
        """What the invariants look at, as they do: as a set, or in its order."""
        yield from {
            f"published {event.publisher} {event.detail_type} {event.detail}"
            for event in witness.published
        }
        yield from {
            f"handled {h.detail_type} {h.order_id}" for h in witness.handled if is_cancel(h)
        }
        for key in self.plan.orders:
            updates = [
                (update.group, update.status, update.version, round(update.seconds))
                for update in witness.updates
                if update.order_id == key
            ]
            had = witness.states("orders", "status").get(key, []) if witness.answers else []
            answers = [
                (
                    *(answer.method, answer.request, answer.status, answer.body),
                    round(answer.seconds),
                    [(status, round(at)) for at, status in had if at <= answer.seconds],
                )
                for answer in witness.answers
                if answer.order_id == key
            ]
            yield f"told {key} {updates} {answers}"


@lru_cache(_MOST_KNOWN_TEXTS)
def essence(fact: str) -> str:
    """A fact without what functions write down and do not go by.

    That is in which order an order's events were heard of, but for how many they were when it was
    decided; and at which attempt its card was charged.
    """
    return _HISTORY.sub(_without_order, _ATTEMPT.sub("", fact))


def _without_order(history: re.Match[str]) -> str:
    steps = re.findall(_STEP, history[2])
    decided = next(
        (n for n, step in enumerate(steps) if any(it in step for it in _DECISIONS)), len(steps)
    )
    decision = steps[decided : decided + 1]
    ordered = [*sorted(steps[:decided]), *decision, *sorted(steps[decided + 1 :])]
    return history[1] + ", ".join(ordered)


def shown(value: Any) -> str:  # noqa: ANN401, PLR0911 - any value
    """A value, as far as the future depends on it."""
    if isinstance(value, _PLAIN):
        return repr(value)
    match value:
        case partial() if name_of(value) == ANSWER:
            invocation, _, _, on_end = value.args  # what it asks follows from what it was answered
            return f"{_invocation(invocation)} {shown(on_end)}"
        case partial():
            arguments = ", ".join(map(shown, (*value.args, *value.keywords.values())))
            return f"{name_of(value)}({arguments})"
        case Message():
            return value.receipt
        case Invocation():
            return _invocation(value)
        case list() | tuple():
            return f"[{', '.join(map(shown, value))}]"
        case set() | frozenset():
            return f"{{{', '.join(sorted(map(shown, value)))}}}"
        case dict():
            pairs = sorted(f"{key}: {shown(of)}" for key, of in value.items())
            return f"{{{', '.join(pairs)}}}"
        case float():
            return str(round(value))  # a time: of its ticks nothing depends
        case Exception():
            return f"{type(value).__name__} {value} {shown(vars(value))}"
        case _ if isinstance(value, Callable) and hasattr(value, "__qualname__"):  # type: ignore[arg-type]
            return str(value.__qualname__)
    if type(value).__repr__ is _OF_ANY_OBJECT:
        return _object(value)
    return repr(value)


def _object(value: object) -> str:
    """What an object keeps, but for what is the same in all states, or is in them already."""
    kept = {name: of for name, of in vars(value).items() if _differs(of)}
    return f"{type(value).__name__} {shown(kept)}"


def _differs(value: object) -> bool:
    return not isinstance(value, _SAME_IN_ALL) and not callable(value)


def _invocation(invocation: Invocation) -> str:
    history = invocation.told
    if history is None:
        history = f"{' '.join(map(shown, invocation.answers))} {invocation.calls}"
    return (
        f"{invocation.name} {invocation.alive} {invocation.event} {history} "
        f"{sorted(invocation.excused & invocation.orders)} {invocation.ramp_ups}"
    )
