"""The ids of log events, and what a function's runtime logs.

MiniStack 1.5.33 gives the lines of functions no event id. FilterLogEvents has one for every event
on AWS (`FilteredLogEvent`, CloudWatch Logs API reference), and `aws logs tail --follow` breaks off
without it: it is how it knows which lines it has shown.

Nor does it log anything about a function that cannot be loaded. On AWS the runtime does, as
`[ERROR] Runtime.ImportModuleError: Unable to import module '…': …`, and that is the error the
caller gets ("Troubleshoot deployment issues in Lambda", Lambda developer guide). The seam is the
function that runs Python: its result has the log, and the error.
"""

import itertools
from typing import Any

from ministack.services import cloudwatch_logs, lambda_svc

from orderctl.localcloud import seams

_numbers = itertools.count()
_NOT_LOADED = "Worker init failed: "  # as MiniStack puts it


def install() -> None:
    """Number every log event where it is stored, and log why a function was not loaded."""
    append = seams.original(cloudwatch_logs, "_append_log_events")

    def append_numbered(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        for event in events:
            # 56 digits, as on AWS: the time, then what makes it unique.
            event.setdefault("eventId", f"{event['timestamp']:020}{next(_numbers):036}")
        append(stream, events)

    execute = seams.original(lambda_svc, "_execute_function_warm")

    def execute_or_tell(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = execute(function, event, request_id)
        error = result.get("body")
        message = error.get("errorMessage") if isinstance(error, dict) else None
        if not result.get("error") or not str(message).startswith(_NOT_LOADED):
            return result
        return result | _load_failure(function, str(message).removeprefix(_NOT_LOADED))

    seams.replace(cloudwatch_logs, "_append_log_events", append_numbered)
    seams.replace(lambda_svc, "_execute_function_warm", execute_or_tell)


def _load_failure(function: dict[str, Any], reason: str) -> dict[str, Any]:
    """What the runtime answers and logs when it cannot load a function."""
    module = (function.get("config") or function)["Handler"].rpartition(".")[0]
    message, kind = reason, "Runtime.InitError"
    if reason.startswith("No module named"):
        message = f"Unable to import module '{module}': {reason}"
        kind = "Runtime.ImportModuleError"
    return {
        "body": {"errorMessage": message, "errorType": kind},
        "log": f"[ERROR] {kind}: {message}",
    }
