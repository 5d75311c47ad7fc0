"""What commands that deploy something share: the target's account, and the progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from msgspec.structs import replace

from orderctl import contexts, paths
from orderctl.console import beside
from orderctl.deploying import StackEvent, Template, package
from orderctl.deploying.deployment import NAME_HELD
from orderctl.deploying.package import Target as Machine
from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.terminal import console
from orderctl.terminal.connection import Account, Identity

_VERBS = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted", "IMPORT": "imported"}
_POLL_SECONDS = 2.0
_POLL_SECONDS_LOCAL = 0.05


class Progress:
    """Shows a deployment's resources as they become ready."""

    def __init__(self, step: console.Step) -> None:
        self._done: set[str] = set()
        self._planned = 0
        self._step = step

    @property
    def done(self) -> int:
        """How many are ready."""
        return len(self._done)

    def planned(self, resources: int) -> None:
        """Note how many resources will change."""
        self._planned = resources

    def happened(self, event: StackEvent) -> None:
        """Count a resource that has become ready, and show it."""
        action, _, end = event.status.rpartition("_")
        if end == "COMPLETE" and not event.is_of_stack and event.logical_id not in self._done:
            self._done.add(event.logical_id)
            what = f"{event.logical_id} {_VERBS.get(action, event.status)}"
            self._step.progress(self.done, self._planned, what)


def launch(
    cloud: LocalCloud, running: ExitStack, template: Template, parameters: Mapping[str, str]
) -> None:
    """Package the functions, start a local cloud and deploy the pipeline into it, step by step.

    Args:
        cloud: What to start.
        running: Stops the cloud when it is closed.
        template: What to deploy.
        parameters: The template's parameters.
    """
    lifecycle.check_installed()
    with console.step("Packaging the functions", "Packaged the functions") as step:
        artifact = package.build(Machine.this_machine())
        step.detail = f"{artifact.size / 1e6:.1f} MB"
    with console.step("Starting the local cloud", "Started the local cloud") as step:
        running.enter_context(cloud)
        step.detail = cloud.endpoint
    name = cloud.state.stack_name
    with console.step(f"Deploying {name}", f"Deployed {name}") as step:
        progress = Progress(step)
        cloud.deploy(artifact, template=template, parameters=parameters, observer=progress)
        step.detail = f"{progress.done} resources"


def show_account(where: Account, stack_name: str) -> Identity:
    """Say where a stack is, and as whom, before anything happens to it.

    Raises:
        OrderctlError: The credentials do not work, or are of another account than the context's.
    """
    identity = where.whoami()
    console.place(f"{where.place(stack_name, identity)}\nas {identity.arn}")
    return identity


def remember(where: Account, identity: Identity, stack_name: str) -> None:
    """Keep a deployed stack as a context, so that it can be named from now on."""
    if where.local:
        return
    context = replace(
        where.context,
        stack=stack_name,
        account=identity.account,
        region=where.session.region_name,
        profile=where.profile,
    )
    try:
        known = contexts.load()
        name = known.name_for(context)
        is_new = all(each.name != name for each in known.stacks)
        contexts.save(known.with_stack(replace(context, name=name)))
    except OrderctlError as error:  # the stack is deployed all the same
        console.note(f"The stack was not kept as a context: {error}")
        return
    if is_new:
        console.note(
            f"The stack is the context {name} now. To work on it: "
            f"{paths.orderctl()} context use {name}, or --context {name}"
        )


def forget(where: Account, identity: Identity, stack_name: str) -> None:
    """Remove the context of a stack that was destroyed."""
    gone = replace(
        where.context,
        stack=stack_name,
        account=identity.account,
        region=where.session.region_name,
    )
    known = contexts.load()
    names = [each.name for each in known.stacks if each.place() == gone.place()]
    for name in names:
        known = known.without(name)
    if names:
        contexts.save(known)


def open_beside(cloud: LocalCloud, running: ExitStack) -> None:
    """Start the console of a local cloud; it ends with the local cloud.

    Args:
        cloud: The local cloud, which runs.
        running: Ends the console when it is closed, unless the local cloud was detached.

    Raises:
        OrderctlError: There is no free port.
    """
    address, process = beside.start(cloud.directory)
    cloud.note_console(address)

    def end() -> None:
        if not cloud.state.detached:
            process.terminate()
            process.wait()

    running.callback(end)


def poll_seconds(where: Account) -> float:
    """The seconds between two looks at a change of the stack."""
    return _POLL_SECONDS_LOCAL if where.local else _POLL_SECONDS


def name_held(where: Account) -> timedelta:
    """How long the name of a deleted queue cannot be used again."""
    return lifecycle.NAME_HELD if where.local else NAME_HELD


@contextmanager
def note_when_interrupted(stack_name: str) -> Iterator[None]:
    """If the command is interrupted, say that CloudFormation continues without it."""
    try:
        yield
    except Exception:
        raise
    except BaseException:  # Ctrl-C
        console.note(
            f"CloudFormation continues without this command. See how it goes with: "
            f"aws cloudformation describe-stack-events --stack-name {stack_name}"
        )
        raise
