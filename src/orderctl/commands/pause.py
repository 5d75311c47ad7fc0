"""`orderctl pause` and `orderctl resume`: stop a consumer, and let it go on."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.pipeline.names import find_step
from orderctl.pipeline.steps import CONSUMERS
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target
from orderctl.terminal.results import Document

ConsumerName = Annotated[str, Parameter(completer=lambda _context: tuple(CONSUMERS))]


class Switched(msgspec.Struct, kw_only=True):
    """A consumer that was paused or resumed.

    Attributes:
        consumer: Its name.
        paused: Whether it takes no messages now.
        changed: Whether that is new.
        messages_waiting: How many messages wait on its queue.
    """

    consumer: str
    paused: bool
    changed: bool
    messages_waiting: int


_JSON = Document(Switched)


@app.command(group=OPERATING, help_epilogue="Example: orderctl pause payments")
@_JSON.of_command
def pause(consumer: ConsumerName, /, *, as_json: Json = False, target: Target = Target()) -> None:
    """Stop a consumer from taking messages from its queue, and wait until it has stopped.

    Nothing is lost: it finishes the messages it has taken, and new ones wait on the queue, which
    keeps them for 4 days. Orders that need it do not end meanwhile. It stays paused, through
    deployments too, until `orderctl resume`: the circuit breaker does not resume it. `orderctl
    status` shows paused consumers.

    Args:
        consumer: Which consumer: payments, inventory or tracker.
        as_json: Print JSON instead.
        target: Which stack.
    """
    _switch(consumer, on=False, as_json=as_json, target=target)


@app.command(group=OPERATING, help_epilogue="Example: orderctl resume payments")
@_JSON.of_command
def resume(consumer: ConsumerName, /, *, as_json: Json = False, target: Target = Target()) -> None:
    """Let a paused consumer take messages again, and wait until it does.

    If the circuit breaker has paused it, this closes the circuit. It opens again if orders go on
    failing.

    Args:
        consumer: Which consumer: payments, inventory or tracker.
        as_json: Print JSON instead.
        target: Which stack.
    """
    _switch(consumer, on=True, as_json=as_json, target=target)


def _switch(typed: str, *, on: bool, as_json: bool, target: Target) -> None:
    with connect(target, changes=True) as pipeline:
        step = find_step(typed, CONSUMERS.values(), pipeline.stack, what="consumer")
        name, consumer = step.name, pipeline.consumer(step.name)
        with console.waiting(f"{'Resuming' if on else 'Pausing'} {name}", shown=not as_json):
            changed = consumer.switch(on=on)
        queue = pipeline.queue(step.queue)
        waiting = queue.depth()
    if as_json:
        _JSON.show(
            Switched(consumer=name, paused=not on, changed=changed, messages_waiting=waiting)
        )
        return
    state = "taking messages" if on else "paused"
    console.out().print(console.text(f"{name} is {state}{'' if changed else ' already'}."))
    messages = f"{waiting} message{'' if waiting == 1 else 's'}"
    if on:
        console.note(f"{messages} on {queue.name} to be processed.")
        return
    console.note(
        f"New messages wait on {queue.name} ({messages} now) for as long as the queue keeps "
        f"them, and orders that need {name} do not end. A deployment does not undo this. "
        f"To resume: {paths.orderctl()} resume {name}"
    )
