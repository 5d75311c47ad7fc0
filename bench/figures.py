"""Numbers as they are told."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

Told = Callable[[int, int], None]
"""Is told how much of a long work is done, and how much there is."""


def spread(samples: Sequence[float]) -> dict[str, float]:
    """The median of some samples, between the least and the most of them."""
    return {
        "median": round(statistics.median(samples), 4),
        "min": round(min(samples), 4),
        "max": round(max(samples), 4),
        "samples": len(samples),
    }


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample that a share of all do not exceed."""
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
