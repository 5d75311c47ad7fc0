/*
 * How orders share an article that stands on two shelves, for the model checker Spin (https://spinroot.com).
 *
 * Written from the documentation (docs/operations.md, docs/decisions.md), apart from the code. `make model` checks it;
 * docs/reliability.md says what it shows and what it leaves out. One order's whole way is in orders.pml: here is only its stock.
 *
 * Each Instance is one of inventory-processor, with a batch of messages in hand. A step in atomic { } is one thing that others see
 * as a whole; between two steps others do theirs. `if` and `select` choose freely, and Spin goes through every choice.
 *
 * A message may come to several instances at once, and again as often as one likes. So no duplicate is left out, nor what a death
 * does: whoever dies leaves the rest of a batch to others, as if it had been a smaller one.
 */

#ifndef ORDERS
#define ORDERS 2
#endif
#ifndef INSTANCES
#define INSTANCES 2
#endif
#ifndef PIECES
#define PIECES 1                    /* how many there are at most */
#endif
#ifndef WANTED
#define WANTED PIECES               /* how many an order wants at most */
#endif
#ifndef OPERATOR
#define OPERATOR false              /* whether an operator changes the number of shelves meanwhile */
#endif

#define EACH_ORDER    (order : 0 .. ORDERS - 1)
#define EACH_INSTANCE (instance : 0 .. INSTANCES - 1)

/* ---- The tables, and the orders ---- */

mtype = { none, reserved, rejected, released, voided };         /* a reservation */

mtype reservation[ORDERS] = none;   /* table reservations */
byte from_first[ORDERS], from_second[ORDERS];   /* there: how many pieces it has from which shelf */
byte first, second;                 /* table stock: how many pieces stand on each shelf */
bool is_open = true;                /* whether there is a second shelf */

byte wants[ORDERS];                 /* how many pieces an order is for */
bool is_cancelled[ORDERS];          /* whether it was cancelled; all are placed */

/* ---- What must hold ---- */

byte put_in;                        /* how many pieces there were at first */

bool put_back;                      /* whether any was put back, or an operator closed a shelf and opened one */

/*
 * How few pieces there were since an instance began to look at the shelves. One race is known, and excused, as if there had been
 * none for a moment: what was put on the first shelf after that was looked at may be missed.
 */
byte fewest[INSTANCES];

/* Scratch paper: what these hold means nothing between two steps. */
hidden byte order, instance, held, left_first, left_second, sum_first, sum_second;
hidden byte take_first[ORDERS], take_second[ORDERS];    /* how many pieces an order is to get from which shelf */
hidden byte moves[ORDERS];                              /* whether it is in the transaction */
hidden byte puts_back, fails, falls_short, is_left, on_first;

inline check() {
    held = 0;
    for EACH_ORDER {
        held = held + from_first[order] + from_second[order]
    }
    /* No piece is sold twice, lost or made. */
    assert(first + second + held == put_in);
    assert(is_open || second == 0);
    for EACH_ORDER {
        /* An order has all that it wants, or nothing. */
        assert(from_first[order] + from_second[order] == (reservation[order] == reserved -> wants[order] : 0));
        /* Nobody was turned away for pieces that are there, unless they came back later. */
        assert(reservation[order] != rejected || first + second < wants[order] || put_back)
    }
}

/* To be called whenever pieces were moved. */
inline note_fewest(is_race) {
    for EACH_INSTANCE {
        fewest[instance] = (is_race -> 0 : (first + second < fewest[instance] -> first + second : fewest[instance]))
    }
}

/* ---- inventory-processor ---- */

mtype = { nothing, reserve, release, void, reject };            /* what is to be done for an order of the batch */

#define IS_TO_MOVE(order) (to_do[order] == reserve || to_do[order] == release || to_do[order] == void)

/* Take a batch, with one message of an order at most, and read the reservations. */
inline take_a_batch() {
    for EACH_ORDER {
        if
        :: reservation[order] == none -> to_do[order] = reserve
        :: is_cancelled[order] && reservation[order] == none -> to_do[order] = void
        :: is_cancelled[order] && reservation[order] == reserved -> to_do[order] = release
        :: true                     /* it is not in the batch, or there is nothing to do for it */
        fi
    }
}

/* A glance at the shelves is not consistent: what it sees may be old, so it may be anything. */
inline glance() {
    select(seen_first : 0 .. PIECES);
    select(seen_second : 0 .. PIECES);
    sees_second = true
}

/* Arrange as many orders as what was seen covers, each from one shelf if that has enough for it, else from both. */
inline arrange() {
    left_first = seen_first; left_second = seen_second; puts_back = false; falls_short = false;
    for EACH_ORDER {
        take_first[order] = 0; take_second[order] = 0; is_short[order] = false;
        moves[order] = (to_do[order] == release || to_do[order] == void);
        puts_back = puts_back || to_do[order] == release
    }
    for EACH_ORDER {
        if
        :: to_do[order] == reserve ->
            if
            :: left_first >= wants[order] -> take_first[order] = wants[order]
            :: left_second >= wants[order] -> take_second[order] = wants[order]
            :: left_first < wants[order] && left_second < wants[order] && left_first + left_second >= wants[order] ->
                take_first[order] = left_first; take_second[order] = wants[order] - left_first
            :: left_first + left_second < wants[order] ->
                /* Not short is who waits for others of the batch, that only mean to take it or are about to give it back. */
                is_short[order] = (seen_first + seen_second < wants[order] && !puts_back)
            fi;
            left_first = left_first - take_first[order];
            left_second = left_second - take_second[order];
            moves[order] = (take_first[order] + take_second[order] > 0);
            falls_short = falls_short || is_short[order]
        :: else
        fi
    }
}

