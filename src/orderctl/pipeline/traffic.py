"""Orders as a shop's customers place them: in waves, of several articles, some cancelled again."""

from __future__ import annotations

import math
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from orderctl.pipeline.api import NoAnswerError
from orderctl.pipeline.endings import Endings
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    from orderctl.pipeline.pipeline import Pipeline

PRICES: Final = {"demo-mug": 12.5, "demo-tea": 4.2, "demo-bowl": 18.9, "demo-lamp": 79.0}
"""What an article costs. The first is sold most."""
_WEIGHTS = (8, 6, 3, 1)
_DELIVERY = 60
"""How much of an article comes when little is left."""
_LITTLE = 10
_DELIVERED_AFTER_SECONDS = 8.0
_CUSTOMERS = 40
_CANCELLED_SHARE = 0.06
_CANCELLED_AFTER_SECONDS = (0.0, 1.0)
_WAVE_SECONDS = 90.0
_AT_ONCE = 16
_LOOK_SECONDS = 1.0
_ENDING_SECONDS = 15.0


class Traffic:
    """A shop's day, as long as it goes on."""

    def __init__(self, pipeline: Pipeline, per_second: float, seed: int | None = None) -> None:
        """Take the pipeline.

        Args:
            pipeline: where the orders go.
            per_second: how many orders there are a second, on average.
            seed: what decides who orders what; another one each time by default.
        """
        self._pipeline = pipeline
        self._per_second = per_second
        self._random = random.Random(seed)  # noqa: S311
        self._api = pipeline.api_client(_AT_ONCE)
        self._run = f"demo-{secrets.token_hex(3)}"
        self._number = 0
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}
        self.endings = Endings(pipeline.orders, ())
        """How the accepted orders have ended."""
        self.answers: Counter[str] = Counter()
        """How the API has answered, by status; or `no answer`."""
        self.cancels = 0
        """How many customers wanted to cancel."""
        self.deliveries: Counter[str] = Counter()
        """How much was put into stock, by article."""

    def run(self, look: Callable[[], None], seconds: float = math.inf) -> None:
        """Have customers order, and the shop put articles in stock.

        Args:
            look: called once a second.
            seconds: how long.

        Raises:
            ClientError, BotoCoreError: a call to AWS failed.
        """
        for sku in PRICES:
            if self._pipeline.stock.available().get(sku) is None:
                self._pipeline.stock.put(sku, _DELIVERY)
                self.deliveries[sku] += _DELIVERY
        began = time.monotonic()
        next_look = began
        with ThreadPoolExecutor(_AT_ONCE) as customers:
            try:
                while (now := time.monotonic()) - began < seconds:
                    if now >= next_look:
                        self._restock(now)
                        self._look()
                        look()
                        next_look = time.monotonic() + _LOOK_SECONDS
                    customers.submit(self._order, *self._draw())
                    time.sleep(self._random.expovariate(self._rate(now - began)))
            finally:
                customers.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        """Wait a little until the orders have ended that are on their way."""

        def look() -> bool:
            self._look()
            return not self.endings.open

        wait_until(look, poll_seconds=_LOOK_SECONDS, patience_seconds=_ENDING_SECONDS)

    @property
    def placed(self) -> int:
        """How many orders the API has accepted."""
        return self.answers[str(int(HTTPStatus.ACCEPTED))]

    def _rate(self, passed: float) -> float:
        """How many orders a second there are now: they come in waves, and sometimes in a rush."""
        wave = 1 + 0.7 * math.sin(2 * math.pi * passed / _WAVE_SECONDS)
        rush = 3 if passed % _WAVE_SECONDS > _WAVE_SECONDS * 0.9 else 1
        return self._per_second * wave * rush

    def _draw(self) -> tuple[dict[str, Any], float | None]:
        """The next order, and after how many seconds its customer cancels it, if at all."""
        draw = self._random
        self._number += 1
        skus = dict.fromkeys(draw.choices(tuple(PRICES), _WEIGHTS, k=draw.choice((1, 1, 1, 2, 3))))
        lines = {sku: draw.choice((1, 1, 1, 2, 3)) for sku in skus}
        order = {
            "order_id": f"{self._run}-{self._number}",
            "amount": round(sum(PRICES[sku] * count for sku, count in lines.items()), 2),
            "customer_id": f"customer-{draw.randint(1, _CUSTOMERS)}",
            "items": [{"sku": sku, "quantity": count} for sku, count in lines.items()],
        }
        cancels = draw.random() < _CANCELLED_SHARE
        return order, draw.uniform(*_CANCELLED_AFTER_SECONDS) if cancels else None

    def _order(self, order: dict[str, Any], cancelled_after: float | None) -> None:
        try:
            answer = str(self._api.place(order).status)
        except NoAnswerError:
            answer = "no answer"
        with self._lock:
            self.answers[answer] += 1
            if answer == str(int(HTTPStatus.ACCEPTED)):
                self.endings.open[order["order_id"]] = None
        if cancelled_after is not None:
            time.sleep(cancelled_after)
            with self._lock:
                self.cancels += 1
            try:
                self._api.cancel(order["order_id"])
            except NoAnswerError:
                return  # customers try once

    def _restock(self, now: float) -> None:
        """Order what runs out; it is delivered some seconds later."""
        available = self._pipeline.stock.available()
        for sku in PRICES:
            if available.get(sku, 0) <= _LITTLE:
                self._due.setdefault(sku, now + _DELIVERED_AFTER_SECONDS)
            if self._due.get(sku, math.inf) <= now:
                del self._due[sku]
                self._pipeline.stock.add(sku, _DELIVERY)
                self.deliveries[sku] += _DELIVERY

    def _look(self) -> None:
        with self._lock:
            self.endings.look()
