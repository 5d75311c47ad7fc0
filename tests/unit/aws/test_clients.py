from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError, ParamValidationError

from orders.aws import clients
from orders.aws.clients import reason
from orders.aws.context import FINISHING_MILLISECONDS
from simulation.template import topology

SENT = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ClientError({"Error": {"Code": "ValidationException", "Message": SENT}}, "PutItem"),
            "ValidationException from PutItem",
        ),
        (HTTPClientError(error=ValueError(SENT)), "HTTPClientError"),
        (ParamValidationError(report=SENT), "ParamValidationError"),
    ],
)
def test_a_reason_is_what_went_wrong_without_what_was_sent(error: Exception, said: str) -> None:
    assert reason(error) == said


def test_a_call_that_hangs_leaves_time_to_report_what_is_done() -> None:
    """Two tries and a second between them end before a function stops taking up work."""
    config: Any = clients.dynamodb().meta.config
    tries = config.retries["total_max_attempts"]
    hanging = tries * (config.connect_timeout + config.read_timeout) + (tries - 1)
    shortest = min(function.timeout for function in topology().functions.values())
    assert hanging <= shortest - FINISHING_MILLISECONDS / 1000
