"""Tokens for an API with ApiAuthorization=JWT, issued to made-up customers of the local cloud.

The local cloud has a user pool of a made-up shop. It signs tokens with its own key pair, as Cognito
does. A customer is a user of the pool, and the token's `sub` is the customer's id. A stack on AWS
uses the shop's own pool, in which no customers are made up.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from orderctl import paths
from orderctl.errors import OrderctlError
from orderctl.pipeline.api import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

JWT: Final = "JWT"
VARIABLE: Final = "ORDERCTL_TOKEN"
# The scope that Cognito gives users who sign in through its API.
API_SCOPE: Final = "aws.cognito.signin.user.admin"
UNAUTHORIZED: Final = (
    "The API refused the credentials (401). If it takes tokens, sign in again and put the new "
    f"token into {VARIABLE}."
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")
_POOL: Final = "made-up-shop"
_APP_CLIENT: Final = "orderctl"
_ORDERCTL: Final = "orderctl"


def issue_for_orderctl(session: boto3.Session, api_url: str, parameters: Mapping[str, str]) -> str:
    """The token with which orderctl's own commands call the API.

    Args:
        session: the account of the stack.
        api_url: the API's address.
        parameters: the stack's parameters.

    Raises:
        OrderctlError: the stack is on AWS and no token was given, or the given text is no token.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return issue(session, api_url, parameters, customer=_ORDERCTL, staff=True)
    if not _TOKEN.fullmatch(given):
        raise OrderctlError(
            f"{VARIABLE} does not hold a token: a token has three parts with dots between them."
        )
    return given


def issue(
    session: boto3.Session,
    api_url: str,
    parameters: Mapping[str, str],
    *,
    customer: str,
    staff: bool,
) -> str:
    """Issue a token to a made-up customer, who is created if needed; it is valid for an hour.

    Args:
        session: the account of the stack.
        api_url: the API's address.
        parameters: the stack's parameters.
        customer: the name of the user in the pool.
        staff: whether the user belongs to the shop's staff from now on.

    Raises:
        OrderctlError: the stack is on AWS, or its API takes no tokens, or needs a scope that cannot
            be issued here.
    """
    _check(api_url, parameters)
    pools = session.client("cognito-idp")
    pool = parameters["UserPoolArn"].rsplit("/", 1)[1]
    # A new one each time: only this function signs in.
    password = f"{secrets.token_urlsafe()}-aA1"
    with suppress(pools.exceptions.UsernameExistsException):
        pools.admin_create_user(UserPoolId=pool, Username=customer, MessageAction="SUPPRESS")
    pools.admin_set_user_password(
        UserPoolId=pool, Username=customer, Password=password, Permanent=True
    )
    _set_staff(pools, pool, customer, parameters["StaffGroup"], staff=staff)
    signed_in = pools.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=_app_client(pools, pool),
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": customer, "PASSWORD": password},
    )["AuthenticationResult"]
    return signed_in["AccessToken" if parameters["ApiScope"] else "IdToken"]


def _check(api_url: str, parameters: Mapping[str, str]) -> None:
    if not is_loopback(urlsplit(api_url).hostname or ""):
        raise OrderctlError(
            "On AWS customers sign in with the shop's own user pool, and orderctl cannot issue "
            "tokens. Sign in as the shop's front end does (or with `aws cognito-idp "
            f"initiate-auth`, if an app client allows it), and put the token into {VARIABLE}."
        )
    if parameters.get("ApiAuthorization") != JWT:
        raise OrderctlError(
            "This API takes no tokens. To change that: "
            f"{paths.orderctl()} deploy --local --param ApiAuthorization=JWT"
        )
    if parameters["ApiScope"] not in ("", API_SCOPE):
        raise OrderctlError(
            f"The API requires the scope {parameters['ApiScope']}, but a sign-in without a browser "
            f"gets only {API_SCOPE}. Here, leave ApiScope empty or set it to that scope."
        )


def user_pool_arn(pools: CognitoIdentityProviderClient) -> str:
    """The ARN of the made-up shop's user pool, which is created when it is first needed."""
    for page in pools.get_paginator("list_user_pools").paginate(PaginationConfig={"PageSize": 60}):
        for pool in page["UserPools"]:
            if pool.get("Name") == _POOL:
                found = pools.describe_user_pool(UserPoolId=pool["Id"])
                return found["UserPool"]["Arn"]
    return pools.create_user_pool(PoolName=_POOL)["UserPool"]["Arn"]


def _app_client(pools: CognitoIdentityProviderClient, pool: str) -> str:
    for page in pools.get_paginator("list_user_pool_clients").paginate(UserPoolId=pool):
        for client in page["UserPoolClients"]:
            if client.get("ClientName") == _APP_CLIENT:
                return client["ClientId"]
    made = pools.create_user_pool_client(
        UserPoolId=pool,
        ClientName=_APP_CLIENT,
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"],
    )
    return made["UserPoolClient"]["ClientId"]


def _set_staff(
    pools: CognitoIdentityProviderClient, pool: str, user: str, group: str, *, staff: bool
) -> None:
    """Add a user to the staff group, or remove it."""
    if not group:
        if staff:
            raise OrderctlError("This stack has no staff group: its parameter StaffGroup is empty.")
        return
    with suppress(pools.exceptions.GroupExistsException):
        pools.create_group(UserPoolId=pool, GroupName=group)
    change = pools.admin_add_user_to_group if staff else pools.admin_remove_user_from_group
    change(UserPoolId=pool, Username=user, GroupName=group)
