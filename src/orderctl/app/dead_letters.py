"""The commands of the dead-letter queues."""

from typing import Annotated

import typer

from orderctl.app.options import Json
from orderctl.commands import dlq as dlq_command
from orderctl.commands.connection import on_stack

QueueNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Which queues. [default: all]", show_default=False),
]
MessageId = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Only this message: its id, or how that begins."),
]

dlq = typer.Typer(
    no_args_is_help=True,
    help="See what is parked in the dead-letter queues and why; redrive or purge it.",
)


@dlq.command("list", epilog="Example: orderctl dlq list")
@on_stack
def dlq_list(as_json: Json = False) -> None:
    """List the dead-letter queues: messages, since when the oldest is parked, the alarm."""
    dlq_command.list_queues(as_json)


@dlq.command(
    "show",
    epilog="Examples:\n\norderctl dlq show payments-dlq\n\norderctl dlq show --json > parked.json",
)
@on_stack
def dlq_show(
    names: QueueNames = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Show at most N messages of each queue.")
    ] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead, with the messages' bodies.")
    ] = False,
) -> None:
    """Show what is parked, and why: as EventBridge, Lambda or the function's log say it.

    To look is to receive, and hides the messages from others for that moment. Nothing is lost
    by it: a dead-letter queue parks nothing further. The age is since a message was sent first.
    """
    dlq_command.show(names or [], limit, as_json)


@dlq.command(
    "redrive",
    epilog="Examples:\n\n"
    "orderctl dlq redrive payments-dlq\n\n"
    "orderctl dlq redrive --message 3f2a81c0",
)
@on_stack
def dlq_redrive(names: QueueNames = None, message: MessageId = None, as_json: Json = False) -> None:
    """Send what is parked back to where it came from, and wait until that is done.

    To redrive too often does no harm: every effect happens once.
    """
    if message is None:
        dlq_command.redrive(names or [], as_json)
    else:
        dlq_command.redrive_message(names or [], message, as_json)


@dlq.command(
    "purge",
    epilog="Examples:\n\n"
    "orderctl dlq purge inventory-dlq\n\n"
    "orderctl dlq purge payments-dlq --message 3f2a81c0 --yes",
)
@on_stack
def dlq_purge(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Which queues.", show_default=False)
    ],
    message: MessageId = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete what is parked, for good; asks before.

    For messages that nobody will ever be able to work on. What they were to do is never done:
    an order whose charge is deleted does not end. `dlq show --json` keeps a copy.
    """
    dlq_command.purge(names, message, yes, as_json)
