"""What must hold, in the words a failing run says it with."""

from __future__ import annotations

from typing import Final

ENDS: Final = "every order ends, and nothing is left on a queue"
CHARGED_ONCE: Final = "an order is charged at most once"
STOCK: Final = "stock is never negative, and none is lost or made"
BOOKS: Final = "confirmed: charged and reserved; cancelled: net charge 0 and nothing reserved"
DECIDED_ONCE: Final = "an order is decided once, and for a reason"
WRITTEN_FIRST: Final = "state is written, then published; what is told is so"
ONE_MESSAGE: Final = "the unit of failure is one message"
RAMP_UPS: Final = "no good order fails, and so none is parked, for a ramp-up that retries cover"
BY_ITSELF: Final = "an order on record ends by itself, and so does what is parked and passes"
NEEDS_PERSON: Final = "what no code can read, was denied or keeps failing waits for a person"
CIRCUIT: Final = "a circuit closes after a test alone, which loses no message, and not never"
OPERATOR: Final = "what an operator has paused stays paused, and nothing else does"
UNREADABLE: Final = "an unreadable message ends in the dead-letter queue"
OWN_SOURCE: Final = "an event counts from its own source alone"
UPDATES: Final = "each order's updates come once and in order"
ONE_ORDER: Final = "what is charged and reserved of a confirmed order is what was ordered"
LAST_UPDATE: Final = "what the shop reads last of an order is how it stands"
ANSWERS: Final = "the same call again gets the same answer; a different order gets 409"
COMES_TO_AN_END: Final = "a function comes to an end"
REPORTS: Final = "a function reports what failed and does not raise"
