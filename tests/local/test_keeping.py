"""A local cloud that goes on where the last one was stopped."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.errors import OrderctlError
from orderctl.localcloud import kept
from orderctl.localcloud.lifecycle import LocalCloud, kept_port
from orderctl.localcloud.processes import any_free_port
from orderctl.localcloud.state import StateDirectory
from support.pipeline import PipelineUnderTest, eventually

OF = kept.Kept(kept.this_version(), any_free_port(), "AKIA", "secret")


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    """A directory with a kept state."""
    (tmp_path / "state").mkdir()
    directory = StateDirectory(tmp_path)
    kept.save(directory.kept, OF, tmp_path / "state")
    return directory


def test_a_kept_state_says_of_which_cloud_it_is(directory: StateDirectory) -> None:
    assert kept.find(directory.kept) == OF
    assert kept_port(directory, None) == OF.port
    assert {path.name for path in directory.path.iterdir()} == {"kept", "state"}


def test_without_a_kept_state_any_port_will_do(tmp_path: Path) -> None:
    assert kept_port(StateDirectory(tmp_path), 4711) == 4711


def test_a_kept_state_has_its_port(directory: StateDirectory) -> None:
    with pytest.raises(OrderctlError, match=r"is of port [0-9]+, .* Leave --port out\. .* delete "):
        kept_port(directory, 1)


def test_a_kept_port_that_is_taken_is_named(directory: StateDirectory) -> None:
    with (
        socket.create_server(("127.0.0.1", OF.port)),
        pytest.raises(OrderctlError, match=rf"Port {OF.port}, which .* is taken .* delete "),
    ):
        kept_port(directory, None)


def test_a_state_of_another_version_is_refused(directory: StateDirectory) -> None:
    kept.save(directory.kept, replace(OF, version="1.0.0-abc"), directory.path / "state")
    with pytest.raises(OrderctlError, match=r"of version 1\.0\.0-abc, and this is .* delete "):
        kept.find(directory.kept)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"version": kept.this_version()})])
def test_a_damaged_state_is_refused(directory: StateDirectory, text: str) -> None:
    (directory.kept / "cloud.json").write_text(text)
    with pytest.raises(OrderctlError, match=r"is damaged\. To start anew, delete "):
        kept.find(directory.kept)


@pytest.mark.long
def test_orders_stock_messages_and_keys_are_there_after_a_restart(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    artifact = package.build(Target.this_machine())

    def confirmed(pipeline: PipelineUnderTest, order: str) -> None:
        eventually(lambda: pipeline.statuses([order]) == {order: "confirmed"})

    with LocalCloud(directory, keep=True) as first:
        first.deploy(artifact, parameters={"ChargeFailureRate": "0"})
        before = first.state
        pipeline = PipelineUnderTest(first.session(), before.stack_name, first)
        pipeline.stock.put("mug", 10)
        pipeline.publish({"order_id": "before", "amount": 5, "items": [mugs(2)]})
        confirmed(pipeline, "before")
        pipeline.consumer("payments").switch(on=False)
        pipeline.publish({"order_id": "across", "amount": 5, "items": [mugs(3)]})
        eventually(lambda: pipeline.stock.available()["mug"] == 5)

    with LocalCloud(directory, keep=True, ports=[before.port]) as second:
        assert second.deploy(artifact) == before.outputs
        after = second.state
        assert after.access_key_id == before.access_key_id
        assert after.secret_access_key == before.secret_access_key
        pipeline = PipelineUnderTest(second.session(), after.stack_name, second)
        assert pipeline.statuses(["before"]) == {"before": "confirmed"}
        assert pipeline.stock.available()["mug"] == 5
        pipeline.consumer("payments").switch(on=True)
        confirmed(pipeline, "across")
        assert not Path(after.log).read_text()


def mugs(quantity: int) -> dict[str, object]:
    return {"sku": "mug", "quantity": quantity}
