"""What went wrong, for code and for the log."""

from __future__ import annotations

from orders.aws.errors import AwsError, reason


def test_an_error_has_what_is_known_of_it() -> None:
    error = AwsError("ThrottlingException", "PutItem")
    assert (error.code, error.operation) == ("ThrottlingException", "PutItem")
    assert (error.message, error.status, error.answer) == ("", 0, {})
    assert reason(error) == "ThrottlingException from PutItem"
    assert reason(KeyError("sku")) == "KeyError: 'sku'"
