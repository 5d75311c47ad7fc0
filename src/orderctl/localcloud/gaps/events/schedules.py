"""Schedules in the compressed time of the alarms.

MiniStack 1.5.33 looks every ten seconds which scheduled rules are due. Here a minute of an alarm
lasts ALARM_MINUTE_SECONDS (see alarms.py), and so does a minute of a rule's `rate(…)`: a function
that reports a metric once a minute would otherwise be silent for twenty of its alarm's periods.
A rule with `cron(…)` runs at its time of day.
"""

from ministack.services import eventbridge

from orderctl.localcloud import seams
from orderctl.localcloud.gaps.cloudwatch.alarms import ALARM_MINUTE_SECONDS

_LOOK_SECONDS = 0.5
_SECONDS_PER_MINUTE = 60


def install() -> None:
    """Make schedules run in compressed time."""
    real_seconds = seams.original(eventbridge, "_parse_rate_seconds")

    def compressed_seconds(expression: str) -> float | None:
        seconds: float | None = real_seconds(expression)
        return seconds and seconds / _SECONDS_PER_MINUTE * ALARM_MINUTE_SECONDS

    seams.replace(eventbridge, "_parse_rate_seconds", compressed_seconds)
    seams.replace(eventbridge, "_SCHEDULER_TICK_INTERVAL", _LOOK_SECONDS)
