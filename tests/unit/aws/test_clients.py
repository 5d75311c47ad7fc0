from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, HTTPClientError, ParamValidationError

from orders.aws.clients import reason

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
