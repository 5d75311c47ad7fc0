"""Tokens for an API with ApiAuthorization=JWT: of made-up customers, from the local cloud's pool.

The local cloud gets a user pool of a made-up shop. It signs tokens with a key pair of its own, as
Cognito does; a customer is a user of the pool, and the token's `sub` is the customer's id. A stack
on AWS has the shop's own pool, in which nothing is made up.
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
# The one that Cognito gives to whoever signs in through its API.
API_SCOPE: Final = "aws.cognito.signin.user.admin"
UNAUTHORIZED: Final = (
    "The API does not let this caller in (401). If it takes tokens, sign in again and put the new "
    f"one into {VARIABLE}."
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")
_POOL: Final = "made-up-shop"
_APP_CLIENT: Final = "orderctl"
_ORDERCTL: Final = "orderctl"


def issue_for_orderctl(session: boto3.Session, api_url: str, parameters: Mapping[str, str]) -> str:
    """The token with which the tool's own commands call the API.

    Args:
        session: the account of the stack.
        api_url: the API's address, as it is reached from here.
        parameters: the stack's parameters.

    Raises:
        OrderctlError: it is a stack on AWS, and no token was given; or what was given is none.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return issue(session, api_url, parameters, customer=_ORDERCTL, staff=True)
    if not _TOKEN.fullmatch(given):
        raise OrderctlError(f"{VARIABLE} holds no token: three parts with dots between them.")
    return given


def issue(
    session: boto3.Session,
    api_url: str,
    parameters: Mapping[str, str],
    *,
    customer: str,
    staff: bool,
) -> str:
    """A token of a made-up customer, who is made up on the spot; valid for an hour.

    Args:
        session: the account of the stack.
        api_url: the API's address, as it is reached from here.
        parameters: the stack's parameters.
        customer: the name of the user in the pool.
        staff: whether the user belongs to the shop's staff, from now on.

    Raises:
        OrderctlError: it is a stack on AWS, its API takes no tokens, or none with this scope can be
            made up.
    """
    _check(api_url, parameters)
    pools = session.client("cognito-idp")
    pool = parameters["UserPoolArn"].rsplit("/", 1)[1]
    # Any other than it had: nobody else signs in.
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
            "On AWS the shop's own user pool signs customers in, and orderctl makes nobody up "
            "there. Sign in as the shop's front end does (or, if an app client allows it, with "
            "`aws cognito-idp initiate-auth`), and hand the token to orderctl in the variable "
            f"{VARIABLE}."
        )
    if parameters.get("ApiAuthorization") != JWT:
        raise OrderctlError(
            "This API takes no tokens. Have it take them with: "
            f"{paths.orderctl()} deploy --local --param ApiAuthorization=JWT"
        )
    if parameters["ApiScope"] not in ("", API_SCOPE):
        raise OrderctlError(
            f"The API asks for the scope {parameters['ApiScope']}. Whoever signs in without a "
            f"browser gets {API_SCOPE} only: leave ApiScope empty here, or name that scope."
        )


def user_pool_arn(pools: CognitoIdentityProviderClient) -> str:
    """The user pool of the made-up shop, which is made when it is first asked for."""
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
    """Put a user into the group of the staff, or out of it."""
    if not group:
        if staff:
            raise OrderctlError("This stack has no group of staff: its StaffGroup is empty.")
        return
    with suppress(pools.exceptions.GroupExistsException):
        pools.create_group(UserPoolId=pool, GroupName=group)
    change = pools.admin_add_user_to_group if staff else pools.admin_remove_user_from_group
    change(UserPoolId=pool, Username=user, GroupName=group)
