"""The README's test scenarios, word for word, with the AWS CLI v2."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Timer

import pytest

from orderctl.waiting import wait_until
from support.command_line import PROGRAM
from support.pipeline import PipelineUnderTest

SUBMIT_10_TEST_ORDERS = r"""
for i in $(seq 1 10); do
    aws apigateway test-invoke-method \
        --rest-api-id $API_ID \
        --resource-id $RESOURCE_ID \
        --http-method POST \
        --body "{\"order_id\":\"order-$i\",\"amount\":$((RANDOM % 1000))}"
done
"""
VERIFY_DLQ_IS_EMPTY = r"""
aws sqs get-queue-attributes \
    --queue-url $PAYMENTS_DLQ \
    --attribute-names ApproximateNumberOfMessages
"""
CHECK_CLOUDWATCH_LOGS = """
aws logs tail /aws/lambda/payments-processor --follow
"""
IDS = [f"order-{number}" for number in range(1, 11)]
FOLLOW_SECONDS = 30


def find_aws_cli_v2() -> Path | None:
    for directory in [*os.get_exec_path(), "/usr/bin", "/usr/local/bin"]:
        found = shutil.which("aws", path=directory)
        if found:
            version = subprocess.run(
                [found, "--version"], capture_output=True, text=True, check=False
            )
            if "aws-cli/2" in version.stdout:
                return Path(found)
    return None


AWS = find_aws_cli_v2()
pytestmark = pytest.mark.skipif(AWS is None, reason="the AWS CLI v2 is not installed")


@pytest.fixture
def environment(pipeline: PipelineUnderTest, state_directory: Path) -> dict[str, str]:
    assert AWS is not None
    path = f"{AWS.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "ORDERCTL_STATE_DIR": str(state_directory)}


def bash(commands: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Run the scenarios' commands in a shell that did what the README says."""
    return subprocess.Popen(
        ["bash", "-c", f'eval "$({PROGRAM} env)"\n{commands}'],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def output_of(commands: str, environment: dict[str, str]) -> str:
    with bash(commands, environment) as shell:
        output, _ = shell.communicate(timeout=120)
    assert shell.returncode == 0
    return output


def test_the_scenarios_run_word_for_word(
    pipeline: PipelineUnderTest, environment: dict[str, str]
) -> None:
    answers = output_of(SUBMIT_10_TEST_ORDERS, environment)
    assert answers.count('"status": 202') == 10

    wait_until(lambda: pipeline.charged(IDS) == set(IDS), patience_seconds=30, poll_seconds=0.2)
    assert pipeline.charged(IDS) == pipeline.reserved(IDS) == set(IDS)

    answer = json.loads(output_of(VERIFY_DLQ_IS_EMPTY, environment))
    assert answer["Attributes"]["ApproximateNumberOfMessages"] == "0"

    missing = set(IDS)
    with bash(CHECK_CLOUDWATCH_LOGS, environment) as following:
        watchdog = Timer(FOLLOW_SECONDS, end, [following])
        watchdog.start()
        assert following.stdout
        for line in following.stdout:
            missing -= {i for i in missing if '"charged"' in line and f'"{i}"' in line}
            if not missing:
                break
        watchdog.cancel()
        end(following)
    assert not missing


def end(shell: subprocess.Popen[str]) -> None:
    """End a shell and what runs in it, as closing its terminal does."""
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGTERM)
