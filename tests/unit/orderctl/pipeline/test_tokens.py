"""Where the tool's tokens come from, as far as no cloud is asked."""

from __future__ import annotations

import boto3
import pytest

from orderctl.errors import OrderctlError
from orderctl.localcloud.user_pool import with_user_pool
from orderctl.pipeline import tokens

SESSION = boto3.Session("KEY", "secret", region_name="eu-central-1")
ON_AWS = "https://abc.execute-api.eu-central-1.amazonaws.com/live"
HERE = "http://127.0.0.1:4566/_aws/execute-api/abc/live"
POOL = "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_abc"
STACK = {"ApiAuthorization": "JWT", "UserPoolArn": POOL, "ApiScope": "", "StaffGroup": "staff"}


def test_nobody_is_made_up_on_aws() -> None:
    with pytest.raises(OrderctlError, match="ORDERCTL_TOKEN"):
        tokens.issue(SESSION, ON_AWS, STACK, customer="alice", staff=True)


def test_the_commands_want_a_token_on_aws_and_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tokens.VARIABLE, raising=False)
    with pytest.raises(OrderctlError, match="ORDERCTL_TOKEN"):
        tokens.issue_for_orderctl(SESSION, ON_AWS, STACK)
    monkeypatch.setenv(tokens.VARIABLE, "a.b.c")
    assert tokens.issue_for_orderctl(SESSION, ON_AWS, STACK) == "a.b.c"


@pytest.mark.parametrize("given", [" ", "a.b", "a.b.c\n", "a.b.c\r\nX-Other: 1", "Bearer a.b.c"])
def test_what_is_given_and_no_token_is_said(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tokens.VARIABLE, given)
    with pytest.raises(OrderctlError, match="ORDERCTL_TOKEN does not hold a token"):
        tokens.issue_for_orderctl(SESSION, ON_AWS, STACK)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ApiAuthorization": "NONE"}, "takes no tokens.*--param ApiAuthorization=JWT"),
        ({"ApiScope": "orders/place"}, "scope orders/place.*leave ApiScope empty"),
    ],
)
def test_what_cannot_be_made_up_is_said(changes: dict[str, str], says: str) -> None:
    with pytest.raises(OrderctlError, match=says):
        tokens.issue(SESSION, HERE, STACK | changes, customer="alice", staff=False)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ApiAuthorization": "NONE"},
        {"ApiAuthorization": "JWT", "UserPoolArn": POOL},
    ],
)
def test_a_user_pool_is_made_only_where_one_is_missing(given: dict[str, str]) -> None:
    assert with_user_pool(SESSION, "orders", given) == given
