"""An upgrade while orders are in flight: none is lost, none has its effect twice."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orderctl import paths
from orderctl.deploying import Template, package
from orderctl.deploying.package import Artifact, Target
from orderctl.deploying.template import parse
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline.order_files import Outgoing, prepare
from orderctl.pipeline.sender import Result, Sender
from support.pipeline import PipelineUnderTest, eventually

STOCK = 10_000
RATE = 15
PATIENCE_SECONDS = 180


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def old(directory: Path) -> Iterator[PipelineUnderTest]:
    with LocalCloud(StateDirectory(directory)) as cloud:
        cloud.deploy(package.build(Target.this_machine()), parameters={"ChargeFailureRate": "0.05"})
        yield PipelineUnderTest(cloud.session(), cloud.state.stack_name, cloud)


def changed_code(directory: Path, module: str, change: Callable[[str], str]) -> Artifact:
    """The functions, with one of their modules changed."""
    functions = directory / "orders"
    shutil.copytree(paths.FUNCTIONS, functions)
    changed = functions / module
    changed.write_text(change(changed.read_text()))
    return package.build(Target.this_machine(), functions=functions)


def new_code(directory: Path) -> Artifact:
    """The functions, with a line in their log that says they are new."""
    return changed_code(
        directory, "payments/handler.py", lambda text: text + '\ntelemetry.info("new code")\n'
    )


def code_with_embedded_metrics(directory: Path) -> Artifact:
    """The functions as they were before their metrics had filters."""
    line = '_write({"metrics": _service, **levels})'

    def change(text: str) -> str:
        assert line in text
        return text.replace(line, '_write({"_aws": {}, "service": _service, **levels})')

    return changed_code(directory, "aws/telemetry.py", change)


def without_filters(template: Template) -> Template:
    """The template of before."""
    body: dict[str, Any] = json.loads(json.dumps(parse(template.body)))
    resources = body["Resources"]
    for name, resource in [*resources.items()]:
        if resource["Type"] == "AWS::Logs::MetricFilter":
            del resources[name]
        elif resource["Type"] == "AWS::Lambda::Function":
            resource["DependsOn"] = "TracingPolicy"
    return replace(template, body=json.dumps(body))


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


@contextmanager
def load(pipeline: PipelineUnderTest) -> Iterator[Result]:
    """Orders at a rate, from before the block until after it."""
    result, ended = Result(RATE), threading.Event()
    sender = Sender(pipeline.api_client(RATE).post, RATE)
    line = {"sku": "mug", "quantity": 1}

    def orders() -> Iterator[Outgoing]:
        while not ended.is_set():
            yield prepare({"amount": 5, "items": [line]})

    thread = threading.Thread(target=sender.send, args=(orders(), result, lambda: None))
    thread.start()
    try:
        eventually(lambda: len(result.sent) > RATE)
        yield result
    finally:
        ended.set()
        thread.join(PATIENCE_SECONDS)


def charges(pipeline: PipelineUnderTest) -> Mapping[str, int]:
    lines = pipeline.log_lines("payments-processor")
    return Counter(line["order_id"] for line in lines if line.get("message") == "charged")


@pytest.mark.long
def test_code_parameters_and_the_api_change_under_load(
    old: PipelineUnderTest, tmp_path: Path
) -> None:
    old.set_stock({"mug": STOCK})
    template, artifact = Template.load(), new_code(tmp_path)
    with load(old) as result:
        old.cloud.deploy(artifact)
        old.cloud.deploy(artifact, parameters={"LogRetentionDays": "7", "RetryDelaySeconds": "2"})
        old.cloud.deploy(artifact, template=without_cancel(template))
        assert old.api.cancel("nobody").status == 403, "the changed API has reached the stage"

    assert not [sent for sent in result.sent if not sent.taken]
    ids = [sent.order.order_id for sent in result.sent]
    eventually(lambda: set(old.statuses(ids).values()) == {"confirmed"}, within=PATIENCE_SECONDS)
    assert set(old.dead_letters.depths().values()) == {0}
    assert old.charged(ids) == old.reserved(ids) == set(ids)
    assert old.stock.available() == {"mug": STOCK - len(ids)}
    assert charges(old) == dict.fromkeys(ids, 1)
    messages = [line.get("message") for line in old.log_lines("payments-processor")]
    assert "new code" in messages


def total(pipeline: PipelineUnderTest, metric: str, function: str) -> int:
    """How often CloudWatch has counted something."""
    found = pipeline.session.client("cloudwatch").get_metric_statistics(
        Namespace="OrderPipeline",
        MetricName=metric,
        Dimensions=[{"Name": "service", "Value": function}],
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=7200,
        Statistics=["Sum"],
    )
    return round(sum(point["Sum"] for point in found["Datapoints"]))


@pytest.mark.long
def test_what_is_counted_is_counted_once_while_metrics_get_their_filters(
    directory: Path, tmp_path: Path
) -> None:
    """By what is embedded in the line of the old code, or by the filter of the new one's."""
    with LocalCloud(StateDirectory(directory)) as cloud:
        template = Template.load()
        before = code_with_embedded_metrics(tmp_path)
        cloud.deploy(before, template=without_filters(template))
        pipeline = PipelineUnderTest(cloud.session(), cloud.state.stack_name, cloud)
        pipeline.set_stock({"mug": STOCK})
        with load(pipeline) as result:
            eventually(lambda: any("_aws" in line for line in pipeline.log_lines("order-tracker")))
            cloud.deploy(package.build(Target.this_machine()), template=template)
            changed = len(result.sent)
            eventually(lambda: len(result.sent) > changed + RATE)
        ids = [sent.order.order_id for sent in result.sent]
        eventually(
            lambda: set(pipeline.statuses(ids).values()) == {"confirmed"}, within=PATIENCE_SECONDS
        )
        lines = [line for line in pipeline.log_lines("order-tracker") if "OrdersConfirmed" in line]
        embedded = sum(line["OrdersConfirmed"] for line in lines if "_aws" in line)
        filtered = total(pipeline, "OrdersConfirmed", "order-tracker")
        assert 0 < embedded < len(ids)
        assert embedded + filtered == len(ids)
