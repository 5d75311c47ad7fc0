"""Every execution of a function: how many at once, their metrics and their request ids.

MiniStack 1.5.33 starts a process for every call that finds no idle one. On AWS that is right; on
one machine a burst of a thousand events would be a thousand processes. So of a function's calls
twice as many run at once as the machine has cores, as they mostly wait for an answer of AWS, and
the others wait. What waits holds no part of the account's concurrency yet: that is what runs, and a
burst for one function must not throttle another. Batches wait where they are not batches yet: on
the queue, where more messages join them. Taken off it too early, a burst becomes a row of batches
of one.

MiniStack 1.5.33 publishes Invocations, Errors, Duration and Throttles only for calls of the
Invoke API, once per asynchronous call however often it is tried, and counts a throttled call as
an invocation. AWS ("Types of metrics for Lambda functions", Lambda developer guide) counts every
execution, those for event source mappings, EventBridge and API Gateway too, and no throttled call.
ConcurrentExecutions, how many run at once, is not published at all.

All executions pass three functions of MiniStack: the one that takes the call, where it waits, the
one that finds room for it, and the one that runs it. The metrics are taken in the last two and
nowhere else. The request id is added to the result, for
the records of asynchronous invocations.
"""

import os
import threading
import time
from collections import defaultdict
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from orderctl.localcloud import seams

BATCHES_AT_ONCE = max(2, os.cpu_count() or 1)
"""How many batches of one event source mapping are taken off their queue at once."""
AT_ONCE = 2 * BATCHES_AT_ONCE
"""How many calls of one function run at once."""

_places: defaultdict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(AT_ONCE))


def install() -> None:
    """Observe every execution of a function, and bound how many there are at once."""
    execute = seams.original(lambda_svc, "_execute_function")
    acquire = seams.original(lambda_svc, "_acquire_execution_slot")
    run = seams.original(lambda_svc, "_execute_function_dispatch")
    allowed = seams.original(lambda_svc, "_sqs_esm_concurrency")

    def execute_in_turn(function: dict[str, Any], event: object) -> dict[str, Any]:
        configuration = function.get("config") or function
        if lambda_svc._function_config_scope_mismatch(configuration):
            result: dict[str, Any] = execute(function, event)  # comes back here in its own scope
        else:
            with _places[configuration["FunctionArn"]]:
                result = execute(function, event)
        return result

    def acquire_observed(function: dict[str, Any], configuration: dict[str, Any]) -> object:
        slot, limit = acquire(function, configuration)
        _record(configuration, "Throttles", int(slot is None), "Count")
        running = lambda_svc._inflight.get(lambda_svc._inflight_key(configuration), 0)
        _record(configuration, "ConcurrentExecutions", running, "Count")
        return slot, limit

    def run_observed(
        function: dict[str, Any],
        configuration: dict[str, Any],
        event: object,
        request_id: str,
        _called: float,
    ) -> dict[str, Any]:
        started = time.time()
        result: dict[str, Any] = run(function, configuration, event, request_id, started)
        milliseconds = (time.time() - started) * 1000
        _record(configuration, "Invocations", 1, "Count")
        _record(configuration, "Errors", int(bool(result.get("error"))), "Count")
        _record(configuration, "Duration", milliseconds, "Milliseconds")
        return result | {"requestId": request_id}

    seams.replace(lambda_svc, "_execute_function", execute_in_turn)
    seams.replace(lambda_svc, "_acquire_execution_slot", acquire_observed)
    seams.replace(lambda_svc, "_execute_function_dispatch", run_observed)
    seams.replace(lambda_svc, "_emit_lambda_metrics", lambda *_, **__: None)
    seams.replace(
        lambda_svc, "_sqs_esm_concurrency", lambda *of: min(allowed(*of), BATCHES_AT_ONCE)
    )


def _record(configuration: dict[str, Any], metric: str, value: float, unit: str) -> None:
    dimensions = {"FunctionName": configuration["FunctionName"]}
    cloudwatch.record_metric("AWS/Lambda", metric, value, unit, dimensions)
