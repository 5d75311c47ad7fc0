"""Sessions whose calls fail soon: somebody looks at the page, and waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.config import Config

if TYPE_CHECKING:
    import boto3

CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 6
_TRIES: Final = 2


def hurried(session: boto3.Session) -> boto3.Session:
    """Have the clients that a session makes from now on give up early.

    Without this a call waits a minute for its answer, several times.
    """
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
    )
    core = session._session  # boto3 has no name of its own for it
    given = core.get_default_client_config()
    core.set_default_client_config(given.merge(config) if given else config)
    return session
