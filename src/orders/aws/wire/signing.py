"""Signature Version 4 (AWS IAM user guide, "Create a signed AWS API request")."""

from __future__ import annotations

import hmac
import os
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from orders.aws.wire.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class NoCredentialsError(Exception):
    """There are no credentials in the environment, the one place where they are looked for."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        """Nothing secret."""
        return f"Credentials({self.access_key!r})"


def from_environment() -> Credentials:
    """The credentials that Lambda puts into the environment of a function.

    Raises:
        NoCredentialsError: they are not there.
    """
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not (key and secret):
        raise NoCredentialsError(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set. This client looks nowhere "
            "else for credentials; the SDK (AWS_CLIENT=sdk) does"
        )
    return Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN"))


class Signer:
    """Signs the requests to one service in one region."""

    def __init__(self, service: str, region: str) -> None:
        """Take the service by its signing name."""
        self._scope = f"{region}/{service}/aws4_request"
        self._key: tuple[tuple[str, str], bytes] | None = None

    def sign(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        credentials: Credentials,
        now: float,
    ) -> dict[str, str]:
        """Sign a request.

        Args:
            method: such as POST.
            path: as it is sent; a query string is not supported.
            headers: those that are signed, by lower-case name.
            body: as it is sent.
            credentials: who signs.
            now: the time, in seconds since 1970.

        Returns:
            The headers with those that prove who sent it.
        """
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        signed = {**headers, "x-amz-date": at}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        listed = ";".join(names)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        digest = sha256(body).hexdigest()
        # A path is quoted once more, though it is quoted already: only S3 does not do so.
        request = f"{method}\n{quote(path, safe='/')}\n\n{lines}\n{listed}\n{digest}"
        scope = f"{at[:8]}/{self._scope}"
        text = f"{_ALGORITHM}\n{at}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = _hmac(self._signing_key(credentials.secret_key, at[:8]), text).hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _signing_key(self, secret: str, day: str) -> bytes:
        """The key of a day, derived once."""
        if self._key is None or self._key[0] != (secret, day):
            key = _hmac(f"AWS4{secret}".encode(), day)
            for part in self._scope.split("/"):
                key = _hmac(key, part)
            self._key = (secret, day), key
        return self._key[1]


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
