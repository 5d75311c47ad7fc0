"""Errors of deployments and of calls to AWS, in words that say what to do."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
)

from orderctl.errors import OrderctlError

_SIGN_IN = (
    "Sign in (for example with `aws sso login`), set AWS_PROFILE, or name a profile: --profile NAME"
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class StackError(OrderctlError):
    """The stack could not be deployed, found or destroyed."""


def explain(error: ClientError | BotoCoreError) -> str:
    """Say why a call to AWS failed, and what to do where that is known."""
    if isinstance(error, ClientError):
        return _explain_answer(error)
    if isinstance(error, NoRegionError):
        return "No region is set. Set AWS_DEFAULT_REGION, or give one: --region eu-central-1"
    if isinstance(error, ProfileNotFound):
        return f"{error}. `aws configure list-profiles` lists the profiles."
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, SSOError)):
        return f"{error}. {_SIGN_IN}"
    if isinstance(error, EndpointConnectionError):
        return f"{error} Check the region's name, AWS_ENDPOINT_URL, and the network."
    return str(error)


def _explain_answer(error: ClientError) -> str:
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message") or str(error)
    said = f"{error.operation_name}: {message}"
    if code in _EXPIRED:
        return f"The credentials have expired. {_SIGN_IN}"
    if code in _UNKNOWN_CREDENTIALS:
        return f"AWS does not know these credentials ({said}). {_SIGN_IN}"
    return said
