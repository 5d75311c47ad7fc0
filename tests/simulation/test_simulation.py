"""The handlers under seeded schedules of faults, and the proof that a fault of ours is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation import runner
from simulation.rooms import Sabotage, load
from simulation.sabotages import SABOTAGES, likely_seeds
from simulation.template import topology

SEEDS = 150
CHUNKS = 5
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_order_ends_and_the_books_balance(chunk: int) -> None:
    size = SEEDS // CHUNKS
    tally = runner.search(range(chunk * size, (chunk + 1) * size), runner.rooms())
    if failure := tally.failure:
        pytest.fail(f"seed {failure.seed}: {failure.violation}\n{failure.short_story}")
    assert tally.seeds == size
    assert tally.struck.total() > size, "a calm run proves little"


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_sabotage_is_noticed(sabotage: Sabotage) -> None:
    tally = runner.search(likely_seeds(sabotage), load(topology(), sabotage))
    assert tally.failure, f"not noticed in {tally.seeds} seeds"


def schedule(seed: int, hash_seed: str) -> bytes:
    """The whole schedule of a seed, from a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "simulation", "--seed", str(seed)],
        env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("seed", [7, 1154])
def test_a_seed_replays_byte_for_byte(seed: int) -> None:
    """1154 has sets of several orders in its plan."""
    first = schedule(seed, "1")
    assert len(first.splitlines()) > 50
    assert schedule(seed, "2") == first
