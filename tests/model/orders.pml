/*
 * One order's way through the pipeline, for the model checker Spin (https://spinroot.com).
 *
 * Written from the documentation (README.md, docs/reliability.md), apart from the code. `make model` checks it;
 * docs/reliability.md says what it shows and what it leaves out.
 *
 * Each process below is a function, or somebody outside. A step in atomic { } is one thing that others see as a whole: a read, a
 * conditional write, a call of the card processor. Whatever is outside of it happens in any order. `if` and `do` choose freely
 * among what is possible, and Spin goes through every choice.
 *
 * FAULTS is how many faults happen, at any time and in any place: a function dies or a reply is lost, a message is delivered
 * twice, a message is parked, the caretaker comes early. The WORKERS of a function are its instances that run at once.
 * Without BYSTANDERS only the shop acts, and nobody cancels or wants the same piece.
 *
 * How several orders share what stands on several shelves is in stock.pml.
 */

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef BYSTANDERS
#define BYSTANDERS true
#endif
#ifndef PAYMENTS_WORKERS
#define PAYMENTS_WORKERS 1
#endif
#ifndef INVENTORY_WORKERS
#define INVENTORY_WORKERS 1
#endif
#ifndef TRACKER_WORKERS
#define TRACKER_WORKERS 1
#endif

/* ---- Events and queues. A queue has no order, so it is a set of events: a sum of these numbers. ---- */

#define PLACED            1     /* order.placed: to payments and inventory */
#define CANCELLED         2     /* order.cancelled: likewise */
#define CANCELLED_OUTSIDE 4     /* the same of another publisher: to the tracker, which ignores its own */
#define CANCEL_REQUESTED  8     /* the others: to the tracker */
#define CHARGED           16
#define DECLINED          32
#define REFUNDED          64
#define RESERVED          128
#define REJECTED          256
#define RELEASED          512
#define NOTHING           0     /* also order.confirmed, which only the shop's own services read */

#define COMMANDS (PLACED | CANCELLED)

short to_payments, to_inventory, to_tracker;                /* what waits for a function */
short parked_payments, parked_inventory, parked_tracker;    /* what is in its dead-letter queue */

inline publish(events) {
    to_payments = to_payments | (events & COMMANDS);
    to_inventory = to_inventory | (events & COMMANDS);
    to_tracker = to_tracker | (events & ~COMMANDS)
}

/* ---- The tables ---- */

mtype = { unknown, placed, confirmed, cancelled };                           /* an order's status */
mtype = { none, charged, declined, refunded, reserved, rejected, released, voided };  /* its payment, its reservation */

mtype status = unknown;             /* table orders; unknown: no record */
mtype noted_payment = none;         /* there, what the tracker has heard */
mtype noted_stock = none;
mtype payment = none;               /* table payments */
mtype reservation = none;           /* table reservations */
short available = 1;                /* table stock: one piece, which another order may want, too */
short held_by_another;

/* ---- The card processor ---- */

short charges, refunds;             /* its books */
mtype answered = none;              /* what it said first: the same key gets the same answer */
bool refuses;                       /* the key was cancelled */

inline charge_card(answer) {
    if
    :: refuses -> answer = declined
    :: !refuses && answered == none ->
        if
        :: answered = charged; charges++
        :: answered = declined      /* by the bank */
        fi;
        answer = answered
    :: !refuses && answered != none -> answer = answered    /* no second charge */
    fi
}

inline cancel_charge() {
    refuses = true;
    refunds = charges
}

/* ---- What must hold ---- */

byte faults = FAULTS;
byte working;                       /* functions that have a message in hand */

/* What happened, for the assertions. No function looks at it. */
bool cancelled_from_outside;
bool cancel_requested;              /* by the customer, or as the deadline has passed */
bool never_published;               /* order-api recorded the order, and died before it published it */

