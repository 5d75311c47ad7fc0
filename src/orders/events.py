"""The contract: every event on the bus and every body of the API.

A field is named here and nowhere else, except where something is decided by it: an optional field
added to ``OrderPlaced`` goes through the API, the table and the bus by itself. Consumers ignore
fields they do not know, so a producer may add fields but never removes one. The JSON Schemas in
``docs/schemas`` are generated from this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import asdict

ORDERS: Final = "com.myapp.orders"
PAYMENTS: Final = "com.myapp.payments"
INVENTORY: Final = "com.myapp.inventory"
CIRCUITS: Final = "com.myapp.circuits"

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
Tries = Annotated[int, Meta(ge=0, description="tries of the card processor")]
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
        extra_json_schema={
            "type": "number",
            "format": "decimal",
            "minimum": 0,
            "maximum": 9999999999.99,
        },
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
Fingerprint = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{16}$(?!\n)",
        description="of the order.placed that was acted on: two orders under one id differ in it",
    ),
]
Version = Annotated[
    int,
    Meta(
        ge=0,
        description="how many things had happened to the order when it came to stand so: "
        "a higher one is newer, and the same one is a repetition",
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
_TO_THE_SECOND: Final = len("2026-08-18T09:30:00")
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


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What an event on the bus says."""

    source: ClassVar[str]
    """Who alone may publish it."""
    detail_type: ClassVar[str]


class Detail(Announcement, frozen=True, kw_only=True):
    """What an event says that is about an order."""

    order_id: OrderId


class Notice(Announcement, frozen=True, kw_only=True):
    """What an event says that is about the pipeline, and not about one order."""


class OrderPlaced(Detail, frozen=True, kw_only=True):
    """``order.placed``: a valid order was taken. ``POST /orders`` has the same fields."""

    source = ORDERS
    detail_type = "order.placed"

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

    @property
    def fingerprint(self) -> str:
        """What was ordered, in 16 characters: two different orders under one id differ in it.

        Whoever reads the event makes it of what is in there, so that nobody can claim another one.
        A field that is added later is not part of it: old and new code must agree on it.
        """
        customer_id = None if self.customer_id is UNSET else self.customer_id
        lines = sorted((line.sku, line.quantity) for line in self.items)
        what = (self.order_id, int(self.amount * 100), self.currency, customer_id, lines)
        return sha256(msgspec.json.encode(what)).hexdigest()[:16]


class OrderCancelRequested(Detail, frozen=True, kw_only=True):
    """``order.cancel_requested``: somebody wants the order cancelled; the tracker decides."""

    source = ORDERS
    detail_type = "order.cancel_requested"

    reason: Reason = "cancel requested"


class OrderConfirmed(Detail, frozen=True, kw_only=True):
    """``order.confirmed``: paid and reserved. Final."""

    source = ORDERS
    detail_type = "order.confirmed"

    placed_at: Time | UnsetType = UNSET
    version: Version | UnsetType = UNSET


class OrderCancelled(Detail, frozen=True, kw_only=True):
    """``order.cancelled``: whatever was charged goes back, whatever was reserved is released."""

    source = ORDERS
    detail_type = "order.cancelled"

    reason: Reason = ""
    placed_at: Time | UnsetType = UNSET
    version: Version | UnsetType = UNSET
    """Unset from a publisher that does not have it from the order's record."""


class PaymentCharged(Detail, frozen=True, kw_only=True):
    """``payment.charged``: the card was charged."""

    source = PAYMENTS
    detail_type = "payment.charged"

    amount: Amount
    currency: Currency
    charge_id: ChargeId
    fingerprint: Fingerprint | UnsetType = UNSET


class PaymentDeclined(Detail, frozen=True, kw_only=True):
    """``payment.declined``: the card was declined, and nothing was charged."""

    source = PAYMENTS
    detail_type = "payment.declined"

    reason: Reason
    fingerprint: Fingerprint | UnsetType = UNSET


class PaymentRefunded(Detail, frozen=True, kw_only=True):
    """``payment.refunded``: what was charged went back."""

    source = PAYMENTS
    detail_type = "payment.refunded"

    amount: Amount
    currency: Currency


class InventoryReserved(Detail, frozen=True, kw_only=True):
    """``inventory.reserved``: the lines are set aside for the order."""

    source = INVENTORY
    detail_type = "inventory.reserved"

    items: tuple[OrderLine, ...] = ()
    fingerprint: Fingerprint | UnsetType = UNSET


class InventoryRejected(Detail, frozen=True, kw_only=True):
    """``inventory.rejected``: the stock does not cover the order, and nothing was set aside."""

    source = INVENTORY
    detail_type = "inventory.rejected"

    reason: Reason
    fingerprint: Fingerprint | UnsetType = UNSET


class InventoryReleased(Detail, frozen=True, kw_only=True):
    """``inventory.released``: what was set aside is in the stock again."""

    source = INVENTORY
    detail_type = "inventory.released"

    items: tuple[OrderLine, ...] = ()


