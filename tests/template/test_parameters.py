"""Whatever is given for a parameter: the template refuses it, or the functions start with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderctl.deploying import Template
from orderctl.errors import OrderctlError
from orderctl.terminal.options import parse_parameters
from support.parameters import HOSTILE

Resources = dict[str, dict[str, Any]]
SOURCE = Path(__file__).parents[2] / "src"
TEMPLATE = Template.load()
RANGES = {
    "ApiRateLimit": range(1, 10_001),
    "ApiBurstLimit": range(1, 5_001),
    "ConsumerConcurrency": range(2, 1_001),
    "ConsumerMaximumPollers": range(2, 2_001),
    "BatchSize": range(1, 10_001),
    "PaymentsBatchSize": range(1, 10_001),
    "UnfinishedOrderKeys": range(8, 513),
    "ConsumerTimeoutSeconds": range(5, 901),
    "VisibilityTimeoutSeconds": range(30, 43_201),
    "RetryDelaySeconds": range(901),
    "BatchingWindowSeconds": range(301),
    "QueueAgeAlarmSeconds": range(1, 86_401),
    "RepublishAfterSeconds": range(1, 86_401),
    "StuckAfterMinutes": range(1, 10_081),
    "OrderDeadlineMinutes": range(1, 10_081),
    "ArchiveRetentionDays": range(1, 3_651),
}
UNLESS_ZERO = {
    "ConsumerMinimumPollers": range(2, 201),
    "WarmWriteUnits": range(4_000, 10_000_000),
}
"""0 turns these off."""
SHARES = ("ChargeFailureRate", "ChargeDeclineRate")


def is_taken(name: str, value: str) -> bool:
    """Whether the template takes a value."""
    try:
        Template(TEMPLATE.body, {name: TEMPLATE.parameters[name]}).check({name: value})
    except OrderctlError:
        return False
    return True


@pytest.mark.parametrize("name", RANGES)
def test_a_number_is_a_whole_one_in_its_range(template: dict[str, Any], name: str) -> None:
    declared, wanted = template["Parameters"][name], RANGES[name]
    pattern = re.compile(declared["AllowedPattern"])
    taken = {number for number in range(-10, 100_000) if pattern.fullmatch(str(number))}
    assert taken == set(wanted)
    told = f"a whole number from {wanted[0]} to {wanted[-1]}."
    assert declared["ConstraintDescription"] == told
    assert int(declared["Default"]) in wanted


@pytest.mark.parametrize("name", UNLESS_ZERO)
def test_a_number_that_may_be_zero_is_zero_or_in_its_range(
    template: dict[str, Any], name: str
) -> None:
    declared, wanted = template["Parameters"][name], UNLESS_ZERO[name]
    pattern = re.compile(declared["AllowedPattern"])
    taken = {number for number in range(-10, 100_000) if pattern.fullmatch(str(number))}
    assert taken == {0, *range(wanted[0], min(wanted[-1] + 1, 100_000))}
    assert pattern.fullmatch(str(wanted[-1]))
    assert not pattern.fullmatch(str(wanted[-1] + 1))
    told = f"{wanted[-1]:,}" if wanted[-1] > 99_999 else str(wanted[-1])
    assert declared["ConstraintDescription"] == f"0, or a whole number from {wanted[0]} to {told}."
    assert declared["Default"] == "0"


@pytest.mark.parametrize("name", SHARES)
def test_a_share_is_from_0_to_1(name: str) -> None:
    taken = [f"{Decimal(n) / 1000}" for n in range(-100, 1_100) if is_taken(name, f"{n / 1000}")]
    assert [Decimal(text) for text in taken] == [Decimal(n) / 1000 for n in range(1_001)]
    assert is_taken(name, "0")
    assert is_taken(name, "1")


@pytest.mark.parametrize(
    ("schedule", "taken"),
    [
        *((text, True) for text in ("", "rate(1 day)", "rate(12 hours)", "cron(0 3 * * ? *)")),
        *(
            (text, False)
            for text in ("rate(1 days)", "rate(2 day)", "rate(0 days)", "rate(1 day) ")
        ),
        *((text, False) for text in ("daily", "cron()", "cron(0 3 * * ? *); rate(1 day)", " ")),
    ],
)
def test_a_schedule_is_one_of_eventbridge(schedule: str, taken: bool) -> None:
    assert is_taken("AuditSchedule", schedule) is taken


def test_nothing_is_audited_by_default(template: dict[str, Any], resources: Resources) -> None:
    assert template["Parameters"]["AuditSchedule"]["Default"] == ""
    for rule in ("AuditRule", "AuditContinuationRule"):
        assert resources[rule]["Properties"]["State"]["Fn::If"] == [
            "IsAudited",
            "ENABLED",
            "DISABLED",
        ]


def test_no_number_is_left_that_only_its_ends_bound(template: dict[str, Any]) -> None:
    """Between 1 and 10 is 2.5."""
    for name, declared in template["Parameters"].items():
        if declared["Type"] == "Number":
            assert "AllowedValues" in declared, name


def test_a_value_that_is_refused_is_refused_with_words(template: dict[str, Any]) -> None:
    for name, declared in template["Parameters"].items():
        if "AllowedPattern" in declared:
            assert declared["ConstraintDescription"].endswith("."), name


def environments(resources: Resources, parameter: str, value: str) -> dict[str, dict[str, str]]:
    """What the functions that a parameter reaches find in their environment, by handler."""
    found = {}
    for resource in resources.values():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        reached = [key for key, given in variables.items() if given == {"Ref": parameter}]
        if reached:
            found[resource["Properties"]["Handler"]] = dict.fromkeys(reached, value)
    return found


# An environment starts with the imports of its function; a fork of a process that has the heavy
# ones already takes a tenth of the time.
STARTS = """
import importlib, json, os, sys
import botocore.session, msgspec  # the heavy ones
for module, variables in json.load(sys.stdin):
    if child := os.fork():
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{module} does not start with {variables}")
    else:
        os.environ.update(variables)
        importlib.import_module(module)
        os._exit(0)
"""


def test_the_functions_start_with_whatever_the_template_takes(
    template: dict[str, Any], resources: Resources
) -> None:
    starts = [
        (handler.rpartition(".")[0], variables)
        for name in template["Parameters"]
        for value in HOSTILE
        if is_taken(name, value)
        for handler, variables in environments(resources, name, value).items()
    ]
    assert starts
    result = subprocess.run(
        [sys.executable, "-c", STARTS],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        input=json.dumps(starts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("rate", ["1000", "10000"])
def test_a_documented_set_for_so_many_orders_a_second_fits_the_template(rate: str) -> None:
    path = SOURCE.parent / "delivery" / f"{rate}-orders-a-second.json"
    given = parse_parameters((f"@{path}",))
    TEMPLATE.check(given)
    assert given.get("ProvisionedOrdersPerSecond", rate) == rate
    window, timeout = int(given["BatchingWindowSeconds"]), int(given["ConsumerTimeoutSeconds"])
    assert window >= 1, "batches above 10 need it"
    assert int(given["VisibilityTimeoutSeconds"]) >= 6 * timeout + window