#define QUIET (!to_payments && !to_inventory && !to_tracker && !working)
#define NOTHING_PARKED (!parked_payments && !parked_inventory && !parked_tracker)
#define FINISHED (status == confirmed || \
    (status == cancelled && noted_payment != charged && noted_stock != reserved))
#define ENDED (FINISHED && QUIET && NOTHING_PARKED)

/* With -DSTANDINGS the verifier prints each way in which the order stands once, for the comparison with the code. */
#ifdef STANDINGS
c_decl {
    static char told[1 << 20];
    static void tell(int a, int b, int c, int d, int e) {
        char *seen = &told[(((a << 4 | b) << 4 | c) << 4 | d) << 4 | e];
        if (!*seen) printf("stands %d %d %d %d %d\n", a, b, c, d, e);
        *seen = 1;
    }
}
#define TELL c_code { tell(now.status, now.noted_payment, now.noted_stock, now.payment, now.reservation); }
#else
#define TELL skip
#endif

inline check() {
    /* Charged at most once. */
    assert(charges <= 1 && refunds <= charges);
    /* Nothing is cancelled without a reason. */
    assert(status != cancelled || answered == declined || held_by_another || cancel_requested || cancelled_from_outside);
    /* Stock is never negative, and none is lost or made. */
    assert(available >= 0 && available + held_by_another + (reservation == reserved) == 1);
    /* Whoever is told "confirmed" is charged and has the goods, unless somebody outside cancelled. */
    assert(status != confirmed || cancelled_from_outside
        || (charges - refunds == 1 && payment == charged && reservation == reserved));
    /* In the end: charged, also in the card processor's books, if and only if confirmed; and likewise reserved. */
    assert(!ENDED || (payment == charged) == (status == confirmed));
    assert(!ENDED || (charges - refunds == 1) == (status == confirmed));
    assert(!ENDED || (reservation == reserved) == (status == confirmed));
    /* In the end the order's record says of money and goods what is so. */
    assert(!ENDED || noted_payment == payment || (noted_payment == none && payment == voided));
    assert(!ENDED || noted_stock == reservation || (noted_stock == none && reservation == voided));
    TELL
}

/* Every order ends, and stays so, and nobody talks on about it. */
ltl ends { <> [] ENDED }

/* ---- SQS ---- */

/* Any message of the queue. */
inline choose(queue, event) {
    event = 1;
    do
    :: queue & event -> break
    :: queue >= event * 2 -> event = event * 2
    od
}

/* A message is hidden while it is worked on, and deleted in the end. */
inline receive(queue, event) {
    choose(queue, event);
    if
    :: queue = queue & ~event
    :: faults > 0 -> faults--       /* delivered twice */
    fi;
    working++
}

/* The function died, or failed: the message is there again. */
inline put_back(queue, event) {
    queue = queue | event;
    done(event)
}

/* A message failed for the third time. */
inline park(queue, parked, event) {
    faults--;
    choose(queue, event);
    queue = queue & ~event;
    parked = parked | event;
    event = NOTHING;
    check()
}

inline done(event) {
    event = NOTHING;
    working--;
    check()
}

inline publish_or_die(answer, queue, event) {
    if
    :: publish(answer); done(event)
    :: faults > 0 -> faults--; put_back(queue, event)
    fi
}

/* ---- The functions ---- */

/* Between two steps of one instance others do theirs. Where it is alone there is nobody who could tell, so it is one step. */
#if PAYMENTS_WORKERS > 1
#define PAYMENTS_PAUSE }; atomic {
#else
#define PAYMENTS_PAUSE ;
#endif
#if INVENTORY_WORKERS > 1
#define INVENTORY_PAUSE }; atomic {
#else
#define INVENTORY_PAUSE ;
#endif
#if TRACKER_WORKERS > 1
#define TRACKER_PAUSE }; atomic {
#else
#define TRACKER_PAUSE ;
#endif

