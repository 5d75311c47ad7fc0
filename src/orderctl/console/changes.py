"""What the console changes: each change is a form that is sent, checked and carried out here.

A form has a token that only the console's own pages know. After a change the browser is sent back
to a page (so that loading it again repeats nothing), which says what has become of it.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlencode

import htpy as h
from htpy import Node
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from orderctl.console.collector import Pipelines
from orderctl.console.guard import FORM_TOKEN, same
from orderctl.console.page import Sent, Setting
from orderctl.errors import OrderctlError

SAID: Final = "said"
_MOST_BYTES: Final = 1_100_000  # a message of SQS has 1 MiB at most
_KEPT: Final = 30

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """What has become of a change."""

    text: str
    tone: str = "good"
    link: str = ""
    """Where to see it; empty if nowhere."""
    sent: Sent | None = None
    """The form, if it is to be shown again as it was filled in."""


Change = Callable[[Pipelines, Form], str | Said]
"""Carries something out, and says what it did."""


@dataclass(slots=True)
class Notes:
    """What is to be said on the next page, by the id in its address."""

    _notes: OrderedDict[str, Said] = field(default_factory=OrderedDict)

    def keep(self, said: Said) -> str:
        """Keep a remark, and return its id."""
        note = secrets.token_urlsafe(8)
        self._notes[note] = said
        while len(self._notes) > _KEPT:
            self._notes.popitem(last=False)
        return note

    def find(self, note: str | None) -> Said | None:
        """A remark by its id."""
        return self._notes.get(note or "")


def form(setting: Setting, action: str, *content: Node, back: str = "", again: str = "") -> Node:
    """A form that changes something; nothing where the console only reads.

    Args:
        setting: has the token, and whether changes are allowed.
        action: where it is sent.
        content: its fields and buttons.
        back: the page to show afterwards; the flow by default.
        again: the page to show if it was refused, with what was typed; the same by default.
    """
    if not setting.may_change:
        return None
    return h.form(".change", method="post", action=action)[
        h.input(type="hidden", name=FORM_TOKEN, value=setting.form_token),
        back and hidden("back", back),
        again and hidden("again", again),
        content,
    ]


def hidden(name: str, value: str) -> Node:
    """A field that is sent along."""
    return h.input(type="hidden", name=name, value=value)


async def carry_out(
    request: Request, setting: Setting, pipelines: Pipelines, notes: Notes, change: Change
) -> Response:
    """Check a form, carry out its change, and send the browser to the page that tells of it.

    Raises:
        HTTPException: the console only reads, or the form is not one of its own.
    """
    if not setting.may_change:
        raise HTTPException(
            HTTPStatus.FORBIDDEN,
            "This console only reads. Start it with --allow-changes to change something.",
        )
    sent = await _read(request)
    if not same(sent.get(FORM_TOKEN, ""), setting.form_token):
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "This form is from another console. Open it again."
        )
    back = sent.get("back", "/")
    try:
        told = await run_in_threadpool(change, pipelines, sent)
        said = told if isinstance(told, Said) else Said(told)
    except OrderctlError as error:
        said = Said(str(error), "bad", sent=Sent(request.url.path, sent))
        back = sent.get("again", back)
    path = back if back.startswith("/") and not back.startswith("//") else "/"
    query = urlencode({SAID: notes.keep(said)})
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{query}", HTTPStatus.SEE_OTHER)


async def _read(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This is too long.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "This is not a form.") from error
    return {name: values[0] for name, values in fields.items()}
