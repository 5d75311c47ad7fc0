"""ASGI helpers that the supplements share: types, a buffered call, a JSON response."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Response:
    """A whole HTTP response, kept in memory."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def send(self, send: Send) -> None:
        """Send the response to the client."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def json_response(
    status: int, document: object, content_type: str = "application/json", **headers: str
) -> Response:
    """A JSON response; a keyword such as `x_amzn_errortype` becomes the header's name."""
    body = json.dumps(document).encode()
    named = {"content-type": content_type, "content-length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return Response(
        status, [(name.encode(), value.encode()) for name, value in named.items()], body
    )


def header(scope: Scope, name: bytes) -> str:
    """The value of one request header, or an empty string."""
    for key, value in scope["headers"]:
        if key.lower() == name:
            return bytes(value).decode("latin-1")
    return ""


async def read_body(receive: Receive) -> bytes:
    """Read the whole request body."""
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


async def call(app: App, scope: Scope, body: bytes) -> Response:
    """Pass a buffered request to an application and keep its response."""
    response = Response()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            response.headers = list(message.get("headers", []))
        else:
            response.body += message.get("body", b"")

    await app(scope, receive, send)
    return response
