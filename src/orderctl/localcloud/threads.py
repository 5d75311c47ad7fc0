"""Threads that wait for functions, and are used again.

MiniStack 1.5.33 starts a thread for each invocation. Its reason holds here, too: a function calls
the server again, so an invocation must never wait for a thread that another one has. But to start
one stops the event loop until the thread runs, at each invocation. Here a thread that is free takes
the next invocation, and another is started only when none is free.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ministack.core import concurrency
from ministack.services import lambda_svc

from orderctl.localcloud import seams

# More than can be at work: a function's calls at once are bounded, and callers wait for others.
_MOST = 10_000

_pool = ThreadPoolExecutor(_MOST, thread_name_prefix="invocation")
_log = logging.getLogger(__name__)


def install() -> None:
    """Run invocations in these threads."""
    seams.replace_everywhere(concurrency, "run_reentrant", _run)
    seams.replace(lambda_svc, "spawn_background", start)


def start(function: Callable[..., Any], *arguments: Any, **_names: str) -> Future[None]:  # noqa: ANN401
    """Call a function in one of the threads, and log it when it fails."""
    return _pool.submit(contextvars.copy_context().run, _logged, function, *arguments)


def _logged(function: Callable[..., Any], *arguments: object) -> None:
    try:
        function(*arguments)
    except Exception:
        _log.exception("background work failed")


async def _run(function: Callable[..., Any], *arguments: Any, **_names: str) -> object:  # noqa: ANN401
    """Call a function in one of the threads, and wait for it, even if nobody waits any more."""
    context = contextvars.copy_context()
    call = asyncio.wrap_future(_pool.submit(context.run, function, *arguments))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait({call})
        raise
