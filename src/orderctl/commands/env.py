"""`orderctl env`: the environment variables that point a shell at the local cloud."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from orderctl import paths
from orderctl.commands import app
from orderctl.localcloud import lifecycle
from orderctl.localcloud.processes import LOOPBACK
from orderctl.localcloud.state import REGION, LocalState, StateDirectory
from orderctl.terminal import console
from orderctl.terminal.options import Json

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
_SERVICE_ENDPOINT = "AWS_ENDPOINT_URL_"
# The first AWS CLI of each major version that reads AWS_ENDPOINT_URL.
_READS_ENDPOINT_URL = {1: (1, 29), 2: (2, 13)}
_AWS_WRAPPER = """\
#!/bin/sh
# This AWS CLI does not read AWS_ENDPOINT_URL, so pass it as an option.
exec {aws} ${{AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"}} "$@"
"""


@app.command(help_epilogue='Example: eval "$(orderctl env)"')
def env(*, as_json: Json = False) -> None:
    """Print the shell commands that point the AWS CLI and SDKs at the local cloud.

    Args:
        as_json: Print JSON instead.
    """
    directory = paths.state_directory()
    state = lifecycle.find_running(StateDirectory(directory))
    exported = exports(state, os.environ)
    if as_json:
        console.json_document(exported)
        return
    if old_cli := _cli_without_endpoint_url(directory / "bin"):
        version, path = old_cli
        exported["PATH"] = path
        console.note(
            f"AWS CLI {version} does not read AWS_ENDPOINT_URL; a wrapper in PATH passes it on."
        )
    console.script(script(exported, os.environ).split("\n"))
    if sys.stdout.isatty():
        console.note(f'To set these in your shell: eval "$({paths.orderctl()} env)"')


def exports(state: LocalState, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that point a shell at a local cloud.

    Args:
        state: The local cloud.
        environment: The shell's present variables.
    """
    variables = {
        "AWS_ENDPOINT_URL": state.endpoint,
        "AWS_ACCESS_KEY_ID": state.access_key_id,
        "AWS_SECRET_ACCESS_KEY": state.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_PAGER": "",
    }
    variables |= {variable(output): value for output, value in state.outputs.items()}
    return variables | _around_the_proxy(environment)


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


def script(exported: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """The shell commands that set variables and unset those that would interfere.

    Args:
        exported: What to set.
        environment: The shell's present variables.
    """
    in_the_way = [*_IN_THE_WAY, *(name for name in environment if _SERVICE_ENDPOINT in name)]
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    return "\n".join([*lines, f"unset {' '.join(in_the_way)}"])


def _cli_without_endpoint_url(wrappers: Path) -> tuple[str, str] | None:
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