class PaymentsFailing(Notice, frozen=True, kw_only=True):
    """``payments.failing``: most of the last tries of the card processor have failed."""

    source = PAYMENTS
    detail_type = "payments.failing"

    tries: Tries
    """How many are known."""
    failed: Tries


class CircuitOpened(Notice, frozen=True, kw_only=True):
    """``circuit.opened``: a consumer is paused until what it needs answers again."""

    source = CIRCUITS
    detail_type = "circuit.opened"

    consumer: str
    reason: Reason
    since: Time


class CircuitClosed(Notice, frozen=True, kw_only=True):
    """``circuit.closed``: the consumer takes messages again."""

    source = CIRCUITS
    detail_type = "circuit.closed"

    consumer: str
    since: Time


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message on the topic ``order-updates.fifo``: what a shop's own services need to know."""

    order_id: OrderId
    status: Literal["placed", "confirmed", "cancelled"]
    version: Version | UnsetType = UNSET
    """Every update has one; those that wait on a queue from before it was introduced have none."""
    at: Time
    reason: Reason | UnsetType = UNSET


DetailT = TypeVar("DetailT", bound=Announcement)


class Event(msgspec.Struct, Generic[DetailT], frozen=True):
    """An event as a consumer reads it."""

    time: str
    """When it was published: to the millisecond, or by EventBridge's clock in whole seconds."""
    detail: DetailT


Command = Event[OrderPlaced | OrderCancelled]
"""What payments and inventory act on."""

Outcome = Event[
    PaymentCharged
    | PaymentDeclined
    | PaymentRefunded
    | InventoryReserved
    | InventoryRejected
    | InventoryReleased
    | OrderCancelRequested
    | OrderCancelled
]
"""What the tracker follows."""

Milestone = Event[OrderPlaced | OrderConfirmed | OrderCancelled]
"""What the shop's own services are notified of."""

Alert = Event[PaymentsFailing]
"""What the circuit breaker acts on."""


class _Envelope(msgspec.Struct, frozen=True, rename={"detail_type": "detail-type"}):
    """What EventBridge puts around a detail, as far as a consumer looks at it."""

    source: str
    detail_type: str
    time: Time
    detail: Any


class _JsonEnvelope(_Envelope, frozen=True, rename={"detail_type": "detail-type"}):
    """An envelope whose detail is still JSON text."""

    detail: msgspec.Raw


class _Stamp(msgspec.Struct, frozen=True):
    """What the detail of an event says beside what its kind does."""

    at: Any = UNSET
    """Another publisher may have something else under this name."""


class UnreadableEventError(ValueError):
    """It is not an event of this contract; the message says what is wrong and where.

    The message has nothing of the event's own text, so that it can be logged.
    """


ROUTING: Final = {
    kind: (kind.source, kind.detail_type)
    for kind in (*Detail.__subclasses__(), *Notice.__subclasses__())
}
"""The source and the detail-type under which each announcement is published."""

_encoder = msgspec.json.Encoder(decimal_format="number")
_decode_envelope = msgspec.json.Decoder(_JsonEnvelope).decode


def _details_of(event: Any) -> dict[str, Any]:  # noqa: ANN401 - an alias such as Command
    """The types of detail that such an event can have, by detail-type."""
    (details,) = get_args(event)
    # A union has its members as arguments; an event of one kind is no union.
    return {detail.detail_type: detail for detail in get_args(details) or (details,)}


_COMMANDS: Final = _details_of(Command)
_OUTCOMES: Final = _details_of(Outcome)
_MILESTONES: Final = _details_of(Milestone)
_ALERTS: Final = _details_of(Alert)
_ALL: Final = {detail.detail_type: detail for detail in ROUTING}

_REWORDED: Final = {
    "Invalid enum value ": "Unknown value",
    "Expected `str` matching regex ": "Text in the wrong form",
}
"""By the beginning of a decoder's message, what is said instead.

The decoder quotes the event, or a pattern that nobody can read.
"""


def is_order_id(text: str) -> bool:
    """Whether an order can have this id."""
    return _fits(text, OrderId)


def is_time(text: str) -> bool:
    """Whether the contract takes this as a time."""
    return _fits(text, Time)


def _fits(text: str, kind: Any) -> bool:  # noqa: ANN401 - a type of the contract
    try:
        msgspec.convert(text, kind)
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


def money(amount: Decimal, currency: str) -> str:
    """A sum as a person reads it: ``12.50 USD``; with more decimals only where it has more."""
    text = f"{amount:.2f}"
    return f"{text if Decimal(text) == amount else amount} {currency}"


def fit(text: str, max_length: int) -> str:
    """Make a text from elsewhere fit the contract: valid Unicode, cut to a length.

    Args:
        text: such as a card processor's answer.
        max_length: in characters.
    """
    valid = text.encode(errors="replace").decode()
    return valid if len(valid) <= max_length else valid[: max_length - 1] + "…"


