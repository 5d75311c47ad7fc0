"""The ids of log events.

MiniStack 1.5.33 gives the lines of functions no event id. FilterLogEvents has one for every event
on AWS (`FilteredLogEvent`, CloudWatch Logs API reference), and `aws logs tail --follow` breaks off
without it: it is how it knows which lines it has shown.
"""

import itertools
from typing import Any

from ministack.services import cloudwatch_logs

from orderctl.localcloud import seams

_numbers = itertools.count()


def install() -> None:
    """Number every log event where it is stored."""
    append = seams.original(cloudwatch_logs, "_append_log_events")

    def append_numbered(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        for event in events:
            # 56 digits, as on AWS: the time, then what makes it unique.
            event.setdefault("eventId", f"{event['timestamp']:020}{next(_numbers):036}")
        append(stream, events)

    seams.replace(cloudwatch_logs, "_append_log_events", append_numbered)
