"""Summaries of samples, and the type of progress callbacks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

Progress = Callable[[int, int], None]
"""Called with how much of a long task is done, and how much there is."""


def spread(samples: Sequence[float]) -> dict[str, float]:
    """The median, minimum and maximum of some samples."""
    return {
        "median": round(statistics.median(samples), 4),
        "min": round(min(samples), 4),
        "max": round(max(samples), 4),
        "samples": len(samples),
    }


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample that a share of all samples does not exceed."""
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
