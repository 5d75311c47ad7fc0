"""The SDK's clients, for those who need what the lean one does not have.

They are botocore's own. `boto3.client` gives the very same ones, but importing boto3 also loads
what copies files to S3 and a second, object-oriented interface.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orders.aws.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

_CONFIG: Final = Config(
    # A call that hangs must not eat the function's whole timeout of 10 s: 2 tries of 1 s to connect
    # and 2 s for the answer, with a second between them, leave time to report what is done.
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    # The type checker and AWS check every call. Without it a large write takes 40 % less CPU.
    parameter_validation=False,
)
_PATIENT: Final = _CONFIG.merge(
    # Who calls a function waits for its end, and does not call it again.
    Config(read_timeout=90, retries={"mode": "standard", "total_max_attempts": 1})
)


class Client:
    """A client of the SDK whose calls raise AwsError."""

    def __init__(self, service: str) -> None:
        """Make botocore's client of a service."""
        config = _PATIENT if service == "lambda" else _CONFIG
        self.botocore = _session().create_client(service, config=config)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """The method of an operation."""
        call = getattr(self.botocore, method)
        operation = self.botocore.meta.method_to_api_mapping[method]

        def translated(**arguments: Any) -> Any:  # noqa: ANN401 - as botocore's
            try:
                return call(**arguments)
            except ClientError as error:
                raise _refused(error) from None
            except BotoCoreError as error:
                # Only the name: its text may quote the request.
                raise AwsError(type(error).__name__, operation) from None

        setattr(self, method, translated)  # found directly the next time
        return translated


def _refused(error: ClientError) -> AwsError:
    answer: dict[str, Any] = dict(error.response)
    told, metadata = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    return AwsError(
        str(told.get("Code", "Unknown")),
        error.operation_name,
        message=told.get("Message", ""),
        status=metadata.get("HTTPStatusCode", 0),
        answer=answer,
    )


@cache
def _session() -> botocore.session.Session:
    """One session for all clients, so that their shared data is loaded once."""
    return botocore.session.get_session()
