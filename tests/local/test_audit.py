"""`orderctl audit`: clean after orders of every kind, and whatever was changed is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orders.aws.order_table import unfinished_shard
from support.command_line import Orderctl
from support.pipeline import PipelineUnderTest, eventually

LONG_AGO = {"S": "2026-11-01T10:00:00.000Z"}


def audited(orderctl: Orderctl, *subjects: str) -> dict[str, set[str]]:
    """What is found about these orders and articles, by its kind; others share the tables."""
    result = orderctl("audit", "--json")
    document = json.loads(result.stdout)
    assert result.returncode == (1 if document["findings"] else 0), result.stderr
    found: dict[str, set[str]] = {}
    for finding in document["findings"]:
        if finding["subject"] in subjects:
            assert finding["mend"].startswith(("orderctl ", "aws dynamodb update-item "))
            found.setdefault(finding["subject"], set()).add(finding["kind"])
    return found


class Backdoor:
    """Changes rows as no function of the pipeline would."""

    def __init__(self, pipeline: PipelineUnderTest) -> None:
        self._dynamodb = pipeline.dynamodb
        self._outputs = pipeline.stack.outputs

    def put(self, table: str, **item: Any) -> None:  # noqa: ANN401
        self._dynamodb.put_item(TableName=self._outputs[table], Item=item)

    def delete(self, table: str, order_id: str) -> None:
        self._dynamodb.delete_item(
            TableName=self._outputs[table], Key={"order_id": {"S": order_id}}
        )

    def change(
        self, table: str, key: dict[str, Any], expression: str, **values: dict[str, str]
    ) -> None:
        self._dynamodb.update_item(
            TableName=self._outputs[table],
            Key=key,
            UpdateExpression=expression,
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )


def order(order_id: str, sku: str, quantity: int = 2) -> dict[str, Any]:
    line = {"sku": sku, "quantity": quantity}
    return {"order_id": order_id, "amount": 9.99, "items": [line]}


def confirmed(pipeline: PipelineUnderTest, sku: str, count: int) -> list[str]:
    """Orders that are confirmed and hold two of an article each."""
    pipeline.set_stock({sku: 2 * count + 1})
    ids = pipeline.ids(count)
    for order_id in ids:
        pipeline.api.place(order(order_id, sku))
    eventually(lambda: pipeline.statuses(ids) == dict.fromkeys(ids, "confirmed"))
    eventually(pipeline.idle)
    return ids


def test_is_clean_after_orders_of_every_kind(
    pipeline: PipelineUnderTest, orderctl: Orderctl
) -> None:
    sku = pipeline.sku("every-kind")
    pipeline.stock.put(sku, 3)
    pipeline.stock.add(sku, 3)
    pipeline.stock.put(sku, 5, was=6)
    ids = pipeline.ids(6)
    taken, refused, published, twice, cancelled, early = ids
    pipeline.api.place(order(taken, sku))
    pipeline.api.place(order(refused, sku, 50))
    pipeline.publish(order(published, sku, 1))
    pipeline.publish(*[order(twice, sku, 1)] * 5)
    pipeline.publish(order(cancelled, sku, 1))
    pipeline.publish_events([("order.cancelled", {"order_id": early, "reason": "raw"})])
    ends = dict.fromkeys(ids, "confirmed") | {refused: "cancelled", early: "cancelled"}
    eventually(lambda: pipeline.statuses(ids) == ends)
    pipeline.publish(order(early, sku))
    pipeline.publish_events([("order.cancelled", {"order_id": cancelled, "reason": "raw"})])
    eventually(lambda: pipeline.statuses([cancelled]) == {cancelled: "cancelled"})
    eventually(lambda: pipeline.idle() and not set(pipeline.unfinished()) & set(ids))
    assert audited(orderctl, *ids, sku) == {}
    pipeline.stock.add(sku, 7)
    assert audited(orderctl, sku) == {}
    assert pipeline.stock.available()[sku] == 5 - 2 - 1 - 1 + 7


def test_what_is_changed_behind_its_back_is_named(
    pipeline: PipelineUnderTest, orderctl: Orderctl
) -> None:
    sku, other_sku, backdoor = pipeline.sku("changed"), pipeline.sku("off"), Backdoor(pipeline)
    ids = confirmed(pipeline, sku, 8)
    more, again, uncharged, unreserved, indexed, gone, unpaid, good = ids
    pipeline.set_stock({other_sku: 10})
    stranger, holder, unfinished, odd = (f"{good}-{name}" for name in "abcd")
    every = (*ids, sku, other_sku, stranger, holder, unfinished, odd)
    assert audited(orderctl, *every) == {}

    def key(order_id: str) -> dict[str, Any]:
        return {"order_id": {"S": order_id}}

    backdoor.change("PaymentsTableName", key(more), "SET amount = :n", n={"N": "19.98"})
    backdoor.change("PaymentsTableName", key(again), "SET charge_id = :id", id={"S": "ch_second"})
    backdoor.delete("PaymentsTableName", uncharged)
    backdoor.delete("ReservationsTableName", unreserved)
    shard = {"S": unfinished_shard(indexed)}
    backdoor.change("OrdersTableName", key(indexed), "SET unfinished = :shard", shard=shard)
    backdoor.delete("OrdersTableName", gone)
    told = {"status": "cancelled", "payment": "refunded", "inventory": "released"}
    backdoor.put(
        "OrdersTableName",
        **key(unpaid),
        **{n: {"S": v} for n, v in told.items()},
        placed_at=LONG_AGO,
    )
    backdoor.change("StockTableName", {"sku": {"S": other_sku}}, "SET available = :n", n={"N": "9"})
    charge = {"amount": {"N": "5"}, "currency": {"S": "USD"}}
    backdoor.put(
        "PaymentsTableName", **key(stranger), state={"S": "charged"}, at=LONG_AGO, **charge
    )
    line = {"sku": {"S": pipeline.sku("never")}, "quantity": {"N": "1"}}
    backdoor.put(
        "ReservationsTableName",
        **key(holder),
        state={"S": "reserved"},
        at=LONG_AGO,
        lines={"L": [{"M": line}]},
    )
    backdoor.put(
        "OrdersTableName",
        **key(unfinished),
        status={"S": "placed"},
        placed_at=LONG_AGO,
        version={"N": "1"},
    )
    backdoor.put("OrdersTableName", **key(odd), status={"S": "lost"}, placed_at=LONG_AGO)

    assert audited(orderctl, *every) == {
        more: {"charge differs"},
        again: {"charged twice"},
        uncharged: {"not charged"},
        unreserved: {"not reserved"},
        sku: {"stock off"},
        indexed: {"wrongly indexed"},
        gone: {"charge without order", "reservation without order"},
        unpaid: {"not refunded", "not released"},
        other_sku: {"stock off"},
        stranger: {"charge without order"},
        holder: {"reservation without order"},
        unfinished: {"not indexed"},
        odd: {"unreadable"},
    }
    for order_id in (*ids, stranger, holder, unfinished, odd):
        for table in ("OrdersTableName", "PaymentsTableName", "ReservationsTableName"):
            backdoor.delete(table, order_id)


@pytest.mark.long
def test_the_schedule_finds_the_same_and_rings_until_the_books_balance(
    pipeline: PipelineUnderTest,
) -> None:
    backdoor, sku, other_sku = Backdoor(pipeline), pipeline.sku("mugs"), pipeline.sku("hats")
    twice, unindexed = confirmed(pipeline, sku, 2)
    pipeline.set_stock({other_sku: 10})
    stray, orphan = f"{twice}-stray", f"{twice}-orphan"
    functions = pipeline.cloud.session().client("lambda")

    def key(order_id: str) -> dict[str, Any]:
        return {"order_id": {"S": order_id}}

    def is_found(*wanted: tuple[str, str]) -> bool:
        """Have an audit done, and look for what it names."""
        functions.invoke(FunctionName="auditor")
        lines = pipeline.log_lines("auditor")
        found = {(it.get("order_id") or it.get("sku"), it.get("rule")) for it in lines}
        return found >= set(wanted)

    charge = {"S": "ch_second"}
    backdoor.change("PaymentsTableName", key(twice), "SET charge_id = :id", id=charge)
    hats = {"sku": {"S": other_sku}}
    backdoor.change("StockTableName", hats, "SET available = :n", n={"N": "9"})
    backdoor.put("PaymentsTableName", **key(stray), state={"S": "charged"}, at=LONG_AGO)
    backdoor.put(
        "ReservationsTableName",
        **key(orphan),
        state={"S": "reserved"},
        at=LONG_AGO,
        lines={"L": []},
    )
    placed = {"status": {"S": "placed"}, "placed_at": LONG_AGO, "version": {"N": "1"}}
    backdoor.put("OrdersTableName", **key(unindexed), **placed)
    pipeline.events.enable_rule(Name="audit-continuation")
    try:
        eventually(
            lambda: is_found(
                (twice, "charged twice"),
                (stray, "charge without order"),
                (orphan, "reservation without order"),
                (unindexed, "not indexed"),
                (other_sku, "stock off"),
            )
        )
        eventually(lambda: pipeline.alarms.states()["audit-findings"] == "ALARM")
        for order_id in (twice, unindexed, stray, orphan):
            for table in ("OrdersTableName", "PaymentsTableName", "ReservationsTableName"):
                backdoor.delete(table, order_id)
        for each in (sku, other_sku):
            pipeline.dynamodb.delete_item(
                TableName=pipeline.stack.outputs["StockTableName"], Key={"sku": {"S": each}}
            )
        functions.invoke(FunctionName="auditor")
        eventually(lambda: pipeline.alarms.states()["audit-findings"] == "OK")
    finally:
        pipeline.events.disable_rule(Name="audit-continuation")


@pytest.mark.long
def test_an_audit_that_does_not_end_within_a_day_rings(pipeline: PipelineUnderTest) -> None:
    functions = pipeline.cloud.session().client("lambda")
    table = pipeline.stack.outputs["AuditTableName"]
    run = {"run": {"S": "last"}, "leg": {"S": "-"}, "began_at": LONG_AGO, "findings": {"N": "0"}}
    with pipeline.without_permission("AuditorRole", "dynamodb:Scan"):
        pipeline.dynamodb.put_item(TableName=table, Item=run)
        functions.invoke(FunctionName="auditor")
        eventually(lambda: pipeline.alarms.states()["audit-overdue"] == "ALARM")
    functions.invoke(FunctionName="auditor")
    eventually(lambda: pipeline.alarms.states()["audit-overdue"] == "OK")


def test_what_a_waiting_message_will_put_right_is_not_judged(
    pipeline: PipelineUnderTest, orderctl: Orderctl
) -> None:
    sku = pipeline.sku("waiting")
    pipeline.set_stock({sku: 5})
    (order_id,) = pipeline.ids(1)
    consumer = pipeline.consumer("tracker")
    consumer.switch(on=False)
    try:
        pipeline.publish(order(order_id, sku))
        eventually(lambda: pipeline.charged([order_id]) and pipeline.reserved([order_id]))
        assert audited(orderctl, order_id, sku) == {}
        not_judged = json.loads(orderctl("audit", "--json").stdout)["not_judged"]
        assert order_id in not_judged["orders_moving"]
    finally:
        consumer.switch(on=True)
    eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
    eventually(pipeline.idle)
    assert audited(orderctl, order_id, sku) == {}


@pytest.mark.long
def test_while_orders_flow_nothing_is_found_that_is_not_so(
    pipeline: PipelineUnderTest, orderctl: Orderctl
) -> None:
    sku = pipeline.sku("flowing")
    pipeline.set_stock({sku: 100})
    ids = pipeline.ids(60)
    for start in range(0, 60, 30):
        pipeline.publish(*[order(i, sku, 1) for i in ids[start : start + 30]])
        early = [("order.cancel_requested", {"order_id": i}) for i in ids[start : start + 30 : 3]]
        pipeline.publish_events(early)
        assert audited(orderctl, *ids, sku) == {}
    eventually(lambda: len(pipeline.statuses(ids)) == 60 and pipeline.idle())
    eventually(lambda: not set(pipeline.unfinished()) & set(ids))
    assert audited(orderctl, *ids, sku) == {}
