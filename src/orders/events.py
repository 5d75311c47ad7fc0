"""The contract: every event on the bus and every body of the API.

Nothing else knows a field's name. Consumers ignore fields they do not know, so a producer may add
fields but never removes one. The JSON Schemas in ``docs/schemas`` are generated from this module.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

WireT = TypeVar("WireT")
EventT = TypeVar("EventT", bound="_Event")

ORDERS: Final = "com.myapp.orders"
PAYMENTS: Final = "com.myapp.payments"
INVENTORY: Final = "com.myapp.inventory"

ORDER_PLACED: Final = "order.placed"
ORDER_CANCEL_REQUESTED: Final = "order.cancel_requested"
ORDER_CONFIRMED: Final = "order.confirmed"
ORDER_CANCELLED: Final = "order.cancelled"
PAYMENT_CHARGED: Final = "payment.charged"
PAYMENT_DECLINED: Final = "payment.declined"
PAYMENT_REFUNDED: Final = "payment.refunded"
INVENTORY_RESERVED: Final = "inventory.reserved"
INVENTORY_REJECTED: Final = "inventory.rejected"
INVENTORY_RELEASED: Final = "inventory.released"

MAX_AMOUNT: Final = Decimal("9999999999.99")
MAX_LINES: Final = 20
MAX_REASON: Final = 3000
"""Characters. More than a shortage of ``MAX_LINES`` articles takes to tell."""
MAX_CHARGE_ID: Final = 255
"""Characters."""

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
# An order is asked for by its id in a URL's path, where `.` and `..` mean a place and no name
# (RFC 3986, 5.2.4).
OrderId = Annotated[
    str,
    Meta(
        pattern=r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$(?!\n)",
        description="1 to 64 characters of A-Z a-z 0-9 . _ -, but not . or .. alone",
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

# A lone surrogate is no character: it has no UTF-8 form.
_NO_LONE_SURROGATE: Final = r"^[^\ud800-\udfff]*$(?!\n)"
Reason = Annotated[
    str,
    Meta(
        max_length=MAX_REASON,
        pattern=_NO_LONE_SURROGATE,
        description=f"in words a person can act on, at most {MAX_REASON:,} characters",
    ),
]
ChargeId = Annotated[
    str,
    Meta(
        max_length=MAX_CHARGE_ID,
        pattern=_NO_LONE_SURROGATE,
        description="the card processor's name of the charge",
    ),
]
# Days that the calendar has: what fits can be parsed. Of this century, in which every fourth year
# is a leap year; and in UTC with whole seconds or milliseconds, so that the texts sort as the times
# do, to the second.
_DATE: Final = (
    r"20(?:[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[02468][048]|[13579][26])-02-29)"
)
Time = Annotated[
    str,
    Meta(
        pattern=rf"^{_DATE}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{3}})?Z$(?!\n)",
        description="a UTC time of the years 2000 to 2099 (RFC 3339), such as 2026-08-18T09:30:00Z",
        extra_json_schema={"format": "date-time"},
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


class OrderCancelRequested(msgspec.Struct, frozen=True, kw_only=True):
    """``order.cancel_requested``: somebody wants the order cancelled; the tracker decides."""

    order_id: OrderId
    reason: Reason = "cancel requested"


class OrderConfirmed(msgspec.Struct, frozen=True, kw_only=True):
    """``order.confirmed``: paid and reserved. Final."""

    order_id: OrderId
    placed_at: Time | UnsetType = UNSET


class OrderCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """``order.cancelled``: whatever was charged goes back, whatever was reserved is released."""

    order_id: OrderId
    reason: Reason = ""
    placed_at: Time | UnsetType = UNSET


class PaymentCharged(msgspec.Struct, frozen=True, kw_only=True):
    """``payment.charged``: the card was charged."""

    order_id: OrderId
    amount: Amount
    currency: Currency
    charge_id: ChargeId


class PaymentDeclined(msgspec.Struct, frozen=True, kw_only=True):
    """``payment.declined``: the card was declined, and nothing was charged."""

    order_id: OrderId
    reason: Reason


class PaymentRefunded(msgspec.Struct, frozen=True, kw_only=True):
    """``payment.refunded``: what was charged went back."""

    order_id: OrderId
    amount: Amount
    currency: Currency


class InventoryReserved(msgspec.Struct, frozen=True, kw_only=True):
    """``inventory.reserved``: the lines are set aside for the order."""

    order_id: OrderId
    items: tuple[OrderLine, ...] = ()


class InventoryRejected(msgspec.Struct, frozen=True, kw_only=True):
    """``inventory.rejected``: the stock does not cover the order, and nothing was set aside."""

    order_id: OrderId
    reason: Reason


class InventoryReleased(msgspec.Struct, frozen=True, kw_only=True):
    """``inventory.released``: what was set aside is in the stock again."""

    order_id: OrderId
    items: tuple[OrderLine, ...] = ()


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message on the topic ``order-updates.fifo``: what a shop's own services need to know."""

    order_id: OrderId
    status: Literal["placed", "confirmed", "cancelled"]
    at: Time
    reason: Reason | UnsetType = UNSET


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="detail-type"):
    """An event as EventBridge hands it to a target: the detail, and the facts around it."""

    source: str
    time: Time
    detail: msgspec.Struct


