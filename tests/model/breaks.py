"""Mistakes in the models, made on purpose: each must be found by what the verifier checks."""

from __future__ import annotations

from typing import Final, NamedTuple

CHARGED_ONCE: Final = "charged and refunded at most once"
REASON: Final = "nothing is cancelled without a reason"
STOCK_ADDS_UP: Final = "stock is never negative, none is lost or made"
TOLD_CONFIRMED: Final = "whoever is told confirmed is charged and has the goods"
DECISION_STANDS: Final = "a decision stands"
NO_HELP: Final = "only what was never published has to be published again"
PAID: Final = "in the end charged if and only if confirmed"
BOOKS: Final = "in the end charged in the processor's books if and only if confirmed"
HELD: Final = "in the end reserved if and only if confirmed"
NOTED_PAYMENT: Final = "in the end the record tells the payment"
NOTED_STOCK: Final = "in the end the record tells the reservation"
ENDS: Final = "every order ends"
PIECES_ADD_UP: Final = "no piece is sold twice, lost or made"
SHELF_GONE: Final = "a shelf that is gone holds nothing"
ALL_OR_NOTHING: Final = "an order has all that it wants, or nothing"
NOT_THERE: Final = "nobody is turned away for pieces that are there"
LOOK: Final = "at some moment of the look there was too little"

IN_THE_VERIFIERS_WORDS: Final = {
    CHARGED_ONCE: "charges<=1",
    REASON: "||cancel_requested",
    STOCK_ADDS_UP: "available>=0",
    TOLD_CONFIRMED: "!=2)||cancelled_from_outside)",
    DECISION_STANDS: "is==status",
    NO_HELP: "never_published",
    PAID: ")||((payment==",
    BOOKS: ")||(((charges-refunds)==1)==",
    HELD: ")||((reservation==",
    NOTED_PAYMENT: "noted_payment==payment",
    NOTED_STOCK: "noted_stock==reservation",
    ENDS: "acceptance cycle",
    PIECES_ADD_UP: "==put_in",
    SHELF_GONE: "is_open||",
    ALL_OR_NOTHING: "? (wants[order])",
    NOT_THERE: "||put_back",
    LOOK: "fewest[me]",
}
"""A part of what it prints, by what does not hold."""


class Break(NamedTuple):
    """A mistake."""

    text: str
    """What is in the model."""
    instead: str
    scope: str
    """Its name."""
    found: str
    """What does not hold then."""


