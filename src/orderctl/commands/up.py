"""`orderctl up`: the local cloud with the pipeline in it."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from orderctl import deploying as stack
from orderctl import paths
from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import LocalState, StateDirectory
from orderctl.terminal import console

_VERBS = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted", "IMPORT": "taken in"}


def up(port: int | None, parameters: Mapping[str, str], detach: bool) -> None:
    """Start the local cloud, deploy the pipeline, and wait until it is stopped.

    Args:
        port: Where it is to listen; when not given, the usual port or the next free one.
        parameters: The template's parameters.
        detach: Whether to leave it running instead of waiting.
    """
    template = stack.Template.load()
    template.check(parameters)
    directory = StateDirectory(paths.state_directory())
    with ExitStack() as running:
        left_over = running.enter_context(lifecycle.claimed(directory))
        if left_over:
            console.note(
                f"The local cloud of {left_over.started_at} was not stopped; cleared away."
            )
        chosen = lifecycle.choose_port(port)
        if port is None and chosen != lifecycle.DEFAULT_PORT:
            console.note(f"Port {lifecycle.DEFAULT_PORT} is taken; using {chosen}.")
        cloud = LocalCloud(directory, port=chosen, detached=detach)
        launch(cloud, running, template, parameters)
        _summarise(cloud.state, detach)
        if detach:
            cloud.detach()
        else:
            cloud.wait()
            console.out().print("The local cloud was stopped.")


def launch(
    cloud: LocalCloud, running: ExitStack, template: stack.Template, parameters: Mapping[str, str]
) -> None:
    """Package the functions, start a local cloud and deploy the pipeline into it, step by step.

    Args:
        cloud: What to start.
        running: Stops it when it is closed.
        template: What to deploy.
        parameters: The template's parameters.
    """
    with console.step("Packaging the functions", "Packaged the functions") as step:
        artifact = package.build(Target.this_machine())
        step.detail = f"{artifact.size / 1e6:.1f} MB"
    with console.step("Starting the local cloud", "Started the local cloud") as step:
        running.enter_context(cloud)
        step.detail = cloud.endpoint
    name = cloud.state.stack_name
    with console.step(f"Deploying {name}", f"Deployed {name}") as step:
        progress = Progress(step)
        cloud.deploy(artifact, template=template, parameters=parameters, observer=progress)
        step.detail = f"{progress.done} resources"


class Progress:
    """Shows a deployment's resources as they get ready."""

    def __init__(self, step: console.Step) -> None:
        self._done: set[str] = set()
        self._planned = 0
        self._step = step

    @property
    def done(self) -> int:
        """How many are ready."""
        return len(self._done)

    def planned(self, resources: int) -> None:
        """Take note of how many there will be."""
        self._planned = resources

    def happened(self, event: stack.StackEvent) -> None:
        """Count what is ready."""
        action, _, end = event.status.rpartition("_")
        if end == "COMPLETE" and not event.is_of_stack and event.logical_id not in self._done:
            self._done.add(event.logical_id)
            what = f"{event.logical_id} {_VERBS.get(action, event.status)}"
            self._step.progress(self.done, self._planned, what)


def _summarise(state: LocalState, detached: bool) -> None:
    program = paths.orderctl()
    console.out().print()
    console.summary(
        [
            ("Endpoint", state.endpoint),
            ("API", state.outputs.get("ApiUrl", "the template has no ApiUrl")),
            ("Log", paths.shown(Path(state.log))),
            ("Use it", f'eval "$({program} env)"' + ("" if detached else "   in another terminal")),
            ("Stop it", f"{program} down" if detached else f"Ctrl-C, or {program} down"),
        ]
    )
    console.out().print()
