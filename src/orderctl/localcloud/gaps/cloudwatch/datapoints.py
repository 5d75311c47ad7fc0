"""Metrics stay quick to read, however much is counted.

MiniStack 1.5.33 keeps a datapoint for everything that a service counts: four for each invocation.
It goes through all of them, of two weeks, for each call of CloudWatch. On AWS they are added up by
the minute, or by the second for a metric of high resolution ("Metrics concepts", CloudWatch user
guide). Here equal values that come within half a second are one datapoint with a count, and the
old ones are looked for once a minute.
"""

import time

from ministack.services import cloudwatch

from orderctl.localcloud import seams

_ONE_SECONDS = 0.5
_LOOKED_FOR_SECONDS = 60.0


def install() -> None:
    """Add up, and look for what is old more seldom."""
    evict = seams.original(cloudwatch, "_evict_old_metrics")
    looked = [time.monotonic()]

    def evict_once_a_minute() -> None:
        if time.monotonic() - looked[0] > _LOOKED_FOR_SECONDS:
            looked[0] = time.monotonic()
            evict()

    seams.replace(cloudwatch, "_evict_old_metrics", evict_once_a_minute)
    seams.replace(cloudwatch, "record_metric", record)


def record(
    namespace: str,
    metric_name: str,
    value: float,
    unit: str = "None",
    dimensions: dict[str, str] | None = None,
) -> None:
    """Keep a datapoint of a service's own metric."""
    dims, now = dict(dimensions or {}), time.time()
    points = cloudwatch._metric_bucket((namespace, metric_name, cloudwatch._dims_key(dims)))
    new = {"Value": float(value), "Unit": unit, "Dimensions": dims}
    if points and now - points[-1]["Timestamp"] < _ONE_SECONDS:
        last = points[-1]
        if new == {name: last.get(name) for name in new} and "_stat" not in last:
            last["Count"] = last.get("Count", 1.0) + 1.0
            return
    points.append({"Timestamp": now, **new})