BREAKS: Final = {
    "the processor charges whenever it is asked": Break(
        ":: !refuses && answered == none ->", ":: !refuses ->", "one fault", CHARGED_ONCE
    ),
    "the processor refunds whenever it is asked": Break(
        "    refunds = charges\n", "    refunds++\n", "no fault", CHARGED_ONCE
    ),
    "payments writes without looking whether somebody else did": Break(
        ":: next == seen || payment == seen ->",
        ":: true ->",
        "two of payments at once, no fault",
        NO_HELP,
    ),
    "payments drops a message when somebody else was quicker": Break(
        ":: next != seen && payment != seen -> put_back(to_payments, event)",
        ":: next != seen && payment != seen -> done(event)",
        "two of payments at once, no fault",
        NO_HELP,
    ),
    "payments publishes before it writes": Break(
        """                payment = (next == seen -> payment : next);
                answer = (event == PLACED && next == charged -> CHARGED :
                         (event == PLACED && next == declined -> DECLINED :
                         (next == refunded -> REFUNDED : NOTHING)));
                publish_or_die(answer, to_payments, event)
""",
        """                answer = (event == PLACED && next == charged -> CHARGED :
                         (event == PLACED && next == declined -> DECLINED :
                         (next == refunded -> REFUNDED : NOTHING)));
                publish(answer);
                if
                :: payment = (next == seen -> payment : next); done(event)
                :: faults > 0 -> faults--; put_back(to_payments, event)
                fi
""",
        "one fault",
        NO_HELP,
    ),
    "a repeat of a charged order is not answered": Break(
        "(event == PLACED && next == charged -> CHARGED",
        "(event == PLACED && next == charged && next != seen -> CHARGED",
        "one fault",
        NO_HELP,
    ),
    "a declined card is told once, and not again": Break(
        "(event == PLACED && next == declined -> DECLINED",
        "(event == PLACED && next == declined && next != seen -> DECLINED",
        "one fault",
        NOTED_PAYMENT,
    ),
    "a refund is told once, and not again": Break(
        "(next == refunded -> REFUNDED",
        "(next == refunded && next != seen -> REFUNDED",
        "one fault",
        NO_HELP,
    ),
    "a refund is not told": Break(
        "(next == refunded -> REFUNDED : NOTHING)", "NOTHING", "no fault", NO_HELP
    ),
    "a refund is written, and the processor not asked": Break(
        ":: event == CANCELLED && seen == charged -> cancel_charge(); next = refunded",
        ":: event == CANCELLED && seen == charged -> next = refunded",
        "no fault",
        BOOKS,
    ),
    "payments and the tracker answer each other for ever": Break(
        "(event == PLACED && next == declined -> DECLINED",
        "(next == declined -> DECLINED",
        "every order ends, no fault",
        ENDS,
    ),
    "stock is taken that is not there": Break(
        "seen == none && available > 0 ->", "seen == none ->", "no fault", STOCK_ADDS_UP
    ),
    "inventory writes without looking whether somebody else did": Break(
        ":: next == seen || reservation == seen ->",
        ":: true ->",
        "two of inventory at once, no fault",
        NOTED_STOCK,
    ),
    "stock is taken outside of the transaction": Break(
        """                    reservation = next;
                    available = available - (next == reserved) + (next == released)
""",
        """                    available = available - (next == reserved) + (next == released);
                    if
                    :: reservation = next
                    :: (next == reserved || next == released) && faults > 0 -> faults--
                    fi
""",
        "one fault",
        STOCK_ADDS_UP,
    ),
    "a release is told, and not made": Break(
        """                :: next != seen ->
                    reservation""",
        """                :: next != seen && next != released ->
                    reservation""",
        "no fault",
        HELD,
    ),
    "stock is put back at each cancel": Break(
        """            :: next == seen || reservation == seen ->
                if
""",
        """            :: next == seen || reservation == seen ->
                if
                :: event == CANCELLED && seen == released -> available++
""",
        "one fault",
        STOCK_ADDS_UP,
    ),
    "an order is rejected though there is stock": Break(
        "&& available <= 0 -> next = rejected", "-> next = rejected", "no fault", REASON
    ),
    "inventory forgets an order that was cancelled before it came": Break(
        "            :: event == CANCELLED && seen == none -> next = voided\n"
        "            :: event == CANCELLED && seen == reserved",
        "            :: event == CANCELLED && seen == reserved",
        "no fault",
        NO_HELP,
    ),
    "the tracker writes without looking whether somebody else did": Break(
        ":: status != was || noted_payment != was_payment || noted_stock != was_stock ->",
        ":: false ->",
        "two of the tracker at once, no fault",
        NO_HELP,
    ),
    "the tracker publishes before it writes": Break(
        """                status = is; noted_payment = is_payment; noted_stock = is_stock;
                answer = (is == cancelled && TO_BE_TOLD -> CANCELLED : NOTHING);
                publish_or_die(answer, to_tracker, event)
""",
        """                answer = (is == cancelled && TO_BE_TOLD -> CANCELLED : NOTHING);
                publish(answer);
                if
                :: status = is; noted_payment = is_payment; noted_stock = is_stock; done(event)
                :: faults > 0 -> faults--; put_back(to_tracker, event)
                fi
""",
        "one fault",
        TOLD_CONFIRMED,
    ),
    "a late answer overturns a cancel": Break(
        ":: is == placed && is_payment == charged && is_stock == reserved ->",
        ":: is_payment == charged && is_stock == reserved ->",
        "no fault",
        DECISION_STANDS,
    ),
    "an order is confirmed without its stock": Break(
        ":: is == placed && is_payment == charged && is_stock == reserved ->",
        ":: is == placed && is_payment == charged ->",
        "no fault",
        TOLD_CONFIRMED,
    ),
    "the tracker takes no notice of a rejection": Break(
        "(is_payment == declined || is_stock == rejected ||",
        "(is_payment == declined ||",
        "no fault",
        NO_HELP,
    ),
    "the tracker ignores a request to cancel": Break(
        " || event == CANCEL_REQUESTED) ->", ") ->", "one fault", NO_HELP
    ),
    "the tracker notes no refund": Break(
        ":: event == REFUNDED -> is_payment = refunded\n", "", "no fault", NO_HELP
    ),
    "a decision is told once, and not again": Break(
        "(was != is || (!FOLLOWS &&", "(was != is || (false &&", "one fault", NO_HELP
    ),
    "the tracker answers what follows from its decision": Break(
        "(was != is || (!FOLLOWS &&", "(was != is || (true &&", "every order ends, no fault", ENDS
    ),
    "a cancel from outside is taken for a request": Break(
        ":: event == CANCELLED_OUTSIDE -> is = cancelled",
        ":: event == CANCELLED_OUTSIDE && is == placed -> is = cancelled",
        "no fault",
        PAID,
    ),
    "order-api overwrites an order that is on record": Break(
        ":: atomic { shop_waits && status == unknown ->",
        ":: atomic { shop_waits ->",
        "no fault",
        NO_HELP,
    ),
    "the message of a function that died is gone": Break(
        "    queue = queue | event;\n    done(event)\n", "    done(event)\n", "one fault", NO_HELP
    ),
    "what is parked stays parked": Break(
        "    :: atomic { parked_payments -> publish_again(to_payments, parked_payments) }\n",
        "",
        "every order ends, one fault",
        ENDS,
    ),
    "nobody looks after an order that was never published": Break(
        "            assert(never_published);\n            help()\n",
        "            skip\n",
        "every order ends, one fault",
        ENDS,
    ),
    "the caretaker cancels an order that is confirmed": Break(
        "status != unknown && !FINISHED && faults > 0 -> faults--; help()",
        "status == confirmed && faults > 0 -> faults--; publish(CANCELLED)",
        "one fault",
        TOLD_CONFIRMED,
    ),
    "a shelf's condition is left out": Break(
        ":: first < sum_first || second < sum_second -> falls_short = true",
        ":: false -> skip",
        "stock: two orders, one piece",
        PIECES_ADD_UP,
    ),
    "a reservation's condition is left out": Break(
        ":: moves[order] && reservation[order] != (to_do[order] == release -> reserved : none) ->",
        ":: false ->",
        "stock: two orders, one piece",
        ALL_OR_NOTHING,
    ),
    "a reservation is overwritten by its rejection": Break(
        ":: to_do[order] == reject && reservation[order] == none ->",
        ":: to_do[order] == reject ->",
        "stock: two orders, one piece",
        ALL_OR_NOTHING,
    ),
    "what is split is taken from one shelf only": Break(
        "take_second[order] = wants[order] - left_first",
        "take_second[order] = 0",
        "stock: two orders, two pieces",
        ALL_OR_NOTHING,
    ),
    "a glance is enough to turn somebody away": Break(
        "is_short[order] = (seen_first + seen_second < wants[order] && !puts_back)",
        "to_do[order] = reject",
        "stock: two orders, one piece",
        NOT_THERE,
    ),
    "the second shelf is not looked at": Break(
        "seen_second = (sees_second -> second : 0)",
        "seen_second = 0",
        "stock: two orders, one piece",
        LOOK,
    ),
    "nobody notices that a shelf is missing": Break(
        ":: sees_second && !is_open -> goto look ",
        ":: false -> goto look ",
        "stock: two orders, one piece, an operator",
        LOOK,
    ),
    "what is given back goes to a shelf that is gone": Break(
        "from_second[order] && sees_second && !is_open ->",
        "false ->",
        "stock: two orders, one piece, an operator",
        SHELF_GONE,
    ),
    "the known race is not excused": Break(
        "put_back = true; note_fewest(true)",
        "put_back = true",
        "stock: two orders, one piece, an operator",
        LOOK,
    ),
}
"""By name."""


class Pair(NamedTuple):
    """Two mistakes, each of which the other place makes good."""

    texts: tuple[str, str]
    """What is in the model of orders."""
    instead: tuple[str, str]
    scope: str
    found: str
    """What does not hold with both."""


_FORGETS_THE_KEY: Final = "    refuses = true;\n"

PAIRS: Final = {
    "payments forgets an order that was cancelled before it came, "
    "and the card processor that its key was cancelled": Pair(
        ("cancel_charge(); next = voided", _FORGETS_THE_KEY),
        ("cancel_charge()", ""),
        "no fault",
        NO_HELP,
    ),
    "payments lets a charge stand that overtook its cancel, "
    "and the card processor forgets that its key was cancelled": Pair(
        (
            "            :: event == PLACED && seen == voided -> cancel_charge()"
            "     /* a charge may have been on its way */\n",
            _FORGETS_THE_KEY,
        ),
        ("", ""),
        "two of payments at once, no fault",
        BOOKS,
    ),
}
"""By name."""
