"""The events, as pydantic models."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from aws_lambda_powertools.utilities.parser.models import EventBridgeModel
from pydantic import BaseModel, Field


class Line(BaseModel):
    """So many of one article."""

    sku: str = Field(pattern=r"^[!-~]{1,64}$")
    quantity: int = Field(ge=1, le=1_000_000)


class Order(BaseModel):
    """What was ordered."""

    order_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    amount: Decimal = Field(ge=0, decimal_places=2)
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    customer_id: str | None = None
    items: list[Line] = Field(default=[], max_length=20)


class OrderPlaced(EventBridgeModel):
    """``order.placed`` in its envelope."""

    detail: Order


class Outcome(BaseModel):
    """What payments or inventory have to say of an order."""

    order_id: str
    reason: str | None = None


class OutcomeEvent(EventBridgeModel):
    """An outcome in its envelope."""

    detail: Outcome


class Milestone(EventBridgeModel):
    """An order was placed, confirmed or cancelled."""

    detail: Outcome


Status = Literal["placed", "confirmed", "cancelled"]
Item = dict[str, Any]