class OrderPlacedEvent(_Event, frozen=True, kw_only=True, tag=ORDER_PLACED):
    """``order.placed`` in its envelope."""

    detail: OrderPlaced


class OrderCancelRequestedEvent(_Event, frozen=True, kw_only=True, tag=ORDER_CANCEL_REQUESTED):
    """``order.cancel_requested`` in its envelope."""

    detail: OrderCancelRequested


class OrderConfirmedEvent(_Event, frozen=True, kw_only=True, tag=ORDER_CONFIRMED):
    """``order.confirmed`` in its envelope."""

    detail: OrderConfirmed


class OrderCancelledEvent(_Event, frozen=True, kw_only=True, tag=ORDER_CANCELLED):
    """``order.cancelled`` in its envelope."""

    detail: OrderCancelled


class PaymentChargedEvent(_Event, frozen=True, kw_only=True, tag=PAYMENT_CHARGED):
    """``payment.charged`` in its envelope."""

    detail: PaymentCharged


class PaymentDeclinedEvent(_Event, frozen=True, kw_only=True, tag=PAYMENT_DECLINED):
    """``payment.declined`` in its envelope."""

    detail: PaymentDeclined


class PaymentRefundedEvent(_Event, frozen=True, kw_only=True, tag=PAYMENT_REFUNDED):
    """``payment.refunded`` in its envelope."""

    detail: PaymentRefunded


class InventoryReservedEvent(_Event, frozen=True, kw_only=True, tag=INVENTORY_RESERVED):
    """``inventory.reserved`` in its envelope."""

    detail: InventoryReserved


class InventoryRejectedEvent(_Event, frozen=True, kw_only=True, tag=INVENTORY_REJECTED):
    """``inventory.rejected`` in its envelope."""

    detail: InventoryRejected


class InventoryReleasedEvent(_Event, frozen=True, kw_only=True, tag=INVENTORY_RELEASED):
    """``inventory.released`` in its envelope."""

    detail: InventoryReleased


Command = OrderPlacedEvent | OrderCancelledEvent
"""What payments and inventory act on."""

Outcome = (
    PaymentChargedEvent
    | PaymentDeclinedEvent
    | PaymentRefundedEvent
    | InventoryReservedEvent
    | InventoryRejectedEvent
    | InventoryReleasedEvent
    | OrderCancelRequestedEvent
    | OrderCancelledEvent
)
"""What the tracker follows."""

Milestone = OrderPlacedEvent | OrderConfirmedEvent | OrderCancelledEvent
"""What the shop's own services are told of."""


class UnreadableEventError(ValueError):
    """It is not an event of this contract; the message says what is wrong and where.

    The message has nothing of the event's own text, so that it can be logged.
    """


_encoder = msgspec.json.Encoder(decimal_format="number")
_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_outcome_decoder: msgspec.json.Decoder[Outcome] = msgspec.json.Decoder(Outcome)

ROUTING: Final[dict[type[msgspec.Struct], tuple[str, str]]] = {
    OrderPlaced: (ORDERS, ORDER_PLACED),
    OrderCancelRequested: (ORDERS, ORDER_CANCEL_REQUESTED),
    OrderConfirmed: (ORDERS, ORDER_CONFIRMED),
    OrderCancelled: (ORDERS, ORDER_CANCELLED),
    PaymentCharged: (PAYMENTS, PAYMENT_CHARGED),
    PaymentDeclined: (PAYMENTS, PAYMENT_DECLINED),
    PaymentRefunded: (PAYMENTS, PAYMENT_REFUNDED),
    InventoryReserved: (INVENTORY, INVENTORY_RESERVED),
    InventoryRejected: (INVENTORY, INVENTORY_REJECTED),
    InventoryReleased: (INVENTORY, INVENTORY_RELEASED),
}
"""The source and the detail-type under which each detail is published."""

