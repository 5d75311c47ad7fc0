"""Options that several commands share, and the checks of their values."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Group, Parameter
from msgspec.structs import replace

from orderctl import contexts, deploying
from orderctl.contexts import Context
from orderctl.errors import UsageError
from orderctl.pipeline import times
from orders import events

CONTEXT_VARIABLE = "ORDERCTL_CONTEXT"
STACK_VARIABLE = "ORDERCTL_STACK"

Json = Annotated[bool, Parameter(name="--json")]
Yes = Annotated[bool, Parameter(alias="-y")]
Since = Annotated[str, Parameter(metavar="TIME")]


def _parameters(_context: object) -> Sequence[str]:
    return [f"{name}=" for name in deploying.Template.load().settable()]


Params = Annotated[
    tuple[str, ...], Parameter(name="--param", metavar="KEY=VALUE", completer=_parameters)
]


def _context_names(_context: object) -> Sequence[str]:
    return contexts.names()


ContextName = Annotated[str | None, Parameter(metavar="NAME", completer=_context_names)]


@Parameter(name="*", group=Group("Which stack", sort_key=100))
@dataclass(frozen=True, slots=True)
class Target:
    """Which stack a command works on; `connection.choose_account` finds the way to it."""

    context: ContextName = None
    """A context, as `orderctl context list` names it. [env var: ORDERCTL_CONTEXT]"""
    stack: Annotated[str | None, Parameter(metavar="NAME")] = None
    """The stack, on AWS unless --local is given. [env var: ORDERCTL_STACK]"""
    local: bool = False
    """In the running local cloud."""
    region: Annotated[str | None, Parameter(metavar="REGION")] = None
    """The AWS region. [default: as for the AWS CLI]"""
    profile: Annotated[str | None, Parameter(metavar="PROFILE")] = None
    """The AWS profile. [default: as for the AWS CLI]"""

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: --local or --context is given together with what names another place.
        """
        places = {
            "--context": self.context,
            "--local": self.local,
            "--region": self.region,
            "--profile": self.profile,
        }
        given = [name for name, value in places.items() if value]
        if len(given) > 1 and (self.context or self.local):
            raise UsageError(f"{given[1]} cannot be combined with {given[0]}.")

    def choose(self, *, deploys: bool = False) -> Context:
        """The context that is meant: by options, else by the environment, else the one in use.

        Without any of them it is the local cloud; for a command that deploys it is AWS.

        Args:
            deploys: Whether the command deploys or destroys a stack.

        Raises:
            UsageError: There is no such context, or the environment contradicts itself.
            OrderctlError: The contexts cannot be read.
        """
        local = contexts.LOCAL_CLOUD
        if self.local:
            return replace(local, stack=self.stack or local.stack)
        if self.context:
            found = contexts.load().find(self.context)
            return replace(found, stack=self.stack or found.stack)
        on_aws = Context(stack=deploying.DEFAULT_NAME, region=self.region, profile=self.profile)
        if self.stack or self.region or self.profile:
            return replace(on_aws, stack=self.stack or _named_stack() or on_aws.stack)
        name, stack = os.environ.get(CONTEXT_VARIABLE), _named_stack()
        if name and stack:
            raise UsageError(
                f"{CONTEXT_VARIABLE} ({name}) and {STACK_VARIABLE} ({stack}) are both set. "
                "Unset one of them."
            )
        if stack:
            return replace(on_aws, stack=stack)
        known = contexts.load()
        if name or known.current:
            return known.find(name or known.current or "")
        return on_aws if deploys else local


def _named_stack() -> str | None:
    """The stack that the environment names."""
    return os.environ.get(STACK_VARIABLE) or None


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
