"""The contract: every event on the bus and every body of the API.

Nothing else knows a field's name. Consumers ignore fields they do not know, so a producer may add
fields but never removes one. The JSON Schemas in ``docs/schemas`` are generated from this module.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

ORDERS: Final = "com.myapp.orders"
"""The event source of everything that happens to an order as a whole."""

ORDER_PLACED: Final = "order.placed"

MAX_AMOUNT: Final = Decimal("9999999999.99")
MAX_LINES: Final = 20

_ISO_4217: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP
GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR
KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN
MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES: Final = frozenset(_ISO_4217.split())
"""The active codes of ISO 4217 that money is paid in (no metals, funds or test codes)."""

# `$` also matches before a final newline; the lookahead closes that gap and stays valid ECMA 262.
OrderId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,64}$(?!\n)",
        description="1 to 64 characters of A-Z a-z 0-9 . _ -",
    ),
]
Sku = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,64}$(?!\n)",
        description="1 to 64 printable ASCII characters without spaces",
    ),
]
Quantity = Annotated[
    int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1,000,000")
]
CustomerId = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]{1,128}$(?!\n)",
        description="1 to 128 characters, none of them a control character",
    ),
]
Amount = Annotated[
    Decimal,
    Meta(
        description="a number from 0 to 9,999,999,999.99 with at most 2 decimals",
        extra_json_schema={"type": "number", "format": "decimal", "minimum": 0},
    ),
]
Currency = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{3}$(?!\n)",
        description="an ISO 4217 code of three capital letters, such as USD",
    ),
]


class OrderLine(msgspec.Struct, frozen=True):
    """So many of one article."""

    sku: Sku
    quantity: Quantity


OrderLines = Annotated[
    tuple[OrderLine, ...],
    Meta(max_length=MAX_LINES, description="a list of 1 to 20 {sku, quantity}, no SKU twice"),
]


class OrderPlaced(msgspec.Struct, frozen=True, kw_only=True):
    """``order.placed``: a valid order was taken. ``POST /orders`` has the same fields."""

    order_id: OrderId
    amount: Amount
    currency: Currency = "USD"
    customer_id: CustomerId | UnsetType = UNSET
    items: OrderLines = ()

    def __post_init__(self) -> None:
        """Check what a schema cannot say.

        Raises:
            ValueError: the amount is out of range or finer than a cent, or a SKU stands twice.
        """
        check_amount(self.amount)
        check_distinct_skus(self.items)


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A message on the topic ``order-updates.fifo``: what a shop's own services need to know."""

    order_id: OrderId
    status: Literal["placed"]
    at: str
    amount: Amount
    currency: Currency
    customer_id: CustomerId | UnsetType = UNSET


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="detail-type"):
    """An event as EventBridge hands it to a target: the detail, and the facts around it."""

    id: str
    source: str
    time: str


class OrderPlacedEvent(_Event, frozen=True, kw_only=True, tag=ORDER_PLACED):
    """``order.placed`` in its envelope."""

    detail: OrderPlaced


class UnreadableEventError(ValueError):
    """The text is not an event of this contract; the message says what is wrong and where."""


_encoder = msgspec.json.Encoder(decimal_format="number")
_order_placed_decoder = msgspec.json.Decoder(OrderPlacedEvent)


def check_amount(amount: Decimal) -> None:
    """Raise ValueError unless ``amount`` is 0 to 9,999,999,999.99 in whole cents."""
    # NaN does not compare, and rounding 1e999999 would cost minutes: the cheap checks come first.
    if not amount.is_finite() or not 0 <= amount <= MAX_AMOUNT or amount != round(amount, 2):
        raise ValueError("amount must be from 0 to 9,999,999,999.99 with at most 2 decimals")


def check_distinct_skus(lines: tuple[OrderLine, ...]) -> None:
    """Raise ValueError when a SKU stands in more than one line."""
    if len({line.sku for line in lines}) != len(lines):
        raise ValueError("items must not name a SKU twice")


def encode(value: msgspec.Struct | dict[str, Any]) -> str:
    """The JSON text of an event or a body; amounts are JSON numbers, exact to the digit."""
    return _encoder.encode(value).decode()


def decode_order_placed(body: str) -> OrderPlaced:
    """Read an ``order.placed`` event as EventBridge puts it on a queue.

    Raises:
        UnreadableEventError: it is not JSON, is another event, or does not fit the contract.
    """
    try:
        return _order_placed_decoder.decode(body).detail
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UnreadableEventError(str(error)) from error


def convert_order_placed(event: dict[str, Any]) -> OrderPlacedEvent:
    """Read an ``order.placed`` event as EventBridge hands it to a Lambda function.

    Raises:
        UnreadableEventError: it is another event, or does not fit the contract.
    """
    try:
        return msgspec.convert(event, OrderPlacedEvent)
    except msgspec.ValidationError as error:
        raise UnreadableEventError(str(error)) from error
