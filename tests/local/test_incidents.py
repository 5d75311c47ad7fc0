"""Incidents that are made on purpose, and what is left of them: nothing."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.errors import OrderctlError
from orderctl.pipeline.incidents import INCIDENTS, Incidents
from orderctl.terminal.practice import is_for_tests
from support.command_line import PATIENCE_SECONDS, PROGRAM, Orderctl
from support.pipeline import PipelineUnderTest, eventually


def state(pipeline: PipelineUnderTest, sku: str) -> tuple[object, ...]:
    """What incidents change."""
    function = pipeline.session.client("lambda").get_function_configuration(
        FunctionName=pipeline.stack.physical_id("PaymentsFunction")
    )
    table = pipeline.dynamodb.describe_table(TableName="payments")["Table"]
    role = pipeline.stack.physical_id("InventoryRole")
    bus = pipeline.events.describe_event_bus(Name=pipeline.stack.outputs["EventBusName"])["Arn"]
    return (
        function["Environment"]["Variables"],
        table.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits", -1),
        pipeline.iam.list_role_policies(RoleName=role)["PolicyNames"],
        pipeline.events.list_tags_for_resource(ResourceARN=bus)["Tags"],
        pipeline.stock.available()[sku],
        pipeline.dead_letters.depths(),
    )


@pytest.fixture
def sku(pipeline: PipelineUnderTest) -> str:
    """The article of which most is there."""
    name = pipeline.sku("incident")
    pipeline.set_stock({name: 900_000})
    return name


@pytest.mark.parametrize(
    "name",
    [
        "stock-out",
        "slow-table",
        *(
            pytest.param(n, marks=pytest.mark.long)
            for n in INCIDENTS
            if n not in ("stock-out", "slow-table")
        ),
    ],
)
def test_an_incident_happens_and_everything_is_put_back(
    pipeline: PipelineUnderTest, sku: str, name: str
) -> None:
    before = state(pipeline, sku)
    with Incidents(pipeline).happening(name) as incident:
        incident.go_on()
        assert state(pipeline, sku)[:5] != before[:5]
    assert state(pipeline, sku) == before


def test_what_a_killed_one_has_left_is_undone_by_the_next_call(
    pipeline: PipelineUnderTest, sku: str, orderctl: Orderctl
) -> None:
    before = state(pipeline, sku)
    killed = [Incidents(pipeline).happening(name) for name in ("stock-out", "card-outage")]
    for each in killed:
        each.__enter__()
    assert pipeline.stock.available()[sku] == 0
    result = orderctl("incident", "slow-table", "--seconds", "1", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["undone_before"] == ["card-outage", "stock-out"]
    assert state(pipeline, sku) == before
    for each in killed:  # not killed after all: what is undone is not undone again
        each.__exit__(None, None, None)
    assert state(pipeline, sku) == before


def test_ctrl_c_puts_everything_back(
    pipeline: PipelineUnderTest, sku: str, environment: dict[str, str]
) -> None:
    before = state(pipeline, sku)
    with subprocess.Popen(
        [PROGRAM, "incident", "stock-out"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        process.stdout.readline()  # it says what happens when it does
        assert pipeline.stock.available()[sku] == 0
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE_SECONDS)[1]
        assert process.returncode == 128 + signal.SIGINT
    assert "Putting everything back." in said
    assert state(pipeline, sku) == before


def test_nothing_is_made_up_of_what_was_not_taken(pipeline: PipelineUnderTest, sku: str) -> None:
    incidents = Incidents(pipeline)
    incident = INCIDENTS["stock-out"](pipeline)
    incident.undo(incident.note())
    assert incidents.undo_left() == []
    assert pipeline.stock.available()[sku] == 900_000


def test_without_stock_there_is_no_stock_out(
    pipeline: PipelineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(pipeline.stock), "available", lambda _self: {"mug": 0})
    with pytest.raises(OrderctlError, match="Nothing is in stock"):
        INCIDENTS["stock-out"](pipeline).note()


def test_a_provisioned_table_is_not_slowed_down(pipeline: PipelineUnderTest) -> None:
    """Nor is it by the request any more, until the parameter is back."""
    artifact = package.build(Target.this_machine())

    def table() -> TableDescriptionTypeDef:
        return pipeline.dynamodb.describe_table(TableName="payments")["Table"]

    pipeline.cloud.deploy(artifact, parameters={"ProvisionedOrdersPerSecond": "100"})
    try:
        assert table()["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
        assert table()["ProvisionedThroughput"]["WriteCapacityUnits"] == 143
        (order,) = pipeline.ids(1)
        pipeline.publish({"order_id": order, "amount": 5})
        eventually(lambda: pipeline.statuses([order]) == {order: "confirmed"})
        with (
            pytest.raises(OrderctlError, match="payments is provisioned"),
            Incidents(pipeline).happening("slow-table"),
        ):
            pytest.fail("it happened")
        assert Incidents(pipeline).undo_left() == []
    finally:
        pipeline.cloud.deploy(artifact, parameters={"ProvisionedOrdersPerSecond": "0"})
    assert table()["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.long
def test_customers_order_and_their_orders_end(
    pipeline: PipelineUnderTest, orderctl: Orderctl
) -> None:
    result = orderctl("demo", "--seconds", "3", "--rate", "3", "--json")
    assert result.returncode == 0, result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["answers"].keys() == {"202"}
    assert sum(last["ends"].values()) + last["open"] == last["answers"]["202"] > 0
    assert all(count >= 0 for count in pipeline.stock.available().values())


@pytest.mark.parametrize(
    ("stack", "is_one"),
    [
        ("staging-order-pipeline", True),
        ("shop-test", True),
        ("Dev-order-pipeline", True),
        ("order-pipeline", False),
        ("latest-order-pipeline", False),
        ("production", False),
    ],
)
def test_a_stack_is_for_tests_by_a_word_of_its_name(stack: str, is_one: bool) -> None:
    assert is_for_tests(stack) == is_one
