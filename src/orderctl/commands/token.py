"""`orderctl token`: a made-up customer's token for the local cloud's API."""

from __future__ import annotations

import sys

from orderctl import tokens
from orderctl.commands.connection import connected


def token(customer: str, staff: bool) -> None:
    """Print a token, alone on its line.

    Args:
        customer: The name of the customer, who is made up on the spot.
        staff: Whether the customer belongs to the shop's staff.

    Raises:
        NoTokenError: The stack is on AWS, or its API takes no tokens.
    """
    with connected() as pipeline:
        made = tokens.made_up(
            pipeline.session,
            pipeline.outputs["ApiUrl"],
            pipeline.parameters(),
            customer=customer,
            staff=staff,
        )
    sys.stdout.write(f"{made}\n")
