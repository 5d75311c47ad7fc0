"""One local cloud for the whole folder.

Every test makes its own resources under names of its own, so that one server serves all.
"""

import secrets
from collections.abc import Iterator

import pytest

from .account import Account, Server


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    """The account of the server that all tests here share."""
    server = Server()
    yield Account(server)
    server.stop()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return f"{request.node.name.split('[')[0].removeprefix('test_').replace('_', '-')[:40]}-" + (
        secrets.token_hex(3)
    )
