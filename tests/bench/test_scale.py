"""The page about scale tells what the command says, and the burst is a model of queues."""

from __future__ import annotations

import pytest

from bench import burst, scale
from bench.timeline import Timeline


def test_has_the_tables_of_the_command() -> None:
    text = scale.PAGE.read_text(encoding="utf-8")
    assert scale.filled(text) == text, "run: .venv/bin/python -m bench.scale"


def test_the_burst_s_table_is_put_between_its_marks() -> None:
    text = "before\n<!-- burst -->\n| old |\n<!-- end -->\nafter\n"
    table = burst.filled(text, [("a", "b"), ("1", "2")])
    assert table == (
        "before\n<!-- burst -->\n| a | b |\n| ---: | ---: |\n| 1 | 2 |\n<!-- end -->\nafter\n"
    )


@pytest.mark.parametrize(
    ("executions", "batch_size", "window", "ended", "invocations", "longest"),
    [
        (1, 1, 0.0, 10.0, 10, 9),  # one after the other, the first of them at once
        (10, 1, 0.0, 1.0, 10, 1),
        (1, 10, 0.0, 2.0, 2, 9),  # the first one alone, then what has come meanwhile
        (1, 10, 5.0, 1.0, 1, 10),  # full before the window is over
        (1, 20, 5.0, 6.0, 1, 10),  # the window, then all of them
    ],
)
def test_executions_take_what_waits(
    *,
    executions: int,
    batch_size: int,
    window: float,
    ended: float,
    invocations: int,
    longest: int,
) -> None:
    timeline, done = Timeline(), list[int]()
    station = burst.Station(timeline, executions, batch_size, window, lambda _size: 1.0)
    station.done = done.append
    for order in range(10):
        station.send(order)
    timeline.run_until(lambda: len(done) == 10)
    assert done == list(range(10))
    assert (timeline.seconds, station.invocations) == (ended, invocations)
    assert station.longest == longest


def test_every_order_of_a_burst_ends_after_both_of_its_outcomes() -> None:
    result = burst.play(200, 1.0, 1, batch_size=10, window=0.0, charge_ms=10.0)
    # Payments takes the time: 200 orders of 10 ms, one after the other, and the bus three times.
    assert len(result.latencies) == 200
    assert result.ended >= 0.5 + 200 * 0.01 + 0.5
    assert result.latencies[0] >= 1.0
