"""`orderctl token`: prints a made-up customer's token for the local cloud's API."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from orderctl.commands import app
from orderctl.pipeline import tokens
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Target


@app.command(
    help_epilogue='Example: curl -H "Authorization: Bearer $(orderctl token --customer alice)" '
    "$API_URL/orders/order-1",
)
def token(
    *,
    customer: Annotated[str, Parameter(metavar="NAME")],
    staff: bool = False,
    target: Target = Target(),
) -> None:
    """Print a made-up customer's token, for a local API with ApiAuthorization=JWT.

    It is valid for an hour. On AWS customers sign in with the shop's own user pool; orderctl's
    other commands take their token from the variable ORDERCTL_TOKEN there.

    Args:
        customer: The customer's name; a new customer is created.
        staff: Make it a member of the shop's staff, who see all orders.
        target: Which stack.

    Raises:
        OrderctlError: The stack is on AWS, or its API takes no tokens.
    """
    with connect(target) as pipeline:
        made = tokens.issue(
            pipeline.session,
            pipeline.stack.outputs["ApiUrl"],
            pipeline.stack.parameters(),
            customer=customer,
            staff=staff,
        )
    console.script([made])
