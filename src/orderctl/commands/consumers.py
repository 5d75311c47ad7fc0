"""`orderctl pause` and `orderctl resume`: whether a consumer takes messages from its queue."""

from __future__ import annotations

from orderctl import paths
from orderctl.pipeline.queues import Queue
from orderctl.pipeline.steps import CONSUMERS
from orderctl.terminal import console
from orderctl.terminal.connection import connected, print_json


def switch(name: str, *, on: bool, as_json: bool) -> None:
    """Pause or resume a consumer, and wait until that is so.

    Args:
        name: one of `flow.CONSUMERS`.
        on: whether it is to take messages.
        as_json: whether to print JSON.

    Raises:
        NotSwitchedError: it does not get there.
    """
    with connected() as pipeline:
        consumer = pipeline.consumer(name)
        with console.waiting(f"{'Resuming' if on else 'Pausing'} {name}", shown=not as_json):
            changed = consumer.switch(on=on)
        url = pipeline.outputs[CONSUMERS[name].queue or ""]
        queue = Queue(pipeline.session.client("sqs"), url)
        waiting = queue.depth()
    if as_json:
        print_json(
            {"consumer": name, "paused": not on, "changed": changed, "messages_waiting": waiting}
        )
        return
    state = "taking messages" if on else "paused"
    console.out().print(console.text(f"{name} is {state}{'' if changed else ' already'}."))
    messages = f"{waiting} message{'' if waiting == 1 else 's'}"
    if on:
        console.note(f"{messages} on {queue.name} to be worked on.")
        return
    console.note(
        f"What comes waits on {queue.name} ({messages} now), for as long as the queue keeps "
        f"messages; orders that need it do not end. A deployment does not undo this. "
        f"To resume: {paths.orderctl()} resume {name}"
    )