def encode(value: msgspec.Struct | dict[str, Any]) -> str:
    """The JSON text of an event or a body; amounts are JSON numbers, exact to the digit.

    Raises:
        UnicodeEncodeError: a text has a lone surrogate, which no text of this contract has.
    """
    return _encoder.encode(value).decode()


def encode_event(detail: Announcement, at: str) -> str:
    """The JSON text of an event's detail: what it says, and when that is published.

    EventBridge's own ``time`` has whole seconds.

    Raises:
        UnicodeEncodeError: a text has a lone surrogate, which no text of this contract has.
    """
    says = {name: value for name, value in asdict(detail).items() if value is not UNSET}
    return encode({**says, "at": at})


def decode_command(body: str) -> Command:
    """Read what EventBridge puts on the queues ``payments`` and ``inventory``.

    Raises:
        UnreadableEventError: it is not JSON, is another event, does not fit the contract, or is
            not from the source that publishes such events.
    """
    return _read(_decode_envelope, msgspec.json.decode, body, _COMMANDS)


def decode_outcome(body: str) -> Outcome:
    """Read what EventBridge puts on the queue ``order-outcomes``.

    Raises:
        UnreadableEventError: it is not JSON, is another event, does not fit the contract, or is
            not from the source that publishes such events.
    """
    return _read(_decode_envelope, msgspec.json.decode, body, _OUTCOMES)


def decode_event(body: str) -> Event[Any]:
    """Read any event of the pipeline, as a target of the bus gets it.

    Raises:
        UnreadableEventError: it is not JSON, is another event, does not fit the contract, or is
            not from the source that publishes such events.
    """
    return _read(_decode_envelope, msgspec.json.decode, body, _ALL)


def convert_milestone(event: dict[str, Any]) -> Milestone:
    """Read what EventBridge hands to the function ``notifications``.

    Raises:
        UnreadableEventError: it is another event, does not fit the contract, or is not from the
            source that publishes such events.
    """
    return _read(_convert_envelope, msgspec.convert, event, _MILESTONES)


def convert_alert(event: dict[str, Any]) -> Alert:
    """Read what EventBridge hands to the function ``circuit-breaker``.

    Raises:
        UnreadableEventError: it is another event, does not fit the contract, or is not from the
            source that publishes such events.
    """
    return _read(_convert_envelope, msgspec.convert, event, _ALERTS)


def _convert_envelope(event: dict[str, Any]) -> _Envelope:
    return msgspec.convert(event, _Envelope)


def _read(
    read_envelope: Callable[[Any], _Envelope],
    read_detail: Callable[..., Any],
    wire: str | dict[str, Any],
    details: Mapping[str, type[Announcement]],
) -> Event[Any]:
    """Read the envelope first: it says what the detail is."""
    place = "$"
    try:
        envelope = read_envelope(wire)
        detail_type = _detail_type_of(envelope, details)
        place = "$.detail"
        detail = read_detail(envelope.detail, type=detail_type)
        return Event(_published_at(envelope, read_detail(envelope.detail, type=_Stamp)), detail)
    except msgspec.DecodeError as error:
        raise UnreadableEventError(describe(error, place)) from None
    except UnicodeError:
        raise UnreadableEventError("It has a lone surrogate, which is no character") from None
    except RecursionError:
        raise UnreadableEventError("It is nested too deeply") from None


def _published_at(envelope: _Envelope, stamp: _Stamp) -> str:
    """When an event was published, to the millisecond if its publisher says so.

    It is not believed that an event was published in a later second than EventBridge got it.
    """
    at = stamp.at
    if isinstance(at, str) and is_time(at) and at[:_TO_THE_SECOND] <= envelope.time:
        return at
    return envelope.time


def _detail_type_of(
    envelope: _Envelope, details: Mapping[str, type[Announcement]]
) -> type[Announcement]:
    """The type of an envelope's detail.

    Raises:
        UnreadableEventError: no such event is expected here, or not from this source.
    """
    detail = details.get(envelope.detail_type)
    if detail is None:
        raise UnreadableEventError("Unknown value - at `$.detail-type`")
    # IAM says who may publish under a source, so each source may only state its own facts.
    if envelope.source != detail.source:
        raise UnreadableEventError(
            f"{detail.detail_type} must come from {detail.source}, and is from another source"
        )
    return detail


def describe(error: msgspec.DecodeError, place: str = "$") -> str:
    """Say what is wrong, and where, without what was written there.

    Args:
        error: of the decoder, which knows the place within what it has decoded.
        place: where that stands in the whole, such as ``$.detail``.
    """
    text, _, path = str(error).partition(" - at `$")
    words = next((w for beginning, w in _REWORDED.items() if text.startswith(beginning)), text)
    where = f"{place}{path.removesuffix('`')}"
    return words if where == "$" else f"{words} - at `{where}`"
