"""Who may use the local cloud: only whoever holds its credentials.

A function is a program that runs on this machine. Whoever can call the local cloud can therefore
run code as the engineer: another user of the machine, or any web page in a browser, which reaches
127.0.0.1 too. MiniStack 1.5.33 is not made for that. It serves pages of any origin and requests to
any host, it has endpoints of its own that need no credentials (one wipes everything, others show
messages and code), and what it checks of a signature is not what it acts on.

So every request stops here first. It must be for this machine by name, so that no name that leads
here (DNS rebinding) makes a page the same origin. Then its signature is verified, as AWS verifies
it for every request ("AWS Signature Version 4 for API requests", IAM user guide), and the
evaluator knows no other caller than the one who was verified (see `principals.py`). Without a
signature there is little to call: a deployed API and a function's URL, which decide for themselves
whether they take such a request, the addresses that CloudFormation's custom resources and wait
conditions answer to, with tokens that cannot be guessed, and the health check. Such a request is
short. No answer but a deployed API's and a function's own lets a page read it.

A request that does not leave the machine counts as one over TLS, so that a policy which denies
everything else (`aws:SecureTransport`) means the same here as there.
"""

import re
import uuid
from http import HTTPStatus

from ministack import app as ministack_app
from ministack.core import router
from ministack.core.iam_evaluator import AuthError
from ministack.services import apigateway_v1

from orderctl.localcloud import principals
from orderctl.localcloud.asgi import (
    App,
    Message,
    Receive,
    Response,
    Scope,
    Send,
    header,
    json_response,
)
from orderctl.localcloud.signatures import Request, Signature, SignatureError, Signer
from orderctl.localcloud.state import HEALTH_PATH

MOST_UNSIGNED_BYTES = 512 * 1024
"""The longest body that is read of somebody unknown."""
# A function's 50 MB package, in the Base64 of CreateFunction, is the longest body whose signature
# can only be verified when all of it is there.
_MOST_BYTES = 70 * 1024 * 1024

_LOOPBACK = re.compile(r"(127\.0\.0\.1|\[::1\]|([a-z0-9_-]+\.)*localhost)(:[0-9]{1,5})?")
_OWN_PATHS = ("/_ministack/", "/_localstack/")
_ANSWERS_OF_RESOURCES = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
_CORS = b"access-control-"


class _RefusedError(Exception):
    """A request that is not let in."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def supplement(app: App) -> App:
    """Refuse what must not reach `app`."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # the pipeline has no such API
        else:
            try:
                body = await _let_in(scope, receive)
            except _RefusedError as refusal:
                await refusal.answer.send(send)
                return
            if not is_public(scope):
                send = _without_cors(send)
            await app(_over_tls(scope), _replay(body, receive), send)

    return guarded


async def _let_in(scope: Scope, receive: Receive) -> bytes:
    """Find out who sends a request, and read its body."""
    _check_address(scope)
    request = Request.of(scope)
    public = is_public(scope)
    if _is_sigv4(request) if public else request.signed:
        signer, failure, body = await _verified(request, receive)
    else:
        signer, failure, body = None, None, await _read(receive, MOST_UNSIGNED_BYTES)
    # A method without authorization takes a request whatever its header says, as on AWS.
    if signer is None and not public and not _is_open(scope):
        raise _RefusedError(_refusal(scope["path"], request, failure or _UNSIGNED))
    principals.set_verified(signer, failure)
    return body


_UNSIGNED = SignatureError("The request is not signed.", "MissingAuthenticationToken")


def _check_address(scope: Scope) -> None:
    hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
    host = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
    if not _LOOPBACK.fullmatch(host):
        raise _RefusedError(
            _message(
                HTTPStatus.MISDIRECTED_REQUEST,
                "The local cloud answers to 127.0.0.1 and localhost only.",
            )
        )
    path = scope["path"]
    if not path.startswith("/") or not scope["query_string"].isascii():
        raise _RefusedError(
            _message(HTTPStatus.BAD_REQUEST, "The address is not a path with an encoded query.")
        )
    if path.startswith(_OWN_PATHS) and not _is_open(scope):
        raise _RefusedError(_message(HTTPStatus.FORBIDDEN, "This is closed."))


async def _verified(
    request: Request, receive: Receive
) -> tuple[Signer | None, SignatureError | None, bytes]:
    """The signer of a request, or why there is none, and the body."""
    try:
        signature = Signature(request)
    except SignatureError as failure:
        return None, failure, await _read(receive, MOST_UNSIGNED_BYTES)
    body = await _read(receive, _MOST_BYTES)
    try:
        return signature.verify(body), None, body
    except SignatureError as failure:
        return None, failure, body


def _is_sigv4(request: Request) -> bool:
    """Whether a deployed API would take the request's credentials for a signature."""
    authorization = request.headers.get("authorization", "")
    return request.signed_in_query or authorization.startswith("AWS4-")


def is_public(scope: Scope) -> bool:
    """Whether a deployed API or a function's URL answers, which has its own authorization.

    An API may also be called by its own host name, under which MiniStack serves other services
    too; so there the stage must exist.
    """
    path = scope["path"]
    if path.startswith("/_aws/lambda-url/"):
        return True
    by_path = ministack_app._parse_execute_api_url("", path)
    by_host = ministack_app._parse_execute_api_url(header(scope, b"host"), path)
    if by_host and by_host != by_path:
        api, stage, _ = by_host
        return bool(stage in apigateway_v1.stages_for_api(api))
    return by_path is not None


def _is_open(scope: Scope) -> bool:
    """Whether anybody may ask: for a sign of life, or for a resource with its token."""
    if scope["path"] == HEALTH_PATH:
        return True
    return scope["method"] == "PUT" and str(scope["path"]).startswith(_ANSWERS_OF_RESOURCES)


def _refusal(path: str, request: Request, failure: SignatureError) -> Response:
    """The refusal in the protocol of the service that the request is for."""
    service = router.detect_service(request.method, path, request.headers, request.query)
    status, headers, body = ministack_app._credential_failure(
        service, "", str(uuid.uuid4()), AuthError(failure.code, str(failure)), request.headers
    )
    content = body if isinstance(body, bytes) else body.encode()
    raw = [(name.encode(), str(value).encode()) for name, value in headers.items()]
    return Response(status, [*raw, (b"content-length", str(len(content)).encode())], content)


def _message(status: HTTPStatus, text: str) -> Response:
    return json_response(status, {"message": text})


async def _read(receive: Receive, most: int) -> bytes:
    """Read the whole body, if it is not longer than it may be."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise _RefusedError(_message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Too Long"))
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand on a body that was read, and then what else comes."""
    rest = [body]

    async def replay() -> Message:
        if rest:
            return {"type": "http.request", "body": rest.pop(), "more_body": False}
        return await receive()

    return replay


def _without_cors(send: Send) -> Send:
    async def send_plain(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(_CORS)]
            message = {**message, "headers": kept}
        await send(message)

    return send_plain


def _over_tls(scope: Scope) -> Scope:
    """The request as MiniStack sees one that came in over TLS."""
    if header(scope, b"x-forwarded-proto"):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
