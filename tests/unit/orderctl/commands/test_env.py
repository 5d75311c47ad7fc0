"""What `orderctl env` makes a shell do."""

import re
import subprocess
from dataclasses import replace

import pytest

from orderctl import paths
from orderctl.localcloud.state import LocalState
from orderctl.terminal.environment import of_local, too_old

STATE = LocalState(
    pid=1,
    port=4567,
    instance="0123456789abcdef",
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_access_key="secret",
    stack_name="order-pipeline",
    log="local.log",
    started_at="2026-01-01T00:00:00+00:00",
    outputs={
        "ApiId": "abc",
        "OrdersResourceId": "def",
        "ApiUrl": "http://127.0.0.1:4567/_aws/execute-api/abc/live",
        "PaymentsDLQUrl": "http://127.0.0.1:4567/000000000000/payments-dlq",
        "EventBusName": "order-events",
    },
)


def after_eval(state: LocalState, environment: dict[str, str]) -> dict[str, str]:
    """The variables of a shell that has evaluated the script."""
    commands = of_local(state, environment).script()
    result = subprocess.run(
        ["/bin/sh", "-c", 'eval "$1"; env -0', "sh", commands],
        env=environment | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in result.stdout.split("\0") if line)


def test_has_everything_that_the_commands_need() -> None:
    assert of_local(STATE, {}).variables == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4567",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_PAGER": "",
        "API_ID": "abc",
        "RESOURCE_ID": "def",
        "API_URL": "http://127.0.0.1:4567/_aws/execute-api/abc/live",
        "PAYMENTS_DLQ": "http://127.0.0.1:4567/000000000000/payments-dlq",
        "EVENT_BUS": "order-events",
    }


@pytest.mark.parametrize("value", ["a b", "$(exit 9)", "`x`", "it's", 'a"b', "a\nb", "!#*?;&|<>"])
def test_values_reach_the_shell_as_they_are(value: str) -> None:
    assert after_eval(replace(STATE, outputs={"ApiId": value}), {})["API_ID"] == value


def test_what_would_lead_elsewhere_is_cleared() -> None:
    environment = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL_SQS": "https://elsewhere.example.com",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }
    assert environment.keys().isdisjoint(after_eval(STATE, environment))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "127.0.0.1"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": ".corp"}, ".corp,127.0.0.1"),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "127.0.0.1,.corp"}, None),
    ],
)
def test_a_proxy_does_not_get_calls_to_this_machine(
    environment: dict[str, str], expected: str | None
) -> None:
    assert of_local(STATE, environment).variables.get("no_proxy") == expected


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("aws-cli/2.9.19 Python/3.11.2 Linux/6.1 source/x86_64.debian.12 prompt/off", "2.9.19"),
        ("aws-cli/2.12.7 Python/3.11.4 Darwin/22.5.0 exe/x86_64", "2.12.7"),
        ("aws-cli/2.13.0 Python/3.11.4 Darwin/22.5.0 exe/x86_64", None),
        ("aws-cli/1.28.1 Python/3.11.4 Linux/6.1 botocore/1.30.1", "1.28.1"),
        ("aws-cli/1.45.11 Python/3.11.7 Linux/6.1 botocore/1.43.11", None),
        ("aws-cli/3.0.0", None),
        ("something else", None),
    ],
)
def test_recognises_a_cli_that_does_not_read_the_endpoint(banner: str, version: str | None) -> None:
    assert too_old(banner) == version


def test_every_queue_of_the_pipeline_has_a_name() -> None:
    template = paths.TEMPLATE.read_text(encoding="utf-8")
    queues = set(re.findall(r"^  (\w+(?:QueueUrl|DLQUrl)):$", template, re.MULTILINE))
    assert len(queues) > 9
    exported = of_local(replace(STATE, outputs=dict.fromkeys(queues, "http://queue")), {}).variables
    assert sum(value == "http://queue" for value in exported.values()) == len(queues)
