"""Who calls the API, and which orders are theirs.

With ``ApiAuthorization=JWT`` API Gateway has verified the caller's token before the function runs
and hands over its claims. Each claim is text; of a list, such as the groups, the elements are
joined by commas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import msgspec
from msgspec import UNSET

from orders.events import CustomerId, OrderPlaced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orders.order import Order

# Callers of an API that takes signed requests, or that is open to all, may do everything.
_WITHOUT_CUSTOMERS: Final = ("AWS_IAM", "NONE")
_TEST_STAGE: Final = "test-invoke-stage"


class NotAllowedError(Exception):
    """The caller may not do this; the message says why, for the caller to read."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    customer_id: str | None = None
    """Whose orders the caller may see and cancel; None for everybody's."""

    def may_see(self, order: Order) -> bool:
        """Whether an order is the caller's to see and to cancel."""
        if self.customer_id is None:
            return True
        return order.ordered is not None and order.ordered.customer_id == self.customer_id

    def claim(self, placed: OrderPlaced) -> OrderPlaced:
        """The order as this caller may place it: a customer orders for nobody else.

        Raises:
            NotAllowedError: it names another customer.
        """
        if self.customer_id is None or placed.customer_id == self.customer_id:
            return placed
        if placed.customer_id is not UNSET:
            raise NotAllowedError("customer_id is not yours. Leave it out: your token names it.")
        return msgspec.structs.replace(placed, customer_id=self.customer_id)


@dataclass(frozen=True, slots=True)
class Callers:
    """How callers are told apart."""

    authorization: str
    """The template's ApiAuthorization."""
    staff_group: str = ""
    """The user pool's group whose members may do everything, with JWT; empty for none."""

    def identify(self, request: Mapping[str, Any]) -> Caller:
        """Who makes a request.

        Args:
            request: its ``requestContext``, which API Gateway writes and no client can.

        Raises:
            NotAllowedError: there is no verified token, or none of a customer.
        """
        claims = (request.get("authorizer") or {}).get("claims")
        # Claims count whatever the parameter says: while a stack is updated, the stage follows
        # the function.
        if claims is not None:
            return self._identify_holder(claims)
        # A test invocation passes no authorizer. Whoever makes one has an IAM permission for it.
        if self.authorization in _WITHOUT_CUSTOMERS or request.get("stage") == _TEST_STAGE:
            return Caller()
        raise NotAllowedError("The request has no token of a customer.")

    def _identify_holder(self, claims: Mapping[str, str]) -> Caller:
        groups = claims.get("cognito:groups", "").split(",")
        if self.staff_group and self.staff_group in groups:
            return Caller()
        customer_id = claims.get("sub")
        if not _is_customer_id(customer_id):
            raise NotAllowedError("The token names no customer.")
        return Caller(customer_id)


def _is_customer_id(value: object) -> TypeGuard[str]:
    try:
        msgspec.convert(value, CustomerId)
    except msgspec.ValidationError:
        return False
    return True
