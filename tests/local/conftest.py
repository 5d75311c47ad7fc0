"""One local cloud with the whole pipeline in it, for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import boto3
import pytest

from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import StateDirectory
from support.command_line import Orderctl, typed
from support.pipeline import STACK, PipelineUnderTest

# The smallest timeouts the template takes, so that what has to wait for them does not wait long.
QUICK = {
    "ConsumerTimeoutSeconds": "5",
    "VisibilityTimeoutSeconds": "30",
    "RetryDelaySeconds": "0",
    "ChargeFailureRate": "0",
    # Tests that have charges fail look at what becomes of each message.
    "BreakerTries": "1000",
}


@pytest.fixture(scope="session")
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `orderctl` finds the cloud, when ORDERCTL_STATE_DIR names it."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def environment(state_directory: Path) -> dict[str, str]:
    """As in a terminal, with a proxy that must not be asked for this machine."""
    return os.environ | {
        "ORDERCTL_STATE_DIR": str(state_directory),
        "http_proxy": "http://127.0.0.1:1",
        "no_proxy": "",
    }


@pytest.fixture
def orderctl(environment: dict[str, str]) -> Orderctl:
    """Types a command."""
    return partial(typed, environment)


@pytest.fixture(scope="session")
def cloud(state_directory: Path) -> Iterator[LocalCloud]:
    """The local cloud, deployed from the template with the functions as they are packaged."""
    with LocalCloud(StateDirectory(state_directory)) as cloud:
        cloud.deploy(package.build(Target.this_machine()), parameters=QUICK)
        yield cloud


@pytest.fixture
def pipeline(request: pytest.FixtureRequest) -> Iterator[PipelineUnderTest]:
    """The pipeline with no message left in a dead-letter queue."""
    if STACK:
        pipeline = PipelineUnderTest(boto3.Session(), STACK, None)
        for rate in ("ChargeFailureRate", "ChargeDeclineRate"):
            assert float(pipeline.stack.parameter(rate)) == 0, (
                f"simulated failures would fail tests: deploy {STACK} with --param {rate}=0"
            )
    else:
        cloud: LocalCloud = request.getfixturevalue("cloud")
        pipeline = PipelineUnderTest(cloud.session(), cloud.state.stack_name, cloud)
    pipeline.drain_dead_letter_queues()
    with pipeline.visiting():
        yield pipeline
