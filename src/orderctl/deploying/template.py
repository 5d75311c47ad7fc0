"""Reads CloudFormation templates, and checks values for their parameters."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

import yaml

from orderctl import paths
from orderctl.deploying.errors import StackError
from orderctl.errors import OrderctlError

# The deployment itself sets these.
CODE_BUCKET = "CodeBucket"
CODE_KEY = "CodeKey"
CODE_VERSION = "CodeVersion"
SETTINGS_OF_CODE = (CODE_BUCKET, CODE_KEY, CODE_VERSION)


class _Loader(yaml.CSafeLoader):
    """Reads a template; short forms such as !Ref are spelled out."""


def _spell_out(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _spell_out)


def parse(body: str) -> Mapping[str, Any]:
    """A template's structure.

    Raises:
        yaml.YAMLError: It is not YAML.
    """
    # A subclass of the safe loader, which creates only plain values.
    parsed: Mapping[str, Any] = yaml.load(body, _Loader)  # noqa: S506
    return parsed


@dataclass(frozen=True, slots=True)
class Template:
    """A CloudFormation template in YAML.

    Attributes:
        body: Its text.
        parameters: Its parameters' declarations, by name.
    """

    body: str
    parameters: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, path: Path = paths.TEMPLATE) -> Template:
        """Read a template.

        Raises:
            StackError: It cannot be read, or is not YAML.
        """
        try:
            body = path.read_text(encoding="utf-8")
            parameters = parse(body).get("Parameters", {})
        except OSError as error:
            raise StackError(f"{paths.display_path(path)}: {error.strerror}.") from error
        except (yaml.YAMLError, AttributeError) as error:
            raise StackError(f"{paths.display_path(path)} is not a template: {error}") from error
        return cls(body, parameters)

    def settable(self) -> list[str]:
        """The names of the parameters that the deployment does not set itself."""
        return [name for name in self.parameters if name not in SETTINGS_OF_CODE]

    def defaults(self) -> dict[str, str]:
        """The values of the parameters that nobody gives; empty for one without a default."""
        return {name: str(it.get("Default", "")) for name, it in self.parameters.items()}

    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        """The resources' declarations, by logical id."""
        resources: Mapping[str, Mapping[str, Any]] = parse(self.body).get("Resources", {})
        return resources

    def outputs(self) -> Mapping[str, Mapping[str, Any]]:
        """The outputs' declarations, by name."""
        outputs: Mapping[str, Mapping[str, Any]] = parse(self.body).get("Outputs", {})
        return outputs

    def conditions(self) -> Mapping[str, Any]:
        """The conditions' declarations, by name."""
        conditions: Mapping[str, Any] = parse(self.body).get("Conditions", {})
        return conditions

    def check(self, given: Mapping[str, str]) -> None:
        """Check values for the parameters before anything is started.

        Raises:
            OrderctlError: A parameter is unknown or out of bounds, or one without a default is
                missing.
        """
        known = self.settable()
        for name, value in given.items():
            if name not in known:
                raise OrderctlError(_unknown_parameter(name, known))
            if rule := _violated_rule(self.parameters[name], value):
                raise OrderctlError(f"The parameter {name} must be {rule}; it is {value!r}.")
        for name in known:
            if name not in given and "Default" not in self.parameters[name]:
                raise OrderctlError(
                    f"The parameter {name} has no default. Give it with --param {name}=…"
                )


def _violated_rule(declared: Mapping[str, Any], value: str) -> str | None:
    """The rule of the template that a value violates; None for a valid value."""
    allowed = declared.get("AllowedValues")
    if allowed and value not in map(str, allowed):
        return " or ".join(map(str, allowed))
    pattern = declared.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        return str(declared.get("ConstraintDescription", pattern)).rstrip(".")
    if declared.get("Type") == "Number":
        return _violated_bounds(declared, value)
    return None


def _violated_bounds(declared: Mapping[str, Any], value: str) -> str | None:
    low, high = declared.get("MinValue", "-Infinity"), declared.get("MaxValue", "Infinity")
    try:
        fits = Decimal(str(low)) <= Decimal(value) <= Decimal(str(high))
    except InvalidOperation:
        fits = False
    return None if fits else f"a number from {low} to {high}"


def _unknown_parameter(name: str, known: list[str]) -> str:
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    hint = f" Did you mean {by_lower_case[close[0]]}?" if close else ""
    return (
        f"The template has no parameter {name}.{hint}\n"
        f"Its parameters: {', '.join(sorted(known)) or 'none'}."
    )
