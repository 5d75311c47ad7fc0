"""The strict rules of partial batch responses, for SQS event source mappings.

MiniStack 1.5.33 takes whatever identifiers it finds in `batchItemFailures` and deletes every
other message of the batch: a null identifier, a misspelt key or an unknown identifier confirms
messages that failed, and a null list raises a TypeError in a thread.

AWS ("Implementing partial batch responses", section "Success and failure conditions", Lambda
developer guide) takes a batch as a whole success for an empty or null response and for an empty
or null `batchItemFailures`, and as a whole failure for a response that is not a JSON object, for
an identifier that is empty, null, missing (a misspelt key) or not in the batch, and for an
exception. Only then do single identifiers count.

The seam is the function that runs one batch, replaced as a whole: it is where MiniStack applies
its own rules. A mapping whose whole batch failed pauses for a second, as in MiniStack.
"""

import logging
import time
from collections.abc import Collection
from typing import Any

from ministack.services import lambda_svc, sqs

from orderctl.localcloud import seams
from orderctl.localcloud.traces import TRACES

_log = logging.getLogger(__name__)


class _BatchFailedError(Exception):
    """No message of the batch counts as processed."""


def install() -> None:
    """Make SQS event source mappings follow the rules."""
    seams.replace(lambda_svc, "_run_sqs_batch", _run_batch)


def _run_batch(  # noqa: PLR0917 - MiniStack's signature
    mapping: dict[str, Any],
    function: dict[str, Any],
    event: dict[str, Any],
    batch: list[dict[str, Any]],
    queue_url: str,
    queue_name: str,
) -> None:
    # The receipt handles of this receive: a message that outlives its visibility timeout while the
    # function runs is received anew, and is then no longer this batch's to delete.
    handles = {message["id"]: message["receipt_handle"] for message in batch}
    result = lambda_svc._execute_function(function, event)
    reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or [])
    try:
        failed = _failed_messages(result, handles.keys(), reports=reports)
    except _BatchFailedError as reason:
        TRACES.fail(result.get("requestId", ""), handles.keys())
        mapping["LastProcessingResult"] = "FAILED"
        pause = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
        lambda_svc._esm_backoff_until[mapping["UUID"]] = pause
        _log.warning("%s failed on a batch from %s: %s", mapping["FunctionArn"], queue_name, reason)
        return
    TRACES.fail(result.get("requestId", ""), failed)
    sqs._delete_messages_for_esm(
        queue_url, {handle for message, handle in handles.items() if message not in failed}
    )
    mapping["LastProcessingResult"] = f"OK - {len(batch) - len(failed)} of {len(batch)} records"


def _failed_messages(result: dict[str, Any], batch: Collection[str], *, reports: bool) -> set[str]:
    """The messages of a batch that failed.

    Args:
        result: What MiniStack says about the call of the function.
        batch: The identifiers of the messages in it.
        reports: Whether the mapping has ReportBatchItemFailures.

    Raises:
        _BatchFailedError: All of them failed.
    """
    if result.get("error"):
        raise _BatchFailedError(result.get("body"))
    response = result.get("body")
    if not reports or response is None:
        return set()
    if not isinstance(response, dict):
        raise _BatchFailedError("the response is not a JSON object")
    failures = response.get("batchItemFailures") or []
    if not isinstance(failures, list):
        raise _BatchFailedError("batchItemFailures is not a list")
    return {_identifier(failure, batch) for failure in failures}


def _identifier(failure: object, batch: Collection[str]) -> str:
    identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
    if not isinstance(identifier, str) or identifier not in batch:
        raise _BatchFailedError(f"{failure!r} identifies no message of the batch")
    return identifier
