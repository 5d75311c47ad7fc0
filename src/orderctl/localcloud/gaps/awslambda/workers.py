"""The processes that run Python functions: when an invocation is over, and what its log is.

MiniStack 1.5.33 does not know where the log of an invocation ends. After each it looks for more
every millisecond, for 5 to 250 of them, in a thread beside the two that wait for the response and
for the log. So an invocation takes longer than the function, a line that is written late belongs to
the next one, and a burst is mostly such looking. It also ends the process of a function that
raised.

On AWS an invocation is over when the runtime asks for the next, and what was logged until then is
its log; an environment whose handler raised is used again, one that timed out or exited is not
("Understanding the Lambda execution environment lifecycle", Lambda developer guide). Here the
process marks the end of each invocation's log, and the thread of the caller reads response and log
alike.
"""

import contextlib
import json
import os
import select
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ministack.core import lambda_runtime

from orderctl.localcloud import seams, traces

_END = "\x00end\x00\n"
_MARK = f"sys.stderr.write({_END!r}); sys.stderr.flush()\n"
_LOADED = '        _real_stdout.write(json.dumps({"status": "ready"'
_ANSWERED = "        _real_stdout.flush()\n\nrun()"
_CHUNK = 65536
_SOON_SECONDS = 0.05


class _DiedError(Exception):
    """The process ended before the invocation did."""


def install() -> None:
    """Run Python functions in these processes."""
    script = str(seams.original(lambda_runtime, "_PYTHON_WORKER_SCRIPT"))
    other_class = seams.original(lambda_runtime, "_worker_class_for")

    def worker_class(configuration: dict[str, Any]) -> object:
        if str(configuration.get("Runtime", "python")).startswith("python"):
            return _Worker
        return other_class(configuration)

    for place in (_LOADED, _ANSWERED):
        script = _marked(script, place)
    seams.replace(lambda_runtime, "_PYTHON_WORKER_SCRIPT", script)
    seams.replace(lambda_runtime, "_worker_class_for", worker_class)


def _marked(script: str, place: str) -> str:
    """MiniStack's program of the process, which marks the end of the log before `place`."""
    before, found, after = script.partition(place)
    if not found:
        raise RuntimeError("MiniStack's program for Python functions is another one")
    return f"{before}        {_MARK}{found}{after}"


@dataclass
class _Output:
    """What a process has written since it was asked, read as it comes."""

    process: Any  # a Popen; MiniStack has no types
    log: bytearray
    _answer: bytearray = field(default_factory=bytearray)

    def wait(self, deadline: float) -> dict[str, Any]:
        """The response, when the log is complete too.

        Raises:
            TimeoutError: It was not there at the deadline.
            _DiedError: The process ended.
        """
        response, log = self.process.stdout.fileno(), self.process.stderr.fileno()
        buffers = {response: self._answer, log: self.log}
        # A line of the log wakes nobody while the response may come soon, with the rest of the log.
        _readable([response], min(deadline, time.monotonic() + _SOON_SECONDS))
        while (answer := _response(self._answer)) is None or _END.encode() not in self.log:
            ready = _readable(buffers, deadline)
            if not ready:
                raise TimeoutError
            for descriptor in ready:
                data = os.read(descriptor, _CHUNK)
                buffers[descriptor] += data
                if not data:
                    del buffers[descriptor]
            if not buffers:
                raise _DiedError
        return answer


def _readable(descriptors: Iterable[int], deadline: float) -> list[int]:
    """Those that can be read; none if there is none until the deadline."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    milliseconds = max(0.0, deadline - time.monotonic()) * 1000
    return [descriptor for descriptor, _ in poll.poll(milliseconds)]


def _response(answer: bytearray) -> dict[str, Any] | None:
    """The response among the lines that were written; a function may have written others."""
    for line in answer.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            response = json.loads(line)
            if isinstance(response, dict) and response.get("status") in {"ok", "error"}:
                return response
    return None


class _Worker(lambda_runtime.Worker):  # type: ignore[misc]
    """MiniStack's process for a Python function, with one invocation at a time."""

    _proc: Any

    def __init__(self, *of: object) -> None:
        super().__init__(*of)
        self._rest = bytearray()

    def _read_stderr(self) -> None:
        """Read the log of the function while it is loaded; MiniStack calls it in a thread."""
        log = bytearray()
        while _END.encode() not in log:
            data = os.read(self._proc.stderr.fileno(), _CHUNK)
            if not data:
                break
            log += data
        self._rest = log.replace(_END.encode(), b"")

    def invoke(
        self,
        event: object,
        request_id: str,
        *,
        trace_id: str | None = None,
        depth: object = None,
        durable: dict[str, Any] | None = None,
        invoked_function_arn: str | None = None,
    ) -> dict[str, Any]:
        """Call the function, and tell what it answered and logged."""
        timeout = float(self.config.get("Timeout", 3))
        context = {
            "request_id": request_id,
            "invoked_function_arn": invoked_function_arn or self.config.get("FunctionArn", ""),
            "timeout_ms": int(timeout * 1000),
            "trace_id": trace_id,
            "depth": depth,
            "durable": durable or {},
        }
        with self._lock:
            cold = self._proc is None or self._proc.poll() is not None
            if cold:
                self._spawn()
                self._stderr_thread.join()
                traces.loaded()
            output = _Output(self._proc, self._rest)
            try:
                response = self._ask(output, {"event": event, "ctx": context}, timeout)
            except (TimeoutError, _DiedError, OSError) as failure:
                self._end()
                error = "Worker process died"
                if isinstance(failure, TimeoutError):
                    error = f"Task timed out after {timeout:.2f} seconds"
                response = {"status": "error", "error": error}
            log, _, self._rest = output.log.partition(_END.encode())
        text = log.decode(errors="replace").rstrip("\n")
        return response | {"cold_start": cold, "log": text}

    @staticmethod
    def _ask(output: _Output, envelope: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Send an invocation to the process and wait for its end."""
        deadline = time.monotonic() + timeout
        output.process.stdin.write(json.dumps(envelope) + "\n")
        output.process.stdin.flush()
        return output.wait(deadline)

    def _end(self) -> None:
        """End the process; the next invocation starts another."""
        process, self._proc = self._proc, None
        lambda_runtime._signal(process)
        lambda_runtime._collect(process, time.monotonic() + lambda_runtime._REAP_GRACE)
