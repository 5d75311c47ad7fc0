"""The order API over connections that are kept, for many orders at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from orderctl.errors import OrderctlError
from orderctl.processes import LOOPBACK

_TIMEOUT = urllib3.Timeout(connect=5, read=30)  # API Gateway itself gives up after 29 s

Sign = Callable[[str, str, bytes, Mapping[str, str]], Mapping[str, str]]
"""Takes a request's method, URL, body and headers, and returns the headers of the signed one."""


class NoAnswerError(OrderctlError):
    """The API cannot be reached, or did not answer in time: whether it took the order is open."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API answered."""

    status: int
    body: Any
    """What its JSON says; None when it is none."""
    retry_after: float | None = None
    """After how many seconds the call may be repeated, if the API said so."""


class ApiClient:
    """Posts orders; to be used by many threads."""

    def __init__(self, url: str, *, connections: int, sign: Sign | None = None) -> None:
        """Connect when the first order is posted.

        Args:
            url: the API's address, without /orders.
            connections: how many are kept at most.
            sign: signs each request, for an API that wants that.
        """
        self._url = f"{url}/orders"
        self._sign = sign
        self._pool = _pool(url, connections)

    def place(self, body: bytes) -> Reply:
        """Post an order; an error answer is an answer, too.

        Raises:
            NoAnswerError: there was none.
        """
        headers: Mapping[str, str] = {"Content-Type": "application/json"}
        if self._sign:
            headers = self._sign("POST", self._url, body, headers)
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=headers)
        except urllib3.exceptions.NewConnectionError as error:
            raise NoAnswerError(f"no connection to {self._url}: {_cause(error)}") from error
        except urllib3.exceptions.TimeoutError as error:
            raise NoAnswerError(f"no answer in time from {self._url}") from error
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError(f"no answer from {self._url}: {_cause(error)}") from error
        return Reply(answer.status, _parsed(answer.data), _seconds(answer.headers))


def _pool(url: str, connections: int) -> urllib3.PoolManager:
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    # A proxy reaches another machine by the loopback address.
    direct = host == LOOPBACK or proxy_bypass(host)
    proxy = None if direct else getproxies().get(scheme)
    options: dict[str, Any] = {"maxsize": connections, "retries": False, "timeout": _TIMEOUT}
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _cause(error: Exception) -> str:
    """The innermost reason: urllib3's own texts begin with an object's address."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error)


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except ValueError:
        return None
    return parsed


def _seconds(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; its other form, a date, is not ours."""
    try:
        return max(float(headers.get("Retry-After", "")), 0)
    except ValueError:
        return None
