"""An upgrade while orders are in flight: none is lost, none has its effect twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orderctl import paths
from orderctl.deploying import Template, package
from orderctl.deploying.package import Artifact, Target
from orderctl.deploying.template import parse
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import StateDirectory
from support.command_line import PROGRAM
from support.pipeline import PipelineUnderTest, eventually

ORDERS = 150
PATIENCE_SECONDS = 180


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def old(directory: Path) -> Iterator[PipelineUnderTest]:
    with LocalCloud(StateDirectory(directory)) as cloud:
        cloud.deploy(package.build(Target.this_machine()), parameters={"ChargeFailureRate": "0.05"})
        yield PipelineUnderTest(cloud.session(), cloud.state.stack_name, cloud)


def new_code(directory: Path) -> Artifact:
    """The functions, with a line in their log that says they are new."""
    functions = directory / "orders"
    shutil.copytree(paths.FUNCTIONS, functions)
    handler = functions / "payments" / "handler.py"
    handler.write_text(handler.read_text() + '\ntelemetry.info("new code")\n')
    return package.build(Target.this_machine(), functions=functions)


def without_cancel(template: Template) -> Template:
    """A template whose API cannot cancel any more."""
    body: dict[str, Any] = json.loads(json.dumps(parse(template.body)))
    resources = body["Resources"]
    for name in [name for name in resources if name.startswith("CancelOrder")]:
        del resources[name]
    for name in [name for name in resources if "ApiDeployment" in name]:
        resources[name]["DependsOn"].remove("CancelOrderMethod")
        resources[f"{name}x"] = resources.pop(name)
    text = json.dumps(body)
    for name in [name for name in resources if "ApiDeployment" in name]:
        text = text.replace(f'{{"Ref": "{name[:-1]}"}}', f'{{"Ref": "{name}"}}')
    return replace(template, body=text)


def submitted(directory: Path) -> subprocess.Popen[str]:
    command = [str(PROGRAM), "submit", "--json"]
    load = ["--count", str(ORDERS), "--rate", "15", "--item", "mug=1"]
    environment = os.environ | {"ORDERCTL_STATE_DIR": str(directory)}
    return subprocess.Popen(
        [*command, *load],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def order_ids(pipeline: PipelineUnderTest) -> list[str]:
    pages = pipeline.dynamodb.get_paginator("scan").paginate(
        TableName=pipeline.stack.outputs["OrdersTableName"], ProjectionExpression="order_id"
    )
    return [item["order_id"]["S"] for page in pages for item in page["Items"]]


def charges(pipeline: PipelineUnderTest) -> Mapping[str, int]:
    lines = pipeline.log_lines("payments-processor")
    return Counter(line["order_id"] for line in lines if line.get("message") == "charged")


def test_code_parameters_and_the_api_change_under_load(
    old: PipelineUnderTest, directory: Path, tmp_path: Path
) -> None:
    old.set_stock({"mug": ORDERS})
    template, artifact = Template.load(), new_code(tmp_path)
    load = submitted(directory)
    eventually(lambda: len(order_ids(old)) > ORDERS // 10)

    old.cloud.deploy(artifact)
    old.cloud.deploy(artifact, parameters={"LogRetentionDays": "7", "RetryDelaySeconds": "2"})
    old.cloud.deploy(artifact, template=without_cancel(template))
    assert old.api.cancel("nobody").status == 403, "the changed API has reached the stage"
    assert load.poll() is None, "the load went on all the time"

    printed, errors = load.communicate(timeout=PATIENCE_SECONDS)
    assert load.returncode == 0, errors
    ids = order_ids(old)
    assert len(ids) == ORDERS, printed
    eventually(lambda: set(old.statuses(ids).values()) == {"confirmed"}, within=PATIENCE_SECONDS)
    assert set(old.dead_letters.depths().values()) == {0}
    assert old.charged(ids) == old.reserved(ids) == set(ids)
    assert old.stock.available() == {"mug": 0}
    assert charges(old) == dict.fromkeys(ids, 1)
    messages = [line.get("message") for line in old.log_lines("payments-processor")]
    assert "new code" in messages
