"""An upgrade while orders are in flight: none is lost, none has its effect twice."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
