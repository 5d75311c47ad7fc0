"""What a function's running executions see of an update of its code or configuration: nothing.

MiniStack 1.5.33 kills every process of a function that is updated, those at work included, and
when one of them dies, all the others with it. A caller gets a 502, and a queue's messages are
back only after their visibility timeout.

On AWS an execution that has begun goes on in its environment, with the old code; later ones find
the new ("Lambda execution environment lifecycle", Lambda developer guide).

The seam is MiniStack's function that forgets a function's processes. It forgets all of them, as
before, but those at work are ended only when they are done, or their function's timeout is over.
"""

import threading
import time
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from orderctl.localcloud import seams

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 1.0

# What is at work with old code.
_retired: list[Any] = []


def install() -> None:
    """Let running executions end by themselves."""
    forget = seams.original(lambda_svc, "invalidate_worker")
    reset = seams.original(lambda_runtime, "reset")

    def forget_and_let_end(
        func_name: str,
        qualifier: str | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> None:
        selector = (account, region, func_name, qualifier)
        for worker in _take_busy(selector):
            threading.Thread(target=_end, args=(worker,), daemon=True, name="old-code").start()
        forget(func_name, qualifier=qualifier, account=account, region=region)

    def reset_all() -> None:
        reset()
        lambda_runtime.kill_workers(list(_retired))

    seams.replace(lambda_svc, "invalidate_worker", forget_and_let_end)
    seams.replace(lambda_runtime, "reset", reset_all)


def _take_busy(selector: tuple[str | None, ...]) -> list[Any]:
    """Take the processes that are at work out of MiniStack's hands.

    Args:
        selector: Account, region, function and version; None matches any.
    """
    taken = []
    with lambda_runtime._lock:
        for key, workers in lambda_runtime._workers.items():
            if all(w in {None, part} for w, part in zip(selector, key.split(":"), strict=True)):
                taken += [worker for worker in workers if _is_at_work(worker)]
                workers[:] = [worker for worker in workers if worker not in taken]
        _retired.extend(taken)
    return taken


def _is_at_work(worker: Any) -> bool:  # noqa: ANN401 - MiniStack has no types
    starting = worker._proc is None
    return worker.in_use and (starting or worker._proc.poll() is None)


def _end(worker: Any) -> None:  # noqa: ANN401
    """End a process when its execution is over."""
    deadline = time.monotonic() + worker.config.get("Timeout", 3) + _GRACE_SECONDS
    while _is_at_work(worker) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    lambda_runtime.kill_workers([worker])
    _retired.remove(worker)