/* One transaction, all of it or nothing: each reservation must be what it was, and the shelves must have enough. */
inline transact() {
    fails = false; sum_first = 0; sum_second = 0;
    for EACH_ORDER {
        sum_first = sum_first + take_first[order];
        sum_second = sum_second + take_second[order];
        if
        :: moves[order] && reservation[order] != (to_do[order] == release -> reserved : none) ->
            to_do[order] = nothing; fails = true        /* somebody else was quicker: its message comes again */
        :: moves[order] && to_do[order] == release && from_second[order] && sees_second && !is_open ->
            falls_short = true                          /* it was to be put back on a shelf that is gone */
        :: else
        fi
    }
    if
    :: first < sum_first || second < sum_second -> falls_short = true
    :: else
    fi;
    if
    :: !fails && !falls_short -> write_and_move()
    :: else
    fi
}

inline write_and_move() {
    on_first = false;
    for EACH_ORDER {
        if
        :: moves[order] && to_do[order] == reserve ->
            reservation[order] = reserved;
            from_first[order] = take_first[order]; from_second[order] = take_second[order];
            first = first - take_first[order]; second = second - take_second[order];
            seen_first = seen_first - take_first[order]; seen_second = seen_second - take_second[order];
            to_do[order] = nothing
        :: moves[order] && to_do[order] == release ->
            reservation[order] = released;
            sum_second = (sees_second -> from_second[order] : 0);   /* back on the second shelf; the rest on the first */
            sum_first = from_first[order] + from_second[order] - sum_second;
            first = first + sum_first; second = second + sum_second;
            seen_first = seen_first + sum_first; seen_second = seen_second + sum_second;
            on_first = on_first || sum_first; put_back = true;
            from_first[order] = 0; from_second[order] = 0;
            to_do[order] = nothing
        :: moves[order] && to_do[order] == void ->
            reservation[order] = voided;
            to_do[order] = nothing
        :: else
        fi
    }
    note_fewest(on_first)
}

/* Before somebody is turned away, the shelves are looked at consistently, one after the other. Others may come in between. */
inline look_at_first() {
    fewest[me] = first + second;
    seen_first = first;
    sees_second = is_open
}

inline look_at_second() {
    seen_second = (sees_second -> second : 0);
    for EACH_ORDER {
        if
        :: is_short[order] && seen_first + seen_second < wants[order] ->
            /* At some moment of the look there was too little. */
            assert(fewest[me] < wants[order]);
            to_do[order] = reject
        :: else
        fi;
        is_short[order] = false
    }
    fewest[me] = 0
}

/* Write the rejections, each if there is no reservation. */
inline write_rejections() {
    for EACH_ORDER {
        if
        :: to_do[order] == reject && reservation[order] == none -> reservation[order] = rejected
        :: else                     /* somebody else was quicker: its message comes again */
        fi;
        to_do[order] = nothing
    }
}

proctype Instance(byte me) {
    mtype to_do[ORDERS] = nothing;
    bool is_short[ORDERS];          /* whether there seemed to be too little for it */
    byte seen_first, seen_second;   /* how many pieces seemed to be on each shelf */
    bool sees_second;               /* whether there seemed to be a second one */
end:
    atomic { take_a_batch() };
    atomic { glance(); goto go_on };
look:
    skip;                           /* here, too, others do theirs */
    atomic { look_at_first() };
    atomic {
        if
        :: sees_second && !is_open -> goto look         /* a shelf is missing */
        :: else -> look_at_second()
        fi
    };
go_on:
    atomic {
        arrange();
        if
        :: falls_short
        :: !falls_short -> transact()
        fi;
        check();
        is_left = false;
        for EACH_ORDER {
            is_left = is_left || IS_TO_MOVE(order)
        }
        if
        :: falls_short -> seen_first = 0; seen_second = 0; goto look
        :: !falls_short && is_left -> goto go_on
        :: else -> seen_first = 0; seen_second = 0; sees_second = false
        fi
    };
    atomic { write_rejections(); check(); goto end }
}

/* ---- Who is outside ---- */

/* Each order may be cancelled, at any time. */
proctype Customers() {
end:
    do
    :: atomic { select(order : 0 .. ORDERS - 1); is_cancelled[order] = true }
    od
}

/* A shelf that goes is emptied onto the first one, and a new one gets some of what stands there, in one transaction each. */
proctype Operator() {
end:
    do
    :: atomic { OPERATOR && is_open ->
            is_open = false;
            first = first + second; second = 0;
            check()
        }
    :: atomic { OPERATOR && !is_open ->
            is_open = true;
            select(second : 0 .. first);
            first = first - second;
            put_back = true; note_fewest(true);     /* the same race, if one was closed a moment before */
            check()
        }
    od
}

init {
    atomic {
        select(first : 0 .. PIECES);
        select(second : 0 .. PIECES - first);
        put_in = first + second;
        for EACH_ORDER {
            select(held : 1 .. WANTED);
            wants[order] = held
        }
        for EACH_INSTANCE {
            run Instance(instance)
        }
        run Customers();
        run Operator()
    }
}
