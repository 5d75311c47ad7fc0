"""Options that several commands share, and the checks of their values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Group, Parameter

from orderctl import deploying
from orderctl.errors import UsageError
from orderctl.pipeline import times
from orders import events

STACK_VARIABLE = "ORDERCTL_STACK"

Json = Annotated[bool, Parameter(name="--json")]
Yes = Annotated[bool, Parameter(alias="-y")]
Since = Annotated[str, Parameter(metavar="TIME")]
Params = Annotated[tuple[str, ...], Parameter(name="--param", metavar="KEY=VALUE")]


@Parameter(name="*", group=Group("Which stack", sort_key=100))
@dataclass(frozen=True, slots=True)
class Target:
    """Which stack a command works on: the local cloud's unless a stack on AWS is named."""

    stack: Annotated[str | None, Parameter(metavar="NAME", env_var=STACK_VARIABLE)] = None
    """The stack, on AWS unless --local is given."""
    local: bool = False
    """In the running local cloud."""
    region: Annotated[str | None, Parameter(metavar="REGION")] = None
    """The AWS region. [default: as for the AWS CLI]"""
    profile: Annotated[str | None, Parameter(metavar="PROFILE")] = None
    """The AWS profile. [default: as for the AWS CLI]"""

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: --local is given together with --region or --profile.
        """
        for name, value in (("--region", self.region), ("--profile", self.profile)):
            if self.local and value:
                raise UsageError(f"{name} cannot be combined with --local.")

    @property
    def is_local(self) -> bool:
        """Whether it is the local cloud: with --local, or when no option names anything on AWS."""
        return self.local or not (self.stack or self.region or self.profile)

    @property
    def stack_name(self) -> str:
        """The stack's name."""
        return self.stack or deploying.DEFAULT_NAME


def parse_parameters(pairs: tuple[str, ...]) -> dict[str, str]:
    """The template's parameters from the values of --param.

    A value @FILE stands for the parameters in a JSON file; what comes later counts.

    Raises:
        UsageError: a value is not of the form KEY=VALUE, or a file cannot be read.
    """
    given: dict[str, str] = {}
    for pair in pairs:
        if pair.startswith("@"):
            given |= _parameters_in(Path(pair[1:]))
            continue
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(f"--param {pair!r} is not of the form KEY=VALUE.")
        given[key] = value
    return given


def _parameters_in(path: Path) -> dict[str, str]:
    """The parameters in a JSON file, which is an object of texts.

    Raises:
        UsageError: It cannot be read, or is something else.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--param @{path}: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"--param @{path} is not JSON: {error}.") from None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise UsageError(
            f'--param @{path} must hold an object of texts, such as {{"BatchSize": "100"}}.'
        )
    return given


def parse_moment(text: str, option: str) -> datetime:
    """The point in time that an option names, such as 10m (ago) or an ISO 8601 time.

    Raises:
        UsageError: it is not a time.
    """
    try:
        return times.parse(text, datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"{option}: {error}.") from None


def check_order_id(order_id: str) -> None:
    """Refuse text that cannot be an order's id.

    Raises:
        UsageError: it cannot be one.
    """
    if not events.is_order_id(order_id):
        rule = get_args(events.OrderId)[1].description
        raise UsageError(f"{order_id!r} is not an order id: it must be {rule}.")
