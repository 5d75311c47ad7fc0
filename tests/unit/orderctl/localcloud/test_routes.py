"""Which requests go to the API of a service without any other question."""

from __future__ import annotations

import pytest

from orderctl.localcloud.routes import is_an_api


@pytest.mark.parametrize(
    ("method", "path", "host", "is_one"),
    [
        ("POST", "/", "127.0.0.1:4566", True),
        ("POST", "/", "127.0.0.1", True),
        ("OPTIONS", "/", "127.0.0.1:4566", False),
        ("GET", "/", "127.0.0.1:4566", False),
        ("POST", "/iceberg", "127.0.0.1:4566", False),
        ("POST", "/_aws/execute-api/a/live/orders", "127.0.0.1:4566", False),
        ("POST", "/", "a.execute-api.localhost:4566", False),
        ("POST", "/", "localhost:4566", False),
        ("POST", "/", "", False),
    ],
)
def test_only_a_post_to_the_bare_address(method: str, path: str, host: str, is_one: bool) -> None:
    assert is_an_api(method, path, {"host": host} if host else {}) is is_one
