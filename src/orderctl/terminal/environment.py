"""The environment that leads a program to a context: its variables, and what must not be there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orderctl.deploying import Template
from orderctl.localcloud.processes import LOOPBACK
from orderctl.localcloud.state import REGION, LocalState
from orderctl.pipeline.stack import NoStackError, Stack
from orderctl.terminal import console
from orderctl.terminal.connection import Account
from orderctl.terminal.options import CONTEXT_VARIABLE, STACK_VARIABLE

# The test scenarios have other names for these outputs.
_SCENARIO_NAMES = {"OrdersResourceId": "RESOURCE_ID", "ApiUrl": "API_URL"}
_WORD_ENDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_KINDS = re.compile(r"_(URL|NAME|ARN)$")
# Variables that would send a call elsewhere, or with other credentials.
_IN_THE_WAY = (
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SERVICE_ENDPOINT = "AWS_ENDPOINT_URL_"
# The first AWS CLI of each major version that reads AWS_ENDPOINT_URL.
_READS_ENDPOINT_URL = {1: (1, 29), 2: (2, 13)}
_AWS_WRAPPER = """\
#!/bin/sh
# This AWS CLI does not read AWS_ENDPOINT_URL, so pass it as an option.
exec {aws} ${{AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"}} "$@"
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a program needs in its environment.

    Attributes:
        variables: What is set.
        removed: What must not be set, because it would lead elsewhere.
    """

    variables: Mapping[str, str]
    removed: tuple[str, ...]

    def script(self) -> str:
        """The shell commands that set and unset them."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.variables.items()]
        return "\n".join([*lines, f"unset {' '.join(self.removed)}"])

    def over(self, environment: Mapping[str, str]) -> dict[str, str]:
        """An environment with this one over it."""
        kept = {name: value for name, value in environment.items() if name not in self.removed}
        return kept | dict(self.variables)


def of(where: Account, wrappers: Path) -> Environment:
    """The environment that leads to a context.

    Args:
        where: The context's account.
        wrappers: The directory for a wrapper of an AWS CLI that is too old.

    Raises:
        OrderctlError: The credentials do not work, or are of another account than the context's.
    """
    if where.local is None:
        where.whoami()
        return of_stack(where, os.environ)
    found = of_local(where.local, os.environ)
    if old_cli := cli_without_endpoint_url(wrappers):
        version, path = old_cli
        console.note(
            f"AWS CLI {version} does not read AWS_ENDPOINT_URL; a wrapper in PATH passes it on."
        )
        return replace(found, variables={**found.variables, "PATH": path})
    return found


def of_local(state: LocalState, environment: Mapping[str, str]) -> Environment:
    """The environment that leads to a local cloud.

    Args:
        state: The local cloud.
        environment: The present variables.
    """
    variables = {
        "AWS_ENDPOINT_URL": state.endpoint,
        "AWS_ACCESS_KEY_ID": state.access_key_id,
        "AWS_SECRET_ACCESS_KEY": state.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_PAGER": "",
        **_named(state.outputs),
        **_around_the_proxy(environment),
    }
    services = (name for name in environment if name.startswith(_SERVICE_ENDPOINT))
    return Environment(variables, (*_IN_THE_WAY, CONTEXT_VARIABLE, STACK_VARIABLE, *services))


def of_stack(where: Account, environment: Mapping[str, str]) -> Environment:
    """The environment that leads to a stack on AWS, for `orderctl` itself, too.

    Args:
        where: Its account.
        environment: The present variables.
    """
    context, region = where.context, str(where.session.region_name)
    try:
        outputs = Stack(where.session, context.stack).outputs
    except NoStackError:  # it may be about to be deployed
        outputs = {}
    variables = {"AWS_DEFAULT_REGION": region, "AWS_REGION": region, **_named(outputs)}
    removed = [name for name in environment if name.startswith("AWS_ENDPOINT_URL")]
    if context.profile:
        variables["AWS_PROFILE"] = context.profile
        removed += _KEYS
    if context.endpoint:
        variables["AWS_ENDPOINT_URL"] = context.endpoint
    pointing = {CONTEXT_VARIABLE: context.name, STACK_VARIABLE: context.stack}
    name = CONTEXT_VARIABLE if context.name else STACK_VARIABLE
    variables[name] = pointing[name]
    removed += [other for other in pointing if other != name]
    return Environment(variables, tuple(name for name in removed if name not in variables))


def nowhere(environment: Mapping[str, str], wrappers: Path) -> Environment:
    """The environment without anything that the others set.

    Args:
        environment: The present variables.
        wrappers: The directory that may be in the PATH.
    """
    outputs = Template.load().outputs()
    removed = (
        *("AWS_ENDPOINT_URL", *_KEYS, "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"),
        *("AWS_PAGER", CONTEXT_VARIABLE, STACK_VARIABLE),
        *(variable(output) for output in outputs),
    )
    path = environment.get("PATH", "").split(os.pathsep)
    without = os.pathsep.join(each for each in path if each != str(wrappers))
    return Environment({"PATH": without} if str(wrappers) in path else {}, removed)


def _named(outputs: Mapping[str, str]) -> dict[str, str]:
    return {variable(output): value for output, value in outputs.items()}


def variable(output: str) -> str:
    """The name of the variable for one of the stack's outputs, such as PAYMENTS_DLQ."""
    spelled = _WORD_ENDS.sub("_", output).upper()
    return _SCENARIO_NAMES.get(output) or _KINDS.sub("", spelled)


def _around_the_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY with this machine in it, if a proxy would get the calls otherwise."""
    variables = {name.lower(): value for name, value in environment.items()}
    excepted = variables.get("no_proxy", "")
    if not variables.get("http_proxy") or LOOPBACK in excepted:
        return {}
    everything = ",".join(filter(None, (excepted, LOOPBACK)))
    return {"NO_PROXY": everything, "no_proxy": everything}


def cli_without_endpoint_url(wrappers: Path) -> tuple[str, str] | None:
    """Wrap the installed AWS CLI, if it is too old to read AWS_ENDPOINT_URL.

    Args:
        wrappers: The directory for the wrapper.

    Returns:
        The CLI's version, and a PATH in which the wrapper comes first; None if it is not needed.
    """
    others = [entry for entry in os.get_exec_path() if entry != str(wrappers)]
    aws = shutil.which("aws", path=os.pathsep.join(others))
    if aws is None:
        return None
    try:
        result = subprocess.run(
            [aws, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = too_old(result.stdout + result.stderr)
    if version is None:
        return None
    wrappers.mkdir(exist_ok=True)
    wrapper = wrappers / "aws"
    wrapper.write_text(_AWS_WRAPPER.format(aws=shlex.quote(aws)))
    wrapper.chmod(0o700)
    return version, os.pathsep.join([str(wrappers), *others])


def too_old(banner: str) -> str | None:
    """The version in what `aws --version` prints, if it is too old to read AWS_ENDPOINT_URL."""
    found = re.search(r"aws-cli/((\d+)\.(\d+)\S*)", banner)
    if found is None:
        return None
    version, major, minor = found[1], int(found[2]), int(found[3])
    needed = _READS_ENDPOINT_URL.get(major, (0, 0))
    return version if (major, minor) < needed else None
