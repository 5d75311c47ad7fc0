"""The secrets of a console. Whoever starts one needs them before anything else is loaded."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode

TOKEN = "token"  # noqa: S105 - the name of the parameter


@dataclass(frozen=True, slots=True)
class Key:
    """The secrets of one console."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """In the address that is printed."""
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """In the cookie."""

    @property
    def form_token(self) -> str:
        """What a form must send back; who only has the cookie does not know it."""
        return hmac.new(self.session.encode(), b"form", "sha256").hexdigest()

    def address(self, port: int) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{port}/?{urlencode({TOKEN: self.token})}"
