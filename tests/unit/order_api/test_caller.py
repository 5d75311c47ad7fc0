from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from orders.aws.order_table import OrderTable
from orders.events import OrderPlaced
from orders.order import Order
from orders.order_api.caller import Caller, Callers, NotAllowedError
from orders.order_api.handler import OrderApi
from support.lambdas import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from support.aws import TappedBus

LIVE = {"stage": "live"}
CUSTOMERS = Callers("JWT", "staff")


def holder(**claims: str) -> dict[str, Any]:
    """The request context of a verified token."""
    return {**LIVE, "authorizer": {"claims": claims}}


def in_groups(groups: str, sub: str = "alice") -> dict[str, Any]:
    return holder(**{"sub": sub, "cognito:groups": groups})


class TestIdentify:
    def test_a_token_names_the_customer(self) -> None:
        assert CUSTOMERS.identify(holder(sub="alice")) == Caller("alice")

    @pytest.mark.parametrize("authorization", ["AWS_IAM", "NONE"])
    def test_without_tokens_a_caller_may_do_everything(self, authorization: str) -> None:
        assert Callers(authorization).identify(LIVE) == Caller()

    @pytest.mark.parametrize("authorization", ["AWS_IAM", "NONE"])
    def test_a_token_counts_while_the_stage_still_takes_tokens(self, authorization: str) -> None:
        """The function is updated before the stage."""
        callers = Callers(authorization, "staff")
        assert callers.identify(holder(sub="alice")) == Caller("alice")

    @pytest.mark.parametrize("groups", ["staff", "early,staff", "staff,early"])
    def test_staff_may_do_everything(self, groups: str) -> None:
        assert CUSTOMERS.identify(in_groups(groups)) == Caller()

    @pytest.mark.parametrize("groups", ["", "staffed", "not-staff", "Staff", "[staff]", "staff x"])
    def test_another_group_is_not_staff(self, groups: str) -> None:
        assert CUSTOMERS.identify(in_groups(groups)) == Caller("alice")

    def test_who_is_in_no_group_is_not_staff(self) -> None:
        assert Callers("JWT", "X").identify(holder(sub="alice")) == Caller("alice")
        assert Callers("JWT").identify(in_groups("X")) == Caller("alice")

    @pytest.mark.parametrize("groups", ["", ",", "staff"])
    def test_a_stack_without_a_group_of_staff_has_none(self, groups: str) -> None:
        assert Callers("JWT", "").identify(in_groups(groups)) == Caller("alice")

    @pytest.mark.parametrize(
        "request_context",
        [
            {},
            LIVE,
            {**LIVE, "authorizer": None},
            {**LIVE, "authorizer": {}},
            {**LIVE, "authorizer": {"principalId": "alice", "sub": "alice"}},
            {**LIVE, "identity": {"userArn": "arn:aws:iam::1:user/a"}},
            holder(),
            holder(sub=""),
            holder(sub="a\nb"),
            holder(sub="a" * 129),
            holder(username="alice"),
        ],
    )
    @pytest.mark.parametrize("authorization", ["JWT", "", "jwt"])
    def test_who_has_no_token_of_a_customer_is_refused(
        self, request_context: Mapping[str, Any], authorization: str
    ) -> None:
        with pytest.raises(NotAllowedError):
            Callers(authorization, "staff").identify(request_context)

    def test_a_test_invocation_is_an_operators(self) -> None:
        assert CUSTOMERS.identify({"stage": "test-invoke-stage"}) == Caller()


class TestMaySee:
    @pytest.mark.parametrize(
        ("customer_id", "owner", "may"),
        [
            ("alice", "alice", True),
            ("alice", "bob", False),
            ("alice", None, False),
            (None, "bob", True),
            (None, None, True),
        ],
    )
    def test_own_orders_only(self, customer_id: str | None, owner: str | None, may: bool) -> None:
        placed = OrderPlaced(order_id="a", amount=Decimal(1), customer_id=owner or UNSET)
        order = Order(order_id="a", placed_at="", ordered=placed)
        assert Caller(customer_id).may_see(order) is may

    def test_an_order_of_another_publisher_is_no_customers(self) -> None:
        unknown = Order(order_id="a", placed_at="")
        assert not Caller("alice").may_see(unknown)
        assert Caller().may_see(unknown)


