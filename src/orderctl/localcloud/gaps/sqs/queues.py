"""One thread, the event loop's, is the only one that touches a queue's messages.

MiniStack 1.5.33 keeps a queue's messages in a list, and receives, deletes and redrives by
replacing it with a filtered copy. The event loop does so for the API, without a lock; the threads
of event source mappings do it under one. Where both filter at once, the later assignment undoes
the earlier: what was sent in between is lost, what was deleted comes back. SQS loses nothing
("Amazon SQS standard queues: at-least-once delivery", SQS developer guide).

Every function of MiniStack that touches messages in another thread is therefore run on the event
loop, while its thread waits. None of them blocks: a pass of the mappings' poller only takes
messages and starts threads for their functions. A call from the event loop itself runs at once.
"""

import asyncio
import contextvars
import hashlib
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ministack import app as ministack_app
from ministack.core.concurrency import esm_wake
from ministack.services import eventbridge, lambda_svc, s3, sns, sqs

from orderctl.localcloud import seams

_TOUCHING_MESSAGES = (
    (lambda_svc, "_poll_sqs"),  # the poller's pass over the SQS mappings
    (sqs, "_delete_messages_for_esm"),  # when a batch's function has returned
    (lambda_svc, "_send_ddb_stream_failure_record"),
    (eventbridge, "_invoke_target"),  # schedules run in a thread
    (sns, "_deliver_to_sqs"),  # publications of other services
    (s3, "_deliver_event_to_sqs"),
)


def install() -> None:
    """Move every function that touches messages to the event loop."""
    for module, name in _TOUCHING_MESSAGES:
        seams.replace(module, name, _on_the_loop(seams.original(module, name)))


def put(
    queue: dict[str, Any],
    body: str,
    *,
    attributes: dict[str, Any] | None = None,
    system_attributes: dict[str, str] | None = None,
    group_id: str | None = None,
    deduplication_id: str | None = None,
) -> None:
    """Put a new message on a queue, as a service does; on the event loop only.

    A FIFO queue does not look for duplicates of such a message.
    """
    now = time.time()
    message = {
        "id": str(uuid.uuid4()),
        "body": body,
        "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "message_attributes": attributes or {},
        "sent_at": now,
        "visible_at": now + sqs.queue_delay(queue),
        "sys": {"SentTimestamp": str(int(now * 1000))} | (system_attributes or {}),
        "group_id": group_id,
        "dedup_id": deduplication_id,
    }
    if queue["is_fifo"]:
        queue["fifo_seq"] += 1
        message["seq"] = str(queue["fifo_seq"]).zfill(20)
    sqs._ensure_msg_fields(message)
    queue["messages"].append(message)
    esm_wake.set()


def _on_the_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, run on the event loop wherever it is called from."""

    def call(*arguments: object, **named: object) -> object:
        loop = ministack_app._MAIN_LOOP
        if loop is None or loop is _running_loop():
            return function(*arguments, **named)
        future: Future[object] = Future()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                future.set_result(context.run(function, *arguments, **named))
            except Exception as error:
                future.set_exception(error)

        loop.call_soon_threadsafe(run)
        return future.result()

    return call


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