active [PAYMENTS_WORKERS] proctype Payments() {
    short event, answer;
    mtype seen, next;
end:
    do
    :: atomic { to_payments && faults > 0 -> park(to_payments, parked_payments, event) }
    :: atomic {
            to_payments -> receive(to_payments, event); seen = payment;
            PAYMENTS_PAUSE
            /* Ask the card processor. */
            next = seen;
            if
            :: event == PLACED && seen == none -> charge_card(next)
            :: event == PLACED && seen == voided -> cancel_charge()     /* a charge may have been on its way */
            :: event == CANCELLED && seen == none -> cancel_charge(); next = voided
            :: event == CANCELLED && seen == charged -> cancel_charge(); next = refunded
            :: else
            fi;
            check();
            PAYMENTS_PAUSE
            /*
             * Write, if the record is still what it was; then publish how it stands. A cancel is answered by a refund or not at
             * all: a decline told again would be answered by a cancel again, for ever.
             */
            if
            :: next != seen && payment != seen -> put_back(to_payments, event)  /* somebody else was quicker: look again */
            :: faults > 0 -> faults--; put_back(to_payments, event)             /* died before it wrote */
            :: next == seen || payment == seen ->
                payment = (next == seen -> payment : next);
                answer = (event == PLACED && next == charged -> CHARGED :
                         (event == PLACED && next == declined -> DECLINED :
                         (next == refunded -> REFUNDED : NOTHING)));
                publish_or_die(answer, to_payments, event)
            fi;
            seen = 0; next = 0; answer = 0
        }
    od
}

active [INVENTORY_WORKERS] proctype Inventory() {
    short event, answer;
    mtype seen, next;
end:
    do
    :: atomic { to_inventory && faults > 0 -> park(to_inventory, parked_inventory, event) }
    :: atomic {
            to_inventory -> receive(to_inventory, event); seen = reservation;
            INVENTORY_PAUSE
            /* One transaction: the record, if it is still what it was, and the stock, if it suffices; then publish. */
            next = seen;
            if
            :: event == PLACED && seen == none && available > 0 -> next = reserved
            :: event == PLACED && seen == none && available <= 0 -> next = rejected
            :: event == CANCELLED && seen == none -> next = voided
            :: event == CANCELLED && seen == reserved -> next = released
            :: else
            fi;
            if
            :: next != seen && reservation != seen -> put_back(to_inventory, event)     /* somebody else was quicker */
            :: next == seen || reservation == seen ->
                if
                :: next != seen ->
                    reservation = next;
                    available = available - (next == reserved) + (next == released)
                :: else
                fi;
                answer = (event == PLACED && next == reserved -> RESERVED :
                         (event == PLACED && next == rejected -> REJECTED :
                         (next == released -> RELEASED : NOTHING)));
                publish_or_die(answer, to_inventory, event)
            fi;
            seen = 0; next = 0; answer = 0
        }
    od
}

/*
 * A decision is published when it was made, and again when what may have led to it comes again. What follows from it is not
 * answered: that would never end.
 */
#define FOLLOWS (event == REFUNDED || event == RELEASED)
#define TO_BE_TOLD (was != is || (!FOLLOWS && was_payment == is_payment && was_stock == is_stock))