@pytest.fixture
def api(dynamodb: DynamoDBClient, tap: TappedBus) -> OrderApi:
    numbers = itertools.count(1)
    return OrderApi(
        OrderTable(dynamodb, "orders"),
        tap.bus,
        new_order_id=lambda: f"made-{next(numbers)}",
        callers=CUSTOMERS,
    )


def call(
    api: OrderApi, who: Mapping[str, Any], method: str, order_id: str, **order: object
) -> tuple[int, dict[str, Any]]:
    """The status and the body of the answer to a call."""
    answer = api(
        {
            "httpMethod": method,
            "pathParameters": None if method == "POST" else {"order_id": order_id},
            "body": json.dumps({"order_id": order_id, "amount": 1, **order}),
            "requestContext": who,
        },
        Context(),
    )
    return answer["statusCode"], json.loads(answer["body"])


ALICE, BOB, STAFF = holder(sub="alice"), holder(sub="bob"), in_groups("staff", "carol")


class TestOrdersOfCustomers:
    def test_an_order_is_the_callers(self, api: OrderApi, tap: TappedBus) -> None:
        assert call(api, ALICE, "POST", "a")[0] == 202
        ((_, placed),) = tap.take()
        assert placed["customer_id"] == "alice"
        assert call(api, ALICE, "GET", "a")[1]["customer_id"] == "alice"
        assert call(api, STAFF, "GET", "a")[0] == 200

    def test_a_customer_may_say_so(self, api: OrderApi, tap: TappedBus) -> None:
        assert call(api, ALICE, "POST", "a", customer_id="alice")[0] == 202
        assert call(api, ALICE, "POST", "a")[0] == 202, "it is the same order"

    def test_an_order_for_somebody_else_is_refused(self, api: OrderApi, tap: TappedBus) -> None:
        status, problem = call(api, ALICE, "POST", "a", customer_id="bob")
        assert (status, problem["detail"]) == (
            403,
            "customer_id is not yours. Leave it out: your token names it.",
        )
        assert tap.take() == []
        assert api.orders.get("a") is None

    def test_staff_orders_for_customers(self, api: OrderApi) -> None:
        assert call(api, STAFF, "POST", "a", customer_id="alice")[0] == 202
        assert call(api, ALICE, "GET", "a")[0] == 200
        assert call(api, STAFF, "POST", "b")[0] == 202
        assert "customer_id" not in call(api, STAFF, "GET", "b")[1]

    @pytest.mark.parametrize("status", ["placed", "confirmed", "cancelled"])
    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_somebody_elses_order_is_as_an_unknown_one(
        self, api: OrderApi, tap: TappedBus, method: str, status: str
    ) -> None:
        call(api, ALICE, "POST", "a")
        order = api.orders.get("a")
        assert order is not None
        api.orders.write([replace(order, status=status)], Context())
        tap.take()
        code, problem = call(api, BOB, method, "a")
        assert code == 404
        unknown = call(api, BOB, method, "b")
        assert (code, {**problem, "order_id": "b"}) == unknown
        assert tap.take() == []

    def test_an_id_that_somebody_else_has_is_taken(self, api: OrderApi, tap: TappedBus) -> None:
        call(api, ALICE, "POST", "a", amount=77)
        tap.take()
        same = call(api, BOB, "POST", "a", amount=77)
        other = call(api, BOB, "POST", "a", amount=1)
        assert same[0] == 409
        assert same == other, "nothing tells whether the amount is right"
        assert "alice" not in json.dumps(same)
        assert "77" not in json.dumps(same)
        assert tap.take() == []

    def test_whoever_has_no_token_gets_nothing(self, api: OrderApi, tap: TappedBus) -> None:
        call(api, ALICE, "POST", "a")
        tap.take()
        for method in ("POST", "GET", "DELETE"):
            assert call(api, LIVE, method, "a")[0] == 403
        assert tap.take() == []
