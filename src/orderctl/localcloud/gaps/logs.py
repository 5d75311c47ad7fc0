"""The ids of log events, what a function's runtime logs, and what Lambda itself logs.

MiniStack 1.5.33 gives the lines of functions no event id. FilterLogEvents has one for every event
on AWS (`FilteredLogEvent`, CloudWatch Logs API reference), and `aws logs tail --follow` breaks off
without it: it is how it knows which lines it has shown.

Nor does it log anything about a function that cannot be loaded. On AWS the runtime does, as
`[ERROR] Runtime.ImportModuleError: Unable to import module '…': …`, and that is the error the
caller gets ("Troubleshoot deployment issues in Lambda", Lambda developer guide). The seam is the
function that runs Python: its result has the log, and the error.

And it knows START, END and REPORT only. With LogFormat JSON Lambda logs events of the Telemetry API
instead, those at SystemLogLevel and above ("Log-level filtering" in the same guide, "System log
level event mapping"). What a Python function prints is logged as it is ("Printing to the log").
"""

import itertools
import json
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from ministack.services import cloudwatch_logs, lambda_svc

from orderctl.localcloud import seams

_numbers = itertools.count()
_NOT_LOADED = "Worker init failed: "  # as MiniStack puts it
_LEVELS: Final = ("DEBUG", "INFO", "WARN")
_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%f"

_Event = dict[str, Any]
_Invocation = tuple[dict[str, Any], str, bool, int]
"""The function's configuration, the request id, whether it failed, and its milliseconds."""
_logged: ContextVar[_Invocation | None] = ContextVar("_logged", default=None)
"""The invocation whose log is being written."""


def install() -> None:
    """Number every log event where it is stored, and log why a function was not loaded."""
    append = seams.original(cloudwatch_logs, "_append_log_events")

    def append_numbered(stream: dict[str, Any], events: list[_Event]) -> None:
        if invocation := _logged.get():
            events = list(_as_json(events, *invocation))
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

    emit = seams.original(lambda_svc, "_emit_lambda_logs")

    def emit_in_its_format(
        function: dict[str, Any],
        request_id: str,
        text: str,
        error: bool,
        milliseconds: int,
        **source: str | None,
    ) -> None:
        config = function.get("config") or function
        invocation = config, request_id, error, milliseconds
        is_json = config.get("LoggingConfig", {}).get("LogFormat") == "JSON"
        token = _logged.set(invocation if is_json else None)
        try:
            emit(function, request_id, text, error, milliseconds, **source)
        finally:
            _logged.reset(token)

    seams.replace(lambda_svc, "_emit_lambda_logs", emit_in_its_format)
    seams.replace(cloudwatch_logs, "_append_log_events", append_numbered)
    seams.replace(lambda_svc, "_execute_function_warm", execute_or_tell)


def _as_json(
    events: list[_Event],
    config: dict[str, Any],
    request_id: str,
    failed: bool,
    milliseconds: int,
) -> Iterator[_Event]:
    """The lines of an invocation, with Lambda's own ones as events of the Telemetry API."""
    _, *own, _, report = events
    used = int(report["message"].rpartition("Max Memory Used: ")[2].removesuffix(" MB"))
    metrics = {
        "durationMs": milliseconds,
        "billedDurationMs": milliseconds,
        "memorySizeMB": config.get("MemorySize", 128),
        "maxMemoryUsedMB": used,
    }
    status = "error" if failed else "success"
    least = _LEVELS.index(config["LoggingConfig"].get("SystemLogLevel", "INFO"))

    def platform(kind: str, level: str, **facts: object) -> Iterator[_Event]:
        if _LEVELS.index(level) >= least:
            at = datetime.fromtimestamp(report["timestamp"] / 1000, UTC)
            event = {
                "time": f"{at.strftime(_FORMAT)[:-3]}Z",
                "type": f"platform.{kind}",
                "record": {"requestId": request_id, **facts},
            }
            yield {**report, "message": json.dumps(event)}

    yield from platform("start", "INFO", version=config.get("Version", "$LATEST"))
    yield from own
    yield from platform("runtimeDone", "WARN" if failed else "DEBUG", status=status)
    yield from platform("report", "WARN" if failed else "INFO", status=status, metrics=metrics)


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
