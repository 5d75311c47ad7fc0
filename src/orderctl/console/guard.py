"""Who may use the console: only whoever has its secret address, and no page of another site.

The console acts with the operator's credentials, and every page in a browser can send requests to
127.0.0.1. So each request must be for this machine by name (no name that leads here through DNS
makes a page the same origin), must not come from another site, and must have the cookie that the
secret address gives. What a page may load is limited to what the console itself serves.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orderctl.console.key import TOKEN, Key

FORM_TOKEN = "form_token"  # noqa: S105 - the name of the field
_HTTP = 80  # a browser leaves it out of the address
_COOKIE_SECONDS = 30 * 24 * 3600
_SAFE_METHODS = ("GET", "HEAD")
_FROM_HERE = ("same-origin", "none")

HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # With no-referrer a browser would send its own forms with the origin "null".
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
"""What every answer says about itself."""


class Guard:
    """Lets only good requests through to an application."""

    def __init__(self, app: ASGIApp, key: Key, port: int) -> None:
        """Take the application, its secrets, and the port that it listens on."""
        self._app = app
        self._key = key
        suffix = "" if port == _HTTP else f":{port}"
        self._hosts = (f"127.0.0.1{suffix}", f"localhost{suffix}")
        # Cookies are shared by all ports of a host.
        self._cookie = f"orderctl-console-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = self._refusal(scope) or self._app
            await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        """What a request gets instead of the application's answer, if it is not let in."""
        headers = Headers(scope=scope)
        if headers.getlist("host") not in ([host] for host in self._hosts):
            return _refuse(
                HTTPStatus.MISDIRECTED_REQUEST, "The console answers to 127.0.0.1 and localhost."
            )
        if scope["method"] in _SAFE_METHODS and (given := self._given_token(scope)) is not None:
            return self._let_in(scope, given)
        if not self._is_from_here(scope["method"], headers):
            return _refuse(HTTPStatus.FORBIDDEN, "This request comes from another site.")
        if not same(self._session_of(headers), self._key.session):
            return _refuse(
                HTTPStatus.FORBIDDEN,
                "Open the console with the whole address that orderctl printed; it has a secret.",
            )
        return None

    def _given_token(self, scope: Scope) -> str | None:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return query[TOKEN][0] if TOKEN in query else None

    def _let_in(self, scope: Scope, given: str) -> Response:
        """Trade the token for a cookie, and take it out of the address."""
        if not same(given, self._key.token):
            return _refuse(
                HTTPStatus.FORBIDDEN,
                "This is not this console's address: each start of the console makes a new one.",
            )
        answer = RedirectResponse(scope["path"], HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            self._cookie,
            self._key.session,
            max_age=_COOKIE_SECONDS,
            path="/",
            httponly=True,
            samesite="strict",
        )
        return answer

    def _is_from_here(self, method: str, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}" for host in self._hosts):
            return False
        if headers.get("sec-fetch-site", "none") not in _FROM_HERE:
            return False
        return method in _SAFE_METHODS or origin is not None

    def _session_of(self, headers: Headers) -> str:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return ""
        morsel = cookies.get(self._cookie)
        return morsel.value if morsel else ""


def same(given: str, expected: str) -> bool:
    """Whether a secret is the expected one, in a time that does not tell how much of it is."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _refuse(status: HTTPStatus, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers
