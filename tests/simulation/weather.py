"""How often what goes wrong: drawn for each seed, so that some are calm and some are wild."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final

SLOW_CALL: Final = "call takes seconds"
THROTTLED_INVOCATION: Final = "invocation throttled"
DUPLICATED_EVENT: Final = "event delivered twice"
LATE_EVENT: Final = "event delivered late"
EARLY_RETURN: Final = "visibility timeout ran out early"
UNDELETED: Final = "message came again after its delete"
LOST_ANSWER: Final = "API answer lost"
NOT_CALLED: Final = "schedule did not call"
CALLED_TWICE: Final = "schedule called twice at once"
CLIENT_GONE: Final = "client never calls again"
DENIED: Final = "permission taken away"
RAMP_UP: Final = "refused while ramping up"
HELD_BY_OTHERS: Final = "held by another transaction"

DELIVERY: Final = {
    SLOW_CALL: 0.04,
    THROTTLED_INVOCATION: 0.03,
    DUPLICATED_EVENT: 0.12,
    LATE_EVENT: 0.2,
    EARLY_RETURN: 0.15,
    UNDELETED: 0.04,
    LOST_ANSWER: 0.1,
    NOT_CALLED: 0.2,
    CALLED_TWICE: 0.3,
    CLIENT_GONE: 0.5,
}
"""What can go wrong on the way, and how often where the weather is moderate."""

_SEVERITIES: Final = (0.0, 0.3, 1.0, 1.0, 1.0, 2.5)
_ABSENT: Final = 0.35
_MOST_SKEW_SECONDS: Final = 3.0
"""The share of seeds in which a kind of fault is absent: a rare one shows best without others."""


@dataclass(frozen=True, slots=True)
class RampUp:
    """For a while a table, or the bus, takes only a share of what it is asked."""

    target: str
    begins: float
    ends: float
    refused_share: float


@dataclass(frozen=True, slots=True)
class Denial:
    """For a while a function may not call a service."""

    function: str
    service: str
    begins: float
    ends: float


def denials(random: Random, calls: Sequence[tuple[str, str]], seconds: float) -> tuple[Denial, ...]:
    """Draw those of a seed: mostly none.

    Args:
        random: the seed's.
        calls: the functions, and a service that each calls.
        seconds: how long there are faults.
    """
    if random.random() < 0.75:
        return ()
    function, service = random.choice(calls)
    begins = random.uniform(0, seconds * 0.3)
    ends = begins + random.uniform(0.1, 0.5) * seconds
    return (Denial(function, service, begins, ends),)


def ramp_ups(random: Random, targets: Sequence[str], seconds: float) -> tuple[RampUp, ...]:
    """Draw those of a seed.

    Args:
        random: the seed's.
        targets: the names of the tables and of the bus.
        seconds: how long there are faults.
    """
    if random.random() < _ABSENT:
        return ()
    return tuple(
        RampUp(
            target,
            begins := random.uniform(0, seconds * 0.6),
            begins + random.uniform(0.1, 0.5) * seconds,
            random.choice((0.2, 0.5, 0.9)),
        )
        for target in targets
        if random.random() < 0.4
    )


@dataclass(frozen=True, slots=True)
class Outage:
    """For a while the card processor answers nobody."""

    begins: float
    ends: float


def outages(random: Random, seconds: float) -> tuple[Outage, ...]:
    """Draw those of a seed; one may last longer than there are other faults.

    Args:
        random: the seed's.
        seconds: how long there are other faults.
    """
    if random.random() < 0.5:
        return ()
    begins = random.uniform(0, seconds * 0.2)
    return (Outage(begins, begins + random.uniform(20, 900)),)


class Weather:
    """The faults of one run: how often each strikes, until they stop."""

    def __init__(
        self,
        random: Random,
        rates: dict[str, float],
        ramp_ups: Sequence[RampUp] = (),
        denials: Sequence[Denial] = (),
        outages: Sequence[Outage] = (),
    ) -> None:
        """Draw the weather of a seed.

        Args:
            random: the seed's.
            rates: how often each kind of fault strikes where the weather is moderate.
            ramp_ups: the seed's.
            denials: the seed's.
            outages: the seed's.
        """
        self._denials = denials
        self._outages = outages
        self._ramp_ups = ramp_ups
        self.struck: Counter[str] = Counter()
        self.calm = False
        self._random = random
        severity = random.choice(_SEVERITIES)
        self._rates = {
            kind: 0.0 if random.random() < _ABSENT else min(rate * severity, 0.9)
            for kind, rate in rates.items()
        }
        self._longest_delay = random.choice((5.0, 30.0, 200.0))
        self._longest_poll = random.choice((0.2, 2.0, 15.0))

    def strikes(self, kind: str) -> bool:
        """Whether this kind of fault happens now."""
        if self.calm or self._random.random() >= self._rates[kind]:
            return False
        self.struck[kind] += 1
        return True

    def refused_share(self, targets: Sequence[str], now: float) -> float:
        """What share of what they are asked those tables, or the bus, refuse for now."""
        if self.calm:
            return 0.0
        shares = [
            ramp_up.refused_share
            for ramp_up in self._ramp_ups
            if ramp_up.target in targets and ramp_up.begins <= now < ramp_up.ends
        ]
        return max(shares, default=0.0)

    def is_denied(self, function: str, service: str, now: float) -> bool:
        """Whether a function may not call a service for now."""
        denied = not self.calm and any(
            (denial.function, denial.service) == (function, service)
            and denial.begins <= now < denial.ends
            for denial in self._denials
        )
        self.struck[DENIED] += denied
        return denied

    def is_outage(self, now: float) -> bool:
        """Whether the card processor answers nobody now."""
        return any(outage.begins <= now < outage.ends for outage in self._outages)

    def skew(self, invocation: str) -> timedelta:
        """How wrong an invocation's clock is; the same whenever it is asked."""
        seconds = Random(invocation).uniform(-_MOST_SKEW_SECONDS, _MOST_SKEW_SECONDS)
        return timedelta(seconds=seconds)

    def latency(self) -> float:
        """How long a call takes when nothing is wrong."""
        return self._random.uniform(0.005, 0.05)

    def delay(self) -> float:
        """How long the bus takes to deliver an event."""
        if self.strikes(LATE_EVENT):
            return self._random.uniform(1, self._longest_delay)
        return self._random.uniform(0.02, 0.5)

    def poll(self) -> float:
        """How long a message waits for the next poll; while it does others join its batch."""
        return self._random.uniform(0.01, self._longest_poll)