active [TRACKER_WORKERS] proctype Tracker() {
    short event, answer;
    mtype was, was_payment, was_stock, is, is_payment, is_stock;
end:
    do
    :: atomic { to_tracker && faults > 0 -> park(to_tracker, parked_tracker, event) }
    :: atomic {
            to_tracker -> receive(to_tracker, event);
            was = status; was_payment = noted_payment; was_stock = noted_stock;
            TRACKER_PAUSE
            /* Note what the event says, if that is new. */
            is = (was == unknown -> placed : was); is_payment = was_payment; is_stock = was_stock;
            if
            :: event == CHARGED && was_payment == none -> is_payment = charged
            :: event == DECLINED && was_payment == none -> is_payment = declined
            :: event == REFUNDED -> is_payment = refunded
            :: event == RESERVED && was_stock == none -> is_stock = reserved
            :: event == REJECTED && was_stock == none -> is_stock = rejected
            :: event == RELEASED -> is_stock = released
            :: else
            fi;
            /* Decide, if that settles it. A decision stands; but a cancel from outside is a fact. */
            if
            :: event == CANCELLED_OUTSIDE -> is = cancelled
            :: is == placed && (is_payment == declined || is_stock == rejected || event == CANCEL_REQUESTED) ->
                is = cancelled
            :: is == placed && is_payment == charged && is_stock == reserved -> is = confirmed
            :: else
            fi;
            /* Write, if the record is still what it was. */
            if
            :: status != was || noted_payment != was_payment || noted_stock != was_stock ->
                put_back(to_tracker, event)                                     /* somebody else was quicker */
            :: else ->
                /* A decision stands, whatever is heard later, but for a cancel from outside. */
                assert(status == unknown || status == placed || is == status || event == CANCELLED_OUTSIDE);
                status = is; noted_payment = is_payment; noted_stock = is_stock;
                answer = (is == cancelled && TO_BE_TOLD -> CANCELLED : NOTHING);
                publish_or_die(answer, to_tracker, event)
            fi;
            was = 0; was_payment = 0; was_stock = 0; is = 0; is_payment = 0; is_stock = 0; answer = 0
        }
    od
}

inline publish_again(queue, parked) {
    queue = queue | parked;
    parked = NOTHING;
    check()
}

inline help() {
    if
    :: status == cancelled -> publish(CANCELLED)
    :: status == placed -> publish(PLACED)                                      /* in truth only if it came through the API */
    :: status == placed -> publish(CANCEL_REQUESTED); cancel_requested = true   /* the deadline has passed */
    fi;
    never_published = false;
    check()
}

/*
 * Once a minute. It sends back what is parked, and finds an order that has not ended by its record. Its pauses are long: mostly
 * nothing else is going on then.
 */
active proctype Caretaker() {
end:
    do
    :: atomic { parked_payments -> publish_again(to_payments, parked_payments) }
    :: atomic { parked_inventory -> publish_again(to_inventory, parked_inventory) }
    :: atomic { parked_tracker -> publish_again(to_tracker, parked_tracker) }
    :: atomic { status != unknown && !FINISHED && QUIET && NOTHING_PARKED ->
            /* SQS makes good all other faults. This alone needs help. */
            assert(never_published);
            help()
        }
    :: atomic { status != unknown && !FINISHED && faults > 0 -> faults--; help() }
    :: else                         /* nothing to do: it comes again in a minute */
    od
}

/* ---- Who is outside ---- */

bool shop_waits = true, customer_waits = BYSTANDERS, publisher_waits = BYSTANDERS, other_order_waits = BYSTANDERS;

/* Each of them acts once, at any time. */
active proctype Outside() {
end:
    do
    /* The shop places the order: through the API, which records it first, or straight on the bus. */
    :: atomic { shop_waits && status == unknown -> status = placed; shop_waits = false;
            if
            :: faults > 0 -> faults--; never_published = true       /* order-api died, and nobody calls again */
            :: publish(PLACED)
            fi;
            check()
        }
    :: atomic { shop_waits -> publish(PLACED); shop_waits = false; check() }
    /* The customer asks the API for a cancel, which looks whether there is an order that is not decided. */
    :: atomic { customer_waits && status == placed ->
            publish(CANCEL_REQUESTED); cancel_requested = true; customer_waits = false; check()
        }
    /* Another publisher cancels the order without asking. */
    :: atomic { publisher_waits ->
            publish(CANCELLED | CANCELLED_OUTSIDE); cancelled_from_outside = true; publisher_waits = false; check()
        }
    /* Another order takes the piece. */
    :: atomic { other_order_waits && available > 0 ->
            available--; held_by_another++; other_order_waits = false; check()
        }
    :: !shop_waits                  /* or nobody does anything */
    od
}
