"""Sends orders to the API, many at once or at a rate, and retries those that were not served."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError

from orderctl.pipeline import reading
from orderctl.pipeline.api import NoAnswerError, Reply
from orderctl.pipeline.order_files import Outgoing
from orderctl.waiting import wait_until

NO_ANSWER = "no answer"
_TRIES = 4
_FIRST_PAUSE_SECONDS = 0.5
_POLL_SECONDS = 0.01
# These say nothing about the order, so it is sent again; it takes effect once.
_NOT_SERVED = frozenset({429, 500, 502, 503, 504})
# How late the last order may be for the rate to count as kept.
_LATE_SECONDS = 0.1
_LATE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Try:
    """One call of the API."""

    answer: str
    """The status, or NO_ANSWER."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of sending one order."""

    order: Outgoing
    reply: Reply | None
    """The last answer; None when there was none."""
    tries: tuple[Try, ...]
    why: str
    """Why it was not accepted; empty when it was."""
    began: float
    """When it was first sent, in seconds since the start of the first order."""

    @property
    def taken(self) -> bool:
        """Whether the API accepted it."""
        return self.reply is not None and self.reply.status == HTTPStatus.ACCEPTED


@dataclass(slots=True)
class Result:
    """The results of the orders that were sent so far."""

    rate: float | None
    sent: list[Sent] = field(default_factory=list)
    open: int = 0
    """How many were sent and have no answer yet."""
    seconds: float = 0
    """From the first call to the last answer."""

    @property
    def taken(self) -> int:
        """How many orders the API accepted."""
        return sum(sent.taken for sent in self.sent)

    @property
    def achieved_rate(self) -> float | None:
        """How many orders were sent per second; None for fewer than two."""
        last = max((sent.began for sent in self.sent), default=0)
        return (len(self.sent) - 1) / last if last else None

    @property
    def rate_was_kept(self) -> bool:
        """Whether every order was sent on time, or nearly."""
        if self.rate is None or not self.sent:
            return True
        planned = (len(self.sent) - 1) / self.rate
        last = max(sent.began for sent in self.sent)
        return last - planned <= max(_LATE_SECONDS, planned * _LATE_SHARE)


class Sender:
    """Sends orders, each in a thread of its own."""

    def __init__(self, place: Callable[[bytes], Reply], at_once: int) -> None:
        """Create a sender.

        Args:
            place: posts an order's body, or raises NoAnswerError.
            at_once: how many orders may wait for an answer at the same time.
        """
        self._place = place
        self._at_once = at_once
        self._free = threading.Semaphore(at_once)
        self._broken_off = threading.Event()
        self._lock = threading.Lock()
        self._started = 0.0

    def send(self, orders: Iterable[Outgoing], result: Result, done: Callable[[], None]) -> None:
        """Send orders and wait for their answers, which are added to `result` as they come.

        Args:
            orders: the orders.
            result: gets the answers. Its `rate` is how many orders to send per second; None means
                as fast as they are answered.
            done: called after each order; must be quick.
        """
        self._started = time.monotonic()
        for number, order in enumerate(orders):
            if result.rate:
                time.sleep(max(self._started + number / result.rate - time.monotonic(), 0))
            self._free.acquire()
            with self._lock:
                result.open += 1
            work = (order, result, done)
            # Daemons, so that a missing answer does not keep the program from ending.
            threading.Thread(target=self._send, args=work, daemon=True).start()
        for _ in range(self._at_once):
            self._free.acquire()
        result.seconds = time.monotonic() - self._started

    def break_off(self, result: Result, patience_seconds: float) -> None:
        """Stop retrying, and wait a little for the answers that are still missing."""
        self._broken_off.set()
        wait_until(
            lambda: not result.open, patience_seconds=patience_seconds, poll_seconds=_POLL_SECONDS
        )
        result.seconds = time.monotonic() - self._started

    def _send(self, order: Outgoing, result: Result, done: Callable[[], None]) -> None:
        try:
            sent = self._until_served(order)
            with self._lock:
                result.sent.append(sent)
                done()
        finally:
            with self._lock:
                result.open -= 1
            self._free.release()

    def _until_served(self, order: Outgoing) -> Sent:
        """Post an order, and retry it while that may help."""
        began = time.monotonic() - self._started
        tries: list[Try] = []
        while True:
            called = time.monotonic()
            reply, why = None, ""
            try:
                reply = self._place(order.body)
            except NoAnswerError as error:
                why = str(error)
            except (
                BotoCoreError
            ) as error:  # it could not be signed, for example because the credentials expired
                return Sent(order, None, tuple(tries), str(error), began)
            answer = str(reply.status) if reply else NO_ANSWER
            tries.append(Try(answer, time.monotonic() - called))
            served = reply is not None and reply.status not in _NOT_SERVED
            pause = _FIRST_PAUSE_SECONDS * 2 ** (len(tries) - 1)
            if reply is not None and reply.retry_after is not None:
                pause = reply.retry_after
            if served or len(tries) == _TRIES or self._broken_off.wait(pause):
                return Sent(order, reply, tuple(tries), why or refusal(reply), began)


def refusal(reply: Reply | None) -> str:
    """Why an order was not accepted, in the API's words; empty when it was."""
    if reply is None or reply.status == HTTPStatus.ACCEPTED:
        return ""
    body: dict[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    faults = [
        f"{fault.get('field')}: {fault.get('detail')}" for fault in reading.maps(body.get("errors"))
    ]
    said = "; ".join(faults) or body.get("detail") or body.get("message") or body.get("title")
    return f"{reply.status}: {said}" if said else str(reply.status)


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long answers took, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latencies:
        """The summary of at least one answer; a percentile is one of the values (nearest rank)."""
        ordered = sorted(seconds)

        def percentile(share: float) -> float:
            return ordered[math.ceil(share * len(ordered)) - 1]

        return cls(len(ordered), percentile(0.5), percentile(0.95), percentile(0.99), ordered[-1])


def latencies(sent: Sequence[Sent]) -> dict[str, Latencies]:
    """The latencies of all calls by answer, the most frequent answer first."""
    counts = Counter(each.answer for order in sent for each in order.tries)
    return {
        answer: Latencies.of(
            [t.seconds for order in sent for t in order.tries if t.answer == answer]
        )
        for answer, _ in counts.most_common()
    }
