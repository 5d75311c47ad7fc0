"""One function in a process of its own, as Lambda runs it: made once, invoked again and again.

Reads orders of the bench from standard input and answers on standard output, a JSON text a line
each. What the function itself prints goes to a file and is counted.
"""

from __future__ import annotations

import cProfile
import importlib
import json
import os
import pstats
import resource
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

# Lambda's queues know no status; 409 is how an API may answer the same call again.
_FINE: Final = (0, 202, 409)
_CALLS: Final = (("botocore/client.py", "_make_api_call"), ("orders/aws/wire/client.py", "call"))
"""Where the clients begin a call: the SDK's and the lean one's."""

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass
class _Context:
    """Lambda's context object."""

    function_name: str
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    memory_limit_in_mb: str = "256"
    function_version: str = "$LATEST"

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _invoke(handler: Handler, events: list[dict[str, Any]], log: int) -> dict[str, Any]:
    """Invoke the function with one event after the other, and say what that took."""
    contexts = [_Context(os.environ["AWS_LAMBDA_FUNCTION_NAME"]) for _ in events]
    logged = os.fstat(log).st_size
    cpu, wall = _cpu(), time.perf_counter()
    answers = [handler(event, context) for event, context in zip(events, contexts, strict=True)]
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    sys.stdout.flush()
    failed = [answer for answer in answers if _is_failure(answer)]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(answers)} invocations failed: {failed[0]}")
    return {
        "cpu": cpu,
        "wall": wall,
        "logged": os.fstat(log).st_size - logged,
        "lines": _lines(log, logged),
        "peak_megabytes": _peak(),
    }


def _lines(log: int, start: int) -> int:
    return os.pread(log, os.fstat(log).st_size - start, start).count(b"\n")


def _peak() -> float:
    """The most memory this process has used; what it was forked from does not count."""
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1024


def _is_failure(answer: object) -> bool:
    if not isinstance(answer, dict):
        return False
    return bool(answer.get("batchItemFailures")) or answer.get("statusCode", 0) not in _FINE


def _profiled(handler: Handler, events: list[dict[str, Any]], log: int) -> dict[str, Any]:
    """The same under the profiler: how much of the time the client's calls take."""
    profile = cProfile.Profile()
    profile.enable()
    _invoke(handler, events, log)
    profile.disable()
    stats: dict[tuple[str, int, str], Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    in_client = sum(
        cumulative
        for (path, _, name), (_, _, _, cumulative, _) in stats.items()
        if any(path.endswith(file) and name == function for file, function in _CALLS)
    )
    return {"total": total, "client": in_client}


def main() -> None:
    """Take orders until standard input is closed."""
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as file:
        log = file.fileno()
        os.dup2(log, 1)
        # Powertools warns of each invocation without a metric; that costs both versions nothing.
        warnings.filterwarnings("ignore", module="aws_lambda_powertools")
        handler: Handler = importlib.import_module(sys.argv[1]).handler
        for line in sys.stdin:
            order = json.loads(line)
            run = _profiled if order["profiled"] else _invoke
            answers.write(json.dumps(run(handler, order["events"], log)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
