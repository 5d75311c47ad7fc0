"""Who may use the local cloud: only whoever holds its credentials.

A function is a program that runs on this machine. Whoever can call the local cloud can therefore
run code as the engineer: another user of the machine, or any web page in a browser, which reaches
127.0.0.1 too. MiniStack 1.5.33 takes every request under the root key, under the key `test` and
under an account number without looking at its signature; it takes an Authorization header that is
no signature at all for the root user's, answers every page's preflight request with a yes, and
has endpoints of its own that need no credentials: one wipes everything, others show messages and
code.

AWS verifies the signature of every request ("AWS Signature Version 4 for API requests", IAM user
guide). Here too, now: MiniStack's exemption of root keys is taken away, so that its own check
applies to them; an Authorization header that is no SigV4 signature is refused where AWS expects
one; and MiniStack's own endpoints are closed, but for the two that CloudFormation's custom
resources and wait conditions answer to, by tokens that cannot be guessed.

A request that does not leave the machine counts as one over TLS, so that a policy which denies
everything else (`aws:SecureTransport`) means the same here as there.
"""

import os
from http import HTTPStatus

from ministack.core import iam_evaluator

from orderctl.localcloud import seams
from orderctl.localcloud.asgi import App, Receive, Scope, Send, header, json_response

# An API's own methods may use the header for something else.
_PUBLIC_PATHS = ("/_aws/execute-api/", "/_aws/lambda-url/")
_OWN_PATHS = ("/_ministack/", "/_localstack/")
_ANSWERS_OF_RESOURCES = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
_SIGNATURE = "AWS4-HMAC-SHA256 "


def install() -> None:
    """Verify the signature of the root user, and know only one root key."""
    seams.replace(iam_evaluator, "_is_root_key", lambda _key: False)
    seams.replace(
        iam_evaluator, "is_root_access_key", lambda key: key == os.environ["AWS_ACCESS_KEY_ID"]
    )


def supplement(app: App) -> App:
    """Refuse what must not reach `app`."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _acceptable(scope):
            refusal = {"__type": "IncompleteSignature", "message": "The request is not signed."}
            await json_response(HTTPStatus.FORBIDDEN, refusal).send(send)
        else:
            await app(_over_tls(scope), receive, send)

    return guarded


def _acceptable(scope: Scope) -> bool:
    path = scope["path"]
    if path.startswith(_OWN_PATHS):
        return bool(path.startswith(_ANSWERS_OF_RESOURCES))
    authorization = header(scope, b"authorization")
    return (
        not authorization or authorization.startswith(_SIGNATURE) or path.startswith(_PUBLIC_PATHS)
    )


def _over_tls(scope: Scope) -> Scope:
    """The request as MiniStack sees one that came in over TLS."""
    if scope["type"] != "http" or header(scope, b"x-forwarded-proto"):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
