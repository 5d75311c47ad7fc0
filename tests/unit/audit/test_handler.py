"""The scheduled audit: whatever happens to it on its way, it finds the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from orders.audit import handler as auditor_handler
from orders.audit import legs
from orders.audit.handler import READ_UNITS_A_SECOND, Auditor
from orders.audit.legs import Leg, Run, Way
from orders.audit.progress import Progress
from orders.audit.queues import QueueDepths
from orders.audit.tables import TableNames, Tables
from orders.aws import clients
from orders.aws.errors import AwsError
from orders.aws.items import to_item
from orders.aws.order_table import unfinished_shard
from orders.card_books import SimulatedCardBooks, simulated_charge_id
from orders.clock import timestamp
from support import aws
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
LONG_AGO = timestamp(NOW - timedelta(days=1))
HOUR = Context(remaining_milliseconds=3_600_000)
Logged = Callable[[], list[dict[str, Any]]]


class KilledError(BaseException):
    """The function dies."""


class Books:
    """The tables, and an auditor that reads them."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.client = client
        self.sqs = aws.sqs()
        self.queue = self.sqs.create_queue(QueueName="payments")["QueueUrl"]
        self.dlq = self.sqs.create_queue(QueueName="payments-dlq")["QueueUrl"]
        self.slept: list[float] = []
        self.time = NOW
        self._hooks: dict[str, tuple[int, Callable[[], None] | None]] = {}
        aws.line(client).before(aws.EVERY, lambda _: self._count("before"))
        aws.line(client).after(aws.EVERY, lambda _: self._count("after"))
        self.auditor = Auditor(
            tables=Tables(client, TableNames("orders", "payments", "reservations", "stock")),
            books=SimulatedCardBooks(),
            progress=Progress(client, "audit"),
            queues=QueueDepths(lambda: self.sqs, consumed=[self.queue], dead_letter=[self.dlq]),
            now=lambda: self.time,
            sleep=self.slept.append,
        )

    def put(self, table: str, **values: Any) -> None:  # noqa: ANN401
        self.client.put_item(TableName=table, Item=to_item(values))

    def confirmed(self, order_id: str, sku: str = "mug") -> None:
        """An order that holds two of an article."""
        lines = [{"sku": sku, "quantity": 2}]
        self.put(
            "orders",
            order_id=order_id,
            placed_at=LONG_AGO,
            status="confirmed",
            payment="charged",
            inventory="reserved",
            amount=Decimal("9.99"),
            currency="USD",
            items=lines,
        )
        self.put(
            "payments",
            order_id=order_id,
            state="charged",
            at=LONG_AGO,
            amount=Decimal("9.99"),
            currency="USD",
            charge_id=simulated_charge_id(order_id),
        )
        self.put("reservations", order_id=order_id, state="reserved", at=LONG_AGO, lines=lines)

    def stock(self, sku: str, available: int, put_in: int) -> None:
        self.put("stock", sku=sku, available=available, put_in=put_in)

    def at_call(self, number: int, then: Callable[[], None], *, after: bool = False) -> None:
        """Have something happen once, before or after so many further calls."""
        self._hooks["after" if after else "before"] = (number, then)

    def forget_calls(self) -> None:
        """Have nothing happen any more."""
        self._hooks.clear()

    def _count(self, when: str) -> None:
        number, then = self._hooks.get(when, (-1, None))
        self._hooks[when] = (number - 1, then)
        if number == 0 and then:
            then()

    def audit(self, context: Context = HOUR, *, begins: bool = True) -> None:
        """Call the function, as the one schedule does or as the other."""
        self.auditor({} if begins else {"continue": True}, context)

    def next_day(self) -> None:
        """Have the next audit begin a day later."""
        self.time += timedelta(days=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages and few segments, so that a few orders are many legs."""
    monkeypatch.setattr(auditor_handler, "ITEMS_A_PAGE", 2)
    monkeypatch.setattr(auditor_handler, "SETTLED_AT_ONCE", 3)
    monkeypatch.setattr(auditor_handler, "SEGMENTS", 2)
    monkeypatch.setattr(legs, "SEGMENTS", 2)


@pytest.fixture
def client_kind(monkeypatch: pytest.MonkeyPatch) -> str:
    """The lean client alone: thousands of calls take long enough with one."""
    monkeypatch.setenv("AWS_CLIENT", clients.LEAN)
    return clients.LEAN


@pytest.fixture
def books(dynamodb: DynamoDBClient) -> Books:
    """Books that balance."""
    books = Books(dynamodb)
    for number in range(6):
        books.confirmed(f"o{number}")
    books.stock("mug", 3, 15)
    books.stock("cap", 0, 0)
    return books


def disturb(books: Books) -> set[tuple[str, str]]:
    """Change rows behind the pipeline's back; what is to be found."""
    books.stock("hat", 4, 5)
    books.put("payments", order_id="o0", state="charged", at=LONG_AGO, charge_id="ch_second")
    lines = [{"sku": "cap", "quantity": 1}]
    books.put("reservations", order_id="orphan", state="reserved", at=LONG_AGO, lines=lines)
    books.put("orders", order_id="lost", placed_at=LONG_AGO, status="placed")
    books.put("payments", order_id="stray", state="charged", at=LONG_AGO)
    for table in ("payments", "reservations"):
        books.client.delete_item(TableName=table, Key={"order_id": {"S": "o5"}})
    return {
        ("hat", "stock off"),
        ("cap", "stock off"),
        ("mug", "stock off"),
        ("o0", "charged twice"),
        ("orphan", "reservation without order"),
        ("lost", "not indexed"),
        ("stray", "charge without order"),
        ("o5", "not charged"),
        ("o5", "not reserved"),
    }


def found(lines: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """What the log names."""
    findings = [line for line in lines if line["message"] == "audit finding"]
    assert all(line["mend"].startswith(("orderctl ", "aws dynamodb ")) for line in findings)
    return {(line.get("order_id") or line["sku"], line["rule"]) for line in findings}


def ended(books: Books) -> int:
    """How many findings the run has that has ended."""
    run = books.auditor.progress.last_run()
    assert run
    assert run.ended_at
    return run.findings


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if "metrics" in line]


def test_books_that_balance(books: Books, logged: Logged) -> None:
    books.audit()
    assert ended(books) == 0
    (line,) = [line for line in logged() if line["message"] == "audit ended"]
    assert (line["orders"], line["skus"], line["not_judged"]) == (6, 2, 0)


def test_what_was_changed_behind_its_back_is_named(books: Books, logged: Logged) -> None:
    expected = disturb(books)
    books.audit()
    assert found(logged()) == expected
    assert ended(books) == len(expected)


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_it_goes_on_and_finds_the_same(
    books: Books, logged: Logged, after: bool
) -> None:
    """Killed after a call, the call has taken effect."""
    expected = disturb(books)
    for at in range(0, 1000, 7):
        books.next_day()
        killed = _is_killed(books, at, after=after)
        if killed:
            books.audit()
        assert ended(books) == len(expected), at
        assert found(logged()) == expected, at
        if not killed:
            break
    assert at > 40, "it was killed all along the way"


def _is_killed(books: Books, at: int, *, after: bool) -> bool:
    def die() -> None:
        raise KilledError

    books.at_call(at, die, after=after)
    try:
        books.audit()
    except KilledError:
        return True
    finally:
        books.forget_calls()
    return False


class Clock(Context):
    """An invocation that has time for some calls of this."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def get_remaining_time_in_millis(self) -> int:
        self._looks -= 1
        return 60_000 if self._looks > 0 else 14_000


def test_doubled_at_any_call_nothing_counts_twice(
    books: Books, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one takes shorter legs, so that theirs overlap. Both end, and a third goes on."""
    expected = disturb(books)

    def audit_in_short_legs() -> None:
        with monkeypatch.context() as shorter:
            shorter.setattr(legs, "_MOST_ENTRIES", 0)
            books.audit(Clock(30))

    for at in range(2, 42, 4):
        books.next_day()
        books.at_call(at, audit_in_short_legs)
        books.audit(Clock(60))
        books.forget_calls()
        books.audit()
        assert ended(books) == len(expected), at
        assert found(logged()) == expected, at


@pytest.mark.parametrize("looks", [2, 5, 9])
def test_it_goes_on_where_its_time_ended(books: Books, logged: Logged, looks: int) -> None:
    expected = disturb(books)
    books.audit(Clock(looks))
    invocations = 1
    while (run := books.auditor.progress.last_run()) and not run.ended_at:
        books.audit(Clock(looks), begins=False)
        invocations += 1
    assert invocations > 3
    assert found(logged()) == expected
    assert ended(books) == len(expected)


def test_it_begins_by_its_schedule_only(books: Books) -> None:
    books.audit(begins=False)
    assert books.auditor.progress.last_run() is None
    books.audit()
    first = books.auditor.progress.last_run()
    books.audit(begins=False)
    assert books.auditor.progress.last_run() == first
    books.next_day()
    books.audit()
    assert books.auditor.progress.last_run() != first


def test_the_metrics_stay_until_the_next_audit(
    books: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    books.stock("hat", 4, 5)
    books.audit()
    books.audit(begins=False)
    assert [line["AuditFindings"] for line in metrics(capsys)] == [0, 1, 1]
    books.stock("hat", 5, 5)
    books.next_day()
    books.audit(Context(remaining_milliseconds=1000))
    (line,) = metrics(capsys)
    assert (line["AuditFindings"], line["AuditMinutes"]) == (1, 0), "it has only begun"
    books.time += timedelta(days=1, minutes=1)
    books.audit(Context(remaining_milliseconds=1000))
    assert metrics(capsys)[-1]["AuditMinutes"] == 24 * 60 + 1
    books.audit()
    *_, line = metrics(capsys)
    assert (line["AuditFindings"], line["AuditMinutes"]) == (0, 0)


@pytest.mark.parametrize(("queue", "judged"), [("queue", False), ("dlq", False), ("", True)])
def test_what_a_message_may_put_right_is_not_judged(
    books: Books, logged: Logged, queue: str, judged: bool
) -> None:
    books.put("payments", order_id="stray", state="charged", at=LONG_AGO)
    if queue:
        self_url = {"queue": books.queue, "dlq": books.dlq}[queue]
        books.sqs.send_message(QueueUrl=self_url, MessageBody="x")
    books.audit()
    lines = logged()
    assert found(lines) == ({("stray", "charge without order")} if judged else set())
    (line,) = [line for line in lines if line["message"] == "audit ended"]
    assert line["not_judged"] == (0 if judged else 1)


def test_orders_in_flight_are_no_findings(books: Books, logged: Logged) -> None:
    for order_id, placed_at in (("new", timestamp(NOW)), ("old", LONG_AGO)):
        shard = unfinished_shard(order_id)
        books.put(
            "orders", order_id=order_id, placed_at=placed_at, status="placed", unfinished=shard
        )
    books.audit()
    assert (found(logged()), ended(books)) == (set(), 0)


def test_stock_that_moves_is_added_up_again_and_not_judged_if_it_never_stands_still(
    books: Books, logged: Logged
) -> None:
    moves = iter(range(1000))

    def sell(scan: dict[str, Any]) -> None:
        """Each time somebody reads the stock, one more was put in."""
        if scan["TableName"] == "stock":
            books.stock("hat", next(moves), 5)

    books.stock("hat", 0, 5)
    aws.line(books.client).before("Scan", sell)
    books.audit()
    lines = logged()
    assert found(lines) == set()
    assert lines[-1]["not_judged"] == 1


def test_a_reservation_that_was_read_too_early_is_no_finding(books: Books, logged: Logged) -> None:
    """One is released and another one made while the tables are read: the stock is as before."""

    def meanwhile() -> Iterator[None]:
        books.put("reservations", order_id="o0", state="released", at=LONG_AGO)
        yield
        lines = [{"sku": "mug", "quantity": 2}]
        books.put("reservations", order_id="o0", state="reserved", at=LONG_AGO, lines=lines)
        yield

    steps = meanwhile()
    seen: list[str] = []

    def look(params: dict[str, Any]) -> None:
        if params["TableName"] in ("reservations", "stock"):
            seen.append(params["TableName"])
            if seen[-2:] == ["stock", "reservations"] or seen[-2:] == ["reservations", "stock"]:
                next(steps, None)

    aws.line(books.client).before("Scan", look)
    books.audit()
    assert (found(logged()), ended(books)) == (set(), 0)


def test_of_stock_nothing_is_judged_while_a_reservation_cannot_be_read(
    books: Books, logged: Logged
) -> None:
    books.put("reservations", order_id="o0", state="lost", at=LONG_AGO)
    books.audit()
    assert found(logged()) == {("o0", "unreadable")}


def test_what_is_added_up_is_read_as_it_is_and_the_rest_at_half_the_price(books: Books) -> None:
    scans: dict[str, set[bool]] = {}

    def look(scan: dict[str, Any]) -> None:
        scans.setdefault(scan["TableName"], set()).add(scan["ConsistentRead"])

    aws.line(books.client).before("Scan", look)
    books.audit()
    assert scans == {
        "stock": {True},
        "reservations": {True},
        "payments": {False},
        "orders": {False},
    }


def test_it_takes_no_more_of_the_tables_than_its_share(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Tables.page

    def dear(tables: Tables, *arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401
        tables.read_units += READ_UNITS_A_SECOND
        return page(tables, *arguments, **parameters)

    monkeypatch.setattr(Tables, "page", dear)
    books.audit()
    pages = [pause for pause in books.slept if pause >= 1]
    assert len(pages) > 10
    assert not [pause for pause in books.slept if 0 < pause < 1]


def test_a_call_that_fails_ends_a_leg_and_what_was_read_counts(
    books: Books, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, calls = Tables.page, iter(range(1000))

    def throttled(tables: Tables, *arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401
        if next(calls) % 5 == 4:
            raise AwsError("ThrottlingException", "Scan")
        return page(tables, *arguments, **parameters)

    monkeypatch.setattr(Tables, "page", throttled)
    expected = disturb(books)
    for _ in range(20):
        try:
            books.audit()
        except AwsError:
            continue
        break
    lines = logged()
    assert found(lines) == expected
    assert "leg ends early" in {line["message"] for line in lines}


def legs_of(books: Books) -> list[Leg]:
    """Those of the last run."""
    run = books.auditor.progress.last_run()
    assert run
    return books.auditor.progress.legs(run.began_at)


def test_in_books_that_balance_nothing_is_read_twice(books: Books) -> None:
    """Nothing looks wrong at first, and how far it is it knows by itself."""
    reads: list[bool] = []

    def look(read: dict[str, Any]) -> None:
        reads.extend(table["ConsistentRead"] for table in read["RequestItems"].values())

    aws.line(books.client).before("BatchGetItem", look)
    calls = aws.line(books.client).calls
    calls.clear()
    books.audit()
    assert calls.count("Query") == 1
    assert set(reads) == {False}
    assert not [leg for leg in legs_of(books) if leg.suspects]


def test_suspects_are_settled_in_as_few_legs_as_they_fill(books: Books) -> None:
    for number in range(3):
        books.put("orders", order_id=f"lost{number}", placed_at=LONG_AGO, status="placed")
    books.audit()
    assert ended(books) == 3
    assert len([leg for leg in legs_of(books) if leg.leg.startswith("settle")]) == 1


def test_its_lines_name_the_audit_and_the_invocation(books: Books, logged: Logged) -> None:
    books.stock("hat", 4, 5)
    books.audit(Context(remaining_milliseconds=3_600_000, aws_request_id="request-7"))
    lines = logged()
    assert (lines[0]["message"], lines[0]["run"]) == ("audit began", timestamp(NOW))
    (finding,) = [line for line in lines if line["message"] == "audit finding"]
    assert finding["request_id"] == "request-7"


def test_it_goes_on_with_the_audit_that_another_one_begins_at_the_same_time(books: Books) -> None:
    other = Run(began_at=timestamp(NOW + timedelta(seconds=1)))

    def begin_another() -> None:
        assert books.auditor.progress.begin(other)

    books.at_call(1, begin_another)
    books.audit()
    run = books.auditor.progress.last_run()
    assert run
    assert (run.began_at, bool(run.ended_at)) == (other.began_at, True)


def test_a_beginning_that_nobody_can_read_is_no_age(
    books: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    books.auditor._report(Run(began_at="yesterday"))
    (line,) = metrics(capsys)
    assert line["AuditMinutes"] == 0


def test_it_goes_by_the_time_of_its_machine() -> None:
    before = datetime.now(UTC)
    assert before <= auditor_handler.handler.now() <= datetime.now(UTC)


class Passing(Context):
    """An invocation in which time passes with each look at it."""

    def __init__(self, milliseconds: int, a_look: int) -> None:
        super().__init__(milliseconds)
        self._a_look = a_look

    def get_remaining_time_in_millis(self) -> int:
        self.remaining_milliseconds -= self._a_look
        return self.remaining_milliseconds


class TestALeg:
    """Of a stock of five, two a page."""

    @pytest.fixture(autouse=True)
    def five(self, books: Books) -> None:
        for number in range(3):
            books.stock(f"hat{number}", 1, 1)

    def walked(self, books: Books, context: Context) -> Leg:
        way = Way([])
        return books.auditor._walk(Run(began_at=LONG_AGO), way.tasks()[0], way, context)

    def test_takes_all_pages(self, books: Books) -> None:
        assert self.walked(books, HOUR).read == 5

    @pytest.mark.parametrize(("milliseconds", "a_look"), [(1_000_000, 16_000), (14_000, 0)])
    def test_ends_when_it_is_long_or_late(
        self, books: Books, milliseconds: int, a_look: int
    ) -> None:
        assert self.walked(books, Passing(milliseconds, a_look)).read == 2

    def test_ends_when_it_is_full(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(legs, "_MOST_ENTRIES", 3)
        assert self.walked(books, HOUR).read == 4

    def test_pauses_for_what_it_took_less_the_time_that_has_passed(
        self, books: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def page(tables: Tables, *_: object, **__: object) -> tuple[list[Any], None]:
            tables.read_units += READ_UNITS_A_SECOND
            return [], None

        books.auditor.tables.read_units = 500.0
        monkeypatch.setattr(Tables, "page", page)
        self.walked(books, Passing(1_000_000, 100))
        assert books.slept == pytest.approx([0.9], abs=1e-6)


def test_how_far_it_is_is_read_as_it_is(books: Books) -> None:
    reads: list[bool] = []
    for operation in ("GetItem", "Query"):
        aws.line(books.client).before(operation, lambda read: reads.append(read["ConsistentRead"]))
    books.audit()
    assert reads == [True, True]