_REWORDED: Final = {
    "Invalid value ": "Unknown value",
    "Invalid enum value ": "Unknown value",
    "Expected `str` matching regex ": "Text of another form than it must have",
}
"""What is not said in the decoder's words: it quotes the event, or a pattern nobody can read."""


def is_order_id(text: str) -> bool:
    """Whether an order can have this id."""
    try:
        msgspec.convert(text, OrderId)
    except msgspec.ValidationError:
        return False
    return True


def check_amount(amount: Decimal) -> None:
    """Raise ValueError unless ``amount`` is 0 to 9,999,999,999.99 in whole cents."""
    # NaN does not compare, and rounding 1e999999 would cost minutes: the cheap checks come first.
    if not amount.is_finite() or not 0 <= amount <= MAX_AMOUNT or amount != round(amount, 2):
        raise ValueError("amount must be from 0 to 9,999,999,999.99 with at most 2 decimals")


def check_distinct_skus(lines: tuple[OrderLine, ...]) -> None:
    """Raise ValueError when a SKU stands in more than one line."""
    if len({line.sku for line in lines}) != len(lines):
        raise ValueError("items must not name a SKU twice")


def is_time(text: str) -> bool:
    """Whether the contract takes this as a time."""
    try:
        msgspec.convert(text, Time)
    except msgspec.ValidationError:
        return False
    return True


def fitted(text: str, most: int) -> str:
    """A text from elsewhere as the contract takes it: sound Unicode, cut to its bound.

    Args:
        text: such as a card processor's answer.
        most: how many characters it may have.
    """
    sound = text.encode(errors="replace").decode()
    return sound if len(sound) <= most else sound[: most - 1] + "…"


def encode(value: msgspec.Struct | dict[str, Any]) -> str:
    """The JSON text of an event or a body; amounts are JSON numbers, exact to the digit.

    Raises:
        UnicodeEncodeError: a text has a lone surrogate, which no text of this contract has.
    """
    return _encoder.encode(value).decode()


def decode_command(body: str) -> Command:
    """Read what EventBridge puts on the queues ``payments`` and ``inventory``.

    Raises:
        UnreadableEventError: it is not JSON, is another event, does not fit the contract, or is
            not from the source that such events are published by.
    """
    return _read(_command_decoder.decode, body)


def decode_outcome(body: str) -> Outcome:
    """Read what EventBridge puts on the queue ``order-outcomes``.

    Raises:
        UnreadableEventError: it is not JSON, is another event, does not fit the contract, or is
            not from the source that such events are published by.
    """
    return _read(_outcome_decoder.decode, body)


def convert_milestone(event: dict[str, Any]) -> Milestone:
    """Read what EventBridge hands to the function ``notifications``.

    Raises:
        UnreadableEventError: it is another event, does not fit the contract, or is not from the
            source that such events are published by.
    """
    return _read(_to_milestone, event)


def _to_milestone(event: dict[str, Any]) -> Milestone:
    milestone: Milestone = msgspec.convert(event, Milestone)
    return milestone


def _read(read: Callable[[WireT], EventT], wire: WireT) -> EventT:
    try:
        event = read(wire)
    except msgspec.DecodeError as error:
        raise UnreadableEventError(_what_is_wrong(error)) from None
    except UnicodeError:
        raise UnreadableEventError("It has a lone surrogate, which is no character") from None
    except RecursionError:
        raise UnreadableEventError("It is nested too deeply") from None
    # Who may publish under a source is for IAM to say, so a source is only good for its own facts.
    source, detail_type = ROUTING[type(event.detail)]
    if event.source != source:
        raise UnreadableEventError(
            f"{detail_type} counts from {source} only, and is from another source"
        )
    return event


def _what_is_wrong(error: msgspec.DecodeError) -> str:
    text = str(error)
    for beginning, words in _REWORDED.items():
        if text.startswith(beginning):
            return words + text[text.rfind(" - at `") :]
    return text
