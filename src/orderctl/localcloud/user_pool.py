"""The user pool of a made-up shop, for an API that takes customers' tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderctl import deploying
from orderctl.pipeline.tokens import JWT, user_pool_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3


def with_user_pool(
    session: boto3.Session, stack_name: str, parameters: Mapping[str, str]
) -> Mapping[str, str]:
    """The template's parameters, with a user pool where the API needs one and none is named.

    Args:
        session: the local cloud's session.
        stack_name: the stack; a pool that it has already stays.
        parameters: the given parameters.
    """
    if parameters.get("ApiAuthorization") != JWT or "UserPoolArn" in parameters:
        return parameters
    existing = deploying.describe(session.client("cloudformation"), stack_name)
    if existing and deploying.parameters_of(existing).get("UserPoolArn"):
        return parameters
    return {**parameters, "UserPoolArn": user_pool_arn(session.client("cognito-idp"))}
