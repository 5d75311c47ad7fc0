"""A field of an order stands in one place: one line in ``events.py`` carries it everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import orders

PACKAGE = Path(orders.__path__[0])
TESTS = Path(__file__).parents[1]

KNOWN = "    customer_id: CustomerId | UnsetType = UNSET\n"
NEW = (
    "    trial_note: Annotated[\n"
    '        str, Meta(min_length=1, description="a note of 1 or more characters")\n'
    "    ] | UnsetType = UNSET\n"
    '    trial_amount: Amount = Decimal("0")\n'
    '    is_trial: Annotated[bool, Meta(description="true or false")] = False\n'
)

SCRIPT = """
import json
from orderctl.commands import order
from orderctl.contract.schemas import build_schemas
from orders.aws.order_table import OrderTable
from orders.order_api.handler import OrderApi
from orders.tracker.handler import OrderTracker
from support.aws import TappedBus, dynamodb
from support.lambdas import Context, event_of, failed, sqs_event

client, tap = dynamodb(), TappedBus()
api = OrderApi(OrderTable(client, "orders"), tap.bus)
context = Context()
new = {"trial_note": "Happy birthday", "trial_amount": 1.5, "is_trial": True}
body = {"order_id": "a", "amount": 5, **new}

def post(**changes):
    return api({"httpMethod": "POST", "body": json.dumps({**body, **changes})}, context)

def get(order_id):
    path = {"order_id": order_id}
    return json.loads(api({"httpMethod": "GET", "pathParameters": path}, context)["body"])

assert [post()["statusCode"] for _ in range(2)] == [202, 202], "the repeat is the same order"
assert post(trial_note="Another")["statusCode"] == 409
(detail_type, detail), again = tap.take()
assert detail_type == "order.placed" and detail.items() >= new.items(), detail
assert get("a").items() >= new.items(), get("a")

(fault,) = json.loads(post(trial_note="")["body"])["errors"]
assert fault == {"field": "trial_note", "detail": 'must be a note of 1 or more characters; got ""'}
(fault,) = json.loads(post(trial_amount=-1)["body"])["errors"]
assert fault["field"] == "trial_amount" and "from 0 to" in fault["detail"], fault

tracker = OrderTracker(OrderTable(client, "orders"), tap.bus, retry=None)
charged = event_of("payment.charged", "a", amount=5, currency="USD", charge_id="ch")
assert failed(tracker(sqs_event(charged, event_of("inventory.reserved", "a")), context)) == []
assert get("a").items() >= {**new, "status": "confirmed"}.items()

client.put_item(TableName="orders", Item={
    "order_id": {"S": "old"}, "placed_at": {"S": "2026-08-18T09:30:00.000Z"},
    "status": {"S": "placed"}, "history": {"L": []}, "version": {"N": "1"},
    "amount": {"N": "5"}, "currency": {"S": "USD"}, "items": {"L": []},
})
old = get("old")
assert old["trial_amount"] == 0 and "trial_note" not in old, old
repeat = {"httpMethod": "POST", "body": '{"order_id":"old","amount":5}'}
assert api(repeat, context)["statusCode"] == 202

for name in ("order.placed", "place-order"):
    assert build_schemas()[name]["properties"].keys() >= new.keys()
order.show(get("a"))
"""


def test_a_field_added_to_the_contract_is_carried_everywhere(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "orders", ignore=shutil.ignore_patterns("__pycache__"))
    events = tmp_path / "orders" / "events.py"
    source = events.read_text()
    assert source.count(KNOWN) == 1
    events.write_text(source.replace(KNOWN, KNOWN + NEW))
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    *_, shown = result.stdout.partition("order  ")
    for text in ("trial_note", "Happy birthday", "trial_amount", "1.5", "is_trial"):
        assert text in shown
