"""What an operator types, and what the commands that operate the pipeline say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from mypy_boto3_dynamodb import DynamoDBClient
from rich.text import Text

from orderctl.commands import logs, stock
from orderctl.errors import OrderctlError
from orderctl.pipeline import times
from orderctl.pipeline.logs import LogLine, log_line
from orderctl.pipeline.names import did_you_mean, find
from orderctl.pipeline.steps import STEPS
from orderctl.pipeline.stock import Stock, StockError
from orderctl.terminal import results
from orderctl.terminal.options import check_order_id
from support import aws

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("now", NOW),
            ("90s", NOW - timedelta(seconds=90)),
            ("10m", NOW - timedelta(minutes=10)),
            ("-2h", NOW - timedelta(hours=2)),
            ("3d", NOW - timedelta(days=3)),
            ("2026-11-24T03:00:00Z", NOW.replace(hour=3, minute=0)),
            ("2026-11-24T04:00+01:00", NOW.replace(hour=3, minute=0)),
            ("2026-11-24 03:00", NOW.replace(hour=3, minute=0)),
            ("2026-11-24", NOW.replace(hour=0, minute=0)),
        ],
    )
    def test_is_iso_8601_or_so_long_ago(self, text: str, moment: datetime) -> None:
        assert times.parse(text, NOW) == moment

    @pytest.mark.parametrize("text", ["", "yesterday", "10", "10 m", "5w", "24.11.2026", "9d9"])
    def test_anything_else_is_told_how_to_write_it(self, text: str) -> None:
        with pytest.raises(ValueError, match="write how long ago, such as 10m, 2h or 3d"):
            times.parse(text, NOW)

    def test_what_is_before_all_time_is_refused(self) -> None:
        with pytest.raises(ValueError, match="too long ago"):
            times.parse("999999999d", NOW)


def test_a_close_name_is_asked_for() -> None:
    assert did_you_mean("mgu", ["mug", "tea"]) == " Did you mean mug?"
    assert did_you_mean("xyz", ["mug", "tea"]) == ""


class TestTypedStock:
    def test_pairs_are_skus_and_quantities(self) -> None:
        assert stock.quantities(["mug=3", "a=b=0"], least=0) == {"mug": 3, "a=b": 0}

    @pytest.mark.parametrize(
        ("pairs", "said"),
        [
            (["mug"], "not of the form SKU=N"),
            (["mug=1.5"], "'1.5' is not a whole number"),
            (["mug=-1"], "must be from 0"),
            (["=1"], "a SKU is 1 to 64"),
            (["a b=1"], "a SKU is 1 to 64"),
            (["mug=1", "mug=2"], "mug is given twice"),
        ],
    )
    def test_anything_else_is_refused(self, pairs: list[str], said: str) -> None:
        with pytest.raises(OrderctlError, match=said):
            stock.quantities(pairs, least=0)


class TestStock:
    @pytest.fixture
    def dynamodb(self) -> DynamoDBClient:
        return aws.boto3_dynamodb()

    @pytest.fixture
    def table(self, dynamodb: DynamoDBClient) -> Stock:
        return Stock(dynamodb, {"StockTableName": "stock", "ReservationsTableName": "reservations"})

    @staticmethod
    def available(dynamodb: DynamoDBClient, sku: str) -> str | None:
        item = dynamodb.get_item(TableName="stock", Key={"sku": {"S": sku}}).get("Item")
        return item["available"]["N"] if item else None

    def test_is_set_and_says_what_it_was(self, dynamodb: DynamoDBClient, table: Stock) -> None:
        assert table.put("mug", 100) is None
        assert table.put("mug", 5) == 100
        assert self.available(dynamodb, "mug") == "5"

    def test_is_set_only_if_it_is_what_was_seen(
        self, dynamodb: DynamoDBClient, table: Stock
    ) -> None:
        table.put("mug", 97)
        with pytest.raises(StockError, match="There are 97 of mug, not 100"):
            table.put("mug", 120, was=100)
        with pytest.raises(StockError, match="There is no tea, not 1"):
            table.put("tea", 1, was=1)
        assert table.put("mug", 120, was=97) == 97
        assert self.available(dynamodb, "mug") == "120"
        assert self.available(dynamodb, "tea") is None

    def test_is_added_to_and_taken_from_down_to_nothing(
        self, dynamodb: DynamoDBClient, table: Stock
    ) -> None:
        table.put("mug", 3)
        assert table.add("mug", 4) == 3
        assert table.add("mug", -7) == 7
        with pytest.raises(StockError, match="There are 0 of mug, so 1 cannot be taken"):
            table.add("mug", -1)
        assert self.available(dynamodb, "mug") == "0"

    def test_an_unknown_sku_is_not_added_to(self, dynamodb: DynamoDBClient, table: Stock) -> None:
        with pytest.raises(StockError, match="no SKU mgu"):
            table.add("mgu", 4)
        assert self.available(dynamodb, "mgu") is None


def line(text: str) -> LogLine:
    return log_line({"eventId": "1", "timestamp": 1_795_490_000_000, "message": text}, "f")


STRUCTURED = line(
    '{"level":"WARNING","message":"charge failed","timestamp":"2026-11-24T03:23:06.894+00:00",'
    '"request_id":"r","order_id":"order-1","attempt":1,"reason":"it did \\u001b[2J not"}\n'
)


class TestLogLines:
    def test_a_structured_line_is_time_level_message_and_facts(self) -> None:
        (shown,) = logs.format_line(STRUCTURED, Text())
        assert shown.plain == (
            "2026-11-24T03:23:06.894Z  WARNING  charge failed  order_id=order-1  attempt=1  "
            'reason="it did \\u001b[2J not"  request_id=r'
        )

    def test_a_traceback_stands_below_its_line(self) -> None:
        shown = logs.format_line(
            line('{"level":"ERROR","message":"no","exception":"a\\n\\tb"}'), Text()
        )
        assert [text.plain for text in shown] == [
            "2026-11-24T03:13:20.000Z  ERROR    no",
            "    a",
            "        b",
        ]

    @pytest.mark.parametrize("text", ["{broken", "[1]", "{}", "null", '{"timestamp":5}'])
    def test_any_other_line_is_its_text(self, text: str) -> None:
        assert text in logs.format_line(line(text), Text())[0].plain
        assert line(text).at == datetime(2026, 11, 24, 3, 13, 20, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "noise"),
        [
            ("START RequestId: 1 Version: $LATEST", True),
            ("REPORT RequestId: 1\tDuration: 34 ms", True),
            ('{"metrics":"payments-processor","PaymentsCharged":1}', True),
            ('{"_aws":{},"service":"payments-processor","PaymentsCharged":1}', True),  # of before
            ('{"type":"platform.start","record":{"requestId":"1"}}', True),
            ('{"type":"platform.report","record":{"requestId":"1","status":"success"}}', True),
            ('{"type":"platform.report","record":{"requestId":"1","status":"timeout"}}', False),
            ("Traceback (most recent call last):", False),
            ('{"message":"placed"}', False),
        ],
    )
    def test_lines_of_the_platform_are_noise(self, text: str, noise: bool) -> None:
        assert line(text).is_noise == noise

    def test_what_lambda_says_of_a_failure_can_be_read(self) -> None:
        timeout = line('{"type":"platform.report","record":{"status":"timeout"}}')
        raised = line('{"log_level":"ERROR","errorType":"KeyError","errorMessage":"\'sku\'"}')
        assert timeout.message == "platform.report timeout"
        assert (raised.level, raised.message) == ("ERROR", "'sku'")

    def test_a_line_is_about_its_order_and_no_other(self) -> None:
        assert STRUCTURED.is_about("order-1")
        assert not STRUCTURED.is_about("order")
        assert line("Task timed out for order-1: 3 s").is_about("order-1")
        assert not line("order-11 and my-order-1").is_about("order-1")

    def test_a_line_of_several_logs_names_its_step(self) -> None:
        (shown,) = logs.format_line(STRUCTURED, logs.column("payments"))
        assert shown.plain.startswith(
            "2026-11-24T03:23:06.894Z  payments         WARNING  charge failed"
        )

    def test_no_two_steps_have_one_colour(self) -> None:
        functions = [step.name for step in STEPS if step.function]
        assert len({str(logs.column(name).style) for name in functions}) == len(functions)

    def test_a_line_has_its_step_and_facts_for_a_script(self) -> None:
        shown = logs.logged(STRUCTURED, "payments")
        assert (shown.step, shown.level, shown.facts["attempt"]) == ("payments", "WARNING", 1)
        assert results.plain(logs.logged(line("text"), "tracker")) == {
            "at": "2026-11-24T03:13:20.000Z",
            "step": "tracker",
            "level": "",
            "message": "text",
            "facts": {},
        }


class TestFunctions:
    names = ("blue-order-api", "blue-order-tracker", "blue-payments-processor")

    @pytest.mark.parametrize("typed", ["order-tracker", "blue-order-tracker"])
    def test_a_name_does_without_the_prefix(self, typed: str) -> None:
        assert find(typed, self.names, "blue-", what="function") == "blue-order-tracker"

    def test_an_unknown_one_is_told_the_known_ones(self) -> None:
        with pytest.raises(OrderctlError) as caught:
            find("payment-processor", self.names, "blue-", what="function")
        assert str(caught.value) == (
            "There is no function payment-processor. Did you mean payments-processor? "
            "The functions are: order-api, order-tracker, payments-processor"
        )

    @pytest.mark.parametrize("typed", ["", "a b", 'a"', "x" * 65, ".", ".."])
    def test_what_is_no_order_id_is_refused(self, typed: str) -> None:
        with pytest.raises(OrderctlError, match="is not an order id"):
            check_order_id(typed)
