"""Orders from files, and how they are sent."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from botocore.exceptions import UnauthorizedSSOTokenError

from orderctl.commands.submit import describe_rate
from orderctl.errors import OrderctlError
from orderctl.pipeline.api import NoAnswerError, Reply
from orderctl.pipeline.order_files import Outgoing, read
from orderctl.pipeline.sender import Latencies, Result, Sender, Sent, Try, latencies, refusal

TAKEN = Reply(202, {"status": "placed"})
NOT_SERVED = Reply(503, {"title": "The request was not served"}, retry_after=0)


def orders(count: int) -> list[Outgoing]:
    return [Outgoing(f"order-{number}", str(number).encode()) for number in range(count)]


def send_in_time(place: Callable[[bytes], Reply], count: int) -> Result:
    """Send orders one after the other; a sender that hangs fails the test."""
    result = Result(rate=None)
    sender = Sender(place, at_once=1)
    sending = threading.Thread(
        target=sender.send, args=(orders(count), result, lambda: None), daemon=True
    )
    sending.start()
    sending.join(timeout=5)
    assert not sending.is_alive()
    return result


class TestFiles:
    def test_lines_are_orders_exact_to_the_digit_and_get_ids(self) -> None:
        first, second = read('{"order_id":"a","amount":0.10}\n\n{"amount":2}\n', "f")
        assert (first.order_id, first.where) == ("a", "line 1")
        assert b'"amount":0.10' in first.body
        assert json.loads(second.body) == {"order_id": second.order_id, "amount": 2}
        assert second.where == "line 3"

    def test_a_line_ends_where_json_lines_do(self) -> None:
        customers = ["\u2028", "\x85"]
        with pytest.raises(OrderctlError) as error:
            read("".join(f'{{"amount":-1,"customer_id":"{each}"}}\r\n' for each in customers), "f")
        assert "is not JSON" not in str(error.value)
        assert "line 2: " in str(error.value)

    def test_an_array_is_orders(self) -> None:
        found = read('[\n {"order_id":"a","amount":1},\n {"order_id":"b","amount":2}\n]', "f")
        assert [(order.order_id, order.where) for order in found] == [
            ("a", "order 1"),
            ("b", "order 2"),
        ]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"amount":1}\n{"amount":1,"colour":2}', "line 2: colour: is not a known field"),
            ('{"amount":-1,"currency":"EURO"}', "line 1: amount: must be a number from 0"),
            ('{"amount":-1,"currency":"EURO"}', "line 1: currency: must be an ISO 4217 code"),
            ('{"amount":1}\nnonsense', "line 2: is not JSON: Expecting value, at column 1"),
            ('{"amount":1,"amount":2}', "line 1: is not JSON: a field is named twice"),
            ("[1]", "order 1: must be a JSON object"),
            ("[", "f is not JSON"),
            ("{'amount':1}", "line 1: is not JSON"),
            ('{"amount":1,"customer_id":"\\ud800"}', "line 1: cannot be sent"),
            ("[" * 100_000, "f is not JSON"),
            ('{"order_id":"a","amount":1}\n' * 2, "line 2: order_id: a is also used in line 1"),
            (" \n", "f has no orders"),
        ],
    )
    def test_a_fault_is_named_with_its_place(self, text: str, said: str) -> None:
        with pytest.raises(OrderctlError) as caught:
            read(text, "f")
        assert said in str(caught.value)

    def test_of_many_faults_some_are_told(self) -> None:
        with pytest.raises(OrderctlError) as caught:
            read("{x\n" * 25, "f")
        assert "… and 5 more" in str(caught.value)

    def test_csv_is_orders_by_the_names_of_its_columns(self) -> None:
        text = (
            "items,amount,order_id,currency\r\n"
            '"mug=2, tea",12.50,a,EUR\r\n'
            "\r\n"
            ',0,,\r\n"2 mug, 1 tea",1,c,\r\n'
        )
        first, second, third = read(text, "orders.csv")
        lines = [{"sku": "mug", "quantity": 2}, {"sku": "tea", "quantity": 1}]
        assert json.loads(first.body) == {
            "order_id": "a",
            "amount": 12.5,
            "currency": "EUR",
            "items": lines,
        }
        assert b'"amount":12.50' in first.body
        assert json.loads(second.body) == {"order_id": second.order_id, "amount": 0}
        assert (second.where, json.loads(third.body)["items"]) == ("row 4", lines)

    def test_csv_may_have_semicolons(self) -> None:
        (order,) = read("\ufefforder_id;amount\na;1\n".lstrip("\ufeff"), "f")
        assert order.order_id == "a"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("order_id,amount\na,1\nb,much", "row 3: amount: must be a number"),
            ("order_id,amount\na", "row 2: it has 1 cells, not 2"),
            ("amount,items\n1,mug=0", "row 2: items[0].quantity: must be"),
            ("amount,colour\n1,red", "f: orders have no colour. The columns are: order_id, amount"),
            ("- order_id: a\n  amount: 1\n", "f is neither JSON nor CSV with the column amount."),
            ("<orders/>", "f is neither JSON nor CSV"),
            ('amount\n"1', "f is not CSV"),
            ("amount\n", "f has no orders"),
        ],
    )
    def test_a_fault_of_csv_is_named_with_its_place(self, text: str, said: str) -> None:
        with pytest.raises(OrderctlError) as caught:
            read(text, "f")
        assert said in str(caught.value)


class TestSending:
    def test_what_was_not_served_is_sent_again_as_the_same_order(self) -> None:
        calls: Counter[bytes] = Counter()

        def place(body: bytes) -> Reply:
            calls[body] += 1
            return TAKEN if body == b"0" or calls[body] == 3 else NOT_SERVED

        result = Result(rate=None)
        Sender(place, at_once=2).send(orders(2), result, lambda: None)
        assert calls == {b"0": 1, b"1": 3}
        tried = {s.order.order_id: [each.answer for each in s.tries] for s in result.sent}
        assert tried == {"order-0": ["202"], "order-1": ["503", "503", "202"]}
        assert result.taken == 2

    def test_a_refusal_is_final_and_a_503_is_after_four_tries(self) -> None:
        def place(body: bytes) -> Reply:
            return NOT_SERVED if body == b"0" else Reply(409, {"detail": "taken"})

        result = Result(rate=None)
        Sender(place, at_once=2).send(orders(2), result, lambda: None)
        told = {s.order.order_id: (len(s.tries), s.why) for s in result.sent}
        assert told == {
            "order-0": (4, "503: The request was not served"),
            "order-1": (1, "409: taken"),
        }
        assert result.taken == 0

    def test_what_cannot_be_signed_fails_at_once_with_its_reason(self) -> None:
        def place(_body: bytes) -> Reply:
            raise UnauthorizedSSOTokenError

        result = send_in_time(place, 3)
        assert (result.taken, result.open) == (0, 0)
        whys = [sent.why for sent in result.sent]
        assert len(whys) == 3
        assert all("SSO session" in why for why in whys)

    def test_a_fault_of_ours_does_not_keep_the_rest_waiting(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = threading.Event()
        monkeypatch.setattr(threading, "excepthook", lambda _: told.set())

        def place(body: bytes) -> Reply:
            if body == b"0":
                raise RuntimeError
            return TAKEN

        result = send_in_time(place, 3)
        assert (result.taken, result.open) == (2, 0)
        assert told.wait(5)

    def test_no_more_are_under_way_than_allowed(self) -> None:
        under_way, most = [0], [0]
        lock = threading.Lock()

        def place(_body: bytes) -> Reply:
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            time.sleep(0.005)
            with lock:
                under_way[0] -= 1
            return TAKEN

        result = Result(rate=None)
        Sender(place, at_once=3).send(orders(12), result, lambda: None)
        assert most[0] == 3
        assert (len(result.sent), result.open) == (12, 0)

    def test_slow_answers_do_not_keep_the_next_order_waiting(self) -> None:
        def place(_body: bytes) -> Reply:
            time.sleep(0.2)
            return TAKEN

        result = Result(rate=100)
        Sender(place, at_once=50).send(orders(21), result, lambda: None)
        assert result.achieved_rate
        assert result.achieved_rate > 10, "one after the other it would be 5"

    def test_a_rate_that_was_kept_is_told(self) -> None:
        sent = [Sent(order, TAKEN, (), "", began / 10) for began, order in enumerate(orders(3))]
        assert describe_rate(Result(rate=10, sent=sent, seconds=0.3)) == (
            "sent at 10.0 per second, as requested"
        )

    def test_a_rate_that_could_not_be_kept_is_told(self) -> None:
        def place(_body: bytes) -> Reply:
            time.sleep(0.1)
            return TAKEN

        result = Result(rate=1000)
        Sender(place, at_once=1).send(orders(5), result, lambda: None)
        assert not result.rate_was_kept
        assert "the requested 1000 could not be kept" in describe_rate(result)

    def test_broken_off_it_notes_what_is_still_open(self) -> None:
        release = threading.Event()

        def place(body: bytes) -> Reply:
            if body == b"0":
                raise NoAnswerError("no answer in time")
            release.wait(10)
            return TAKEN

        result = Result(rate=None)
        sender = Sender(place, at_once=3)
        sending = threading.Thread(
            target=sender.send, args=(orders(2), result, lambda: None), daemon=True
        )
        sending.start()
        while result.open < 2:
            time.sleep(0.001)
        sender.break_off(result, patience_seconds=0.1)
        assert result.open == 1
        (sent,) = result.sent
        assert (sent.reply, sent.why, len(sent.tries)) == (None, "no answer in time", 1)
        release.set()
        sending.join()


class TestAnswers:
    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (TAKEN, ""),
            (
                Reply(400, {"title": "no", "errors": [{"field": "amount", "detail": "must be"}]}),
                "400: amount: must be",
            ),
            (Reply(403, {"message": "Missing Authentication Token"}), "403: Missing Auth"),
            (Reply(500, None), "500"),
        ],
    )
    def test_a_refusal_is_told_in_the_apis_words(self, reply: Reply, said: str) -> None:
        assert refusal(reply).startswith(said)
        assert bool(refusal(reply)) == bool(said)

    def test_percentiles_are_of_the_values(self) -> None:
        hundred = [number / 100 for number in range(100, 0, -1)]
        assert Latencies.of(hundred) == Latencies(100, 0.5, 0.95, 0.99, 1.0)
        assert Latencies.of([0.7]) == Latencies(1, 0.7, 0.7, 0.7, 0.7)

    def test_latencies_are_of_every_call_by_its_answer(self) -> None:
        (order,) = orders(1)
        tries = (Try("503", 0.2), Try("202", 0.1))
        found = latencies([Sent(order, TAKEN, tries, "", 0), Sent(order, TAKEN, tries[1:], "", 1)])
        assert [(answer, each.count) for answer, each in found.items()] == [("202", 2), ("503", 1)]
