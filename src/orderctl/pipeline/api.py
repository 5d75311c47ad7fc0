"""A client of the order API. It keeps its connections, and signs requests or sends a token."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from orderctl.errors import OrderctlError
from orderctl.pipeline import reading

if TYPE_CHECKING:
    import boto3

_LONGEST_RETRY_AFTER = 60.0
_TIMEOUT = urllib3.Timeout(connect=5, read=30)  # API Gateway itself gives up after 29 s


class NoAnswerError(OrderctlError):
    """The API cannot be reached or did not answer in time; it may have accepted the order."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the API."""

    status: int
    body: Any
    """The parsed JSON; None when it is not JSON."""
    retry_after: float | None = None
    """The seconds to wait before a repeat, if the API gave them."""


class ApiClient:
    """Places, shows and cancels orders; may be used by many threads."""

    def __init__(
        self, session: boto3.Session, url: str, *, connections: int = 1, token: str | None = None
    ) -> None:
        """Create a client; it connects with the first request.

        Args:
            session: the account whose credentials sign the requests.
            url: the API's address, without /orders.
            connections: how many to keep at most.
            token: the bearer token, for an API that takes tokens; without it requests are signed.
        """
        self._url = f"{url}/orders"
        self._session = session
        self._token = token
        self._pool = _pool(url, connections)

    def place(self, order: Mapping[str, Any]) -> Reply:
        """Post an order, given by its fields. An error answer is returned, not raised.

        Raises:
            NoAnswerError: there was no answer.
        """
        return self.post(json.dumps(order).encode())

    def post(self, body: bytes) -> Reply:
        """Post an order, given as a body. An error answer is returned, not raised.

        Raises:
            NoAnswerError: there was no answer.
        """
        return self._request("POST", self._url, body, {"Content-Type": "application/json"})

    def show(self, order_id: str) -> Reply:
        """Get an order. An error answer is returned, not raised.

        Raises:
            NoAnswerError: there was no answer.
        """
        return self._request("GET", f"{self._url}/{quote(order_id, safe='')}")

    def cancel(self, order_id: str) -> Reply:
        """Request the cancellation of an order. An error answer is returned, not raised.

        Raises:
            NoAnswerError: there was no answer.
        """
        return self._request("DELETE", f"{self._url}/{quote(order_id, safe='')}")

    def _request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        authorized = self._authorize(method, url, body, headers or {})
        try:
            answer = self._pool.request(method, url, body=body, headers=authorized)
        except urllib3.exceptions.NewConnectionError as error:
            raise NoAnswerError(
                f"The order API cannot be reached at {url}: {_cause(error)}"
            ) from error
        except urllib3.exceptions.TimeoutError as error:
            raise NoAnswerError(f"The order API did not answer in time at {url}") from error
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError(
                f"The order API did not answer at {url}: {_cause(error)}"
            ) from error
        return Reply(answer.status, _parse(answer.data), _retry_after(answer.headers))

    def _authorize(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """The headers with a token or a signature; an API without authorization ignores both."""
        if self._token is not None:
            return {**headers, "Authorization": f"Bearer {self._token}"}
        request = AWSRequest(method, url, dict(headers), body)
        credentials = self._session.get_credentials()
        if credentials is not None:
            region = self._session.region_name
            SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
        return dict(request.headers.items())


def _pool(url: str, connections: int) -> urllib3.PoolManager:
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    # For a proxy the loopback address is the proxy's own machine.
    direct = is_loopback(host) or proxy_bypass(host)
    proxy = None if direct else getproxies().get(scheme)
    options: dict[str, Any] = {"maxsize": connections, "retries": False, "timeout": _TIMEOUT}
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cause(error: Exception) -> str:
    """The innermost error: urllib3's own messages start with an object's address."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error)


def _parse(body: bytes) -> object:
    try:
        parsed: object = reading.parse_json(body)
    except ValueError:
        return None
    return parsed


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; our API does not use its other form, a date."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(max(seconds, 0), _LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None
