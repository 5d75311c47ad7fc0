"""Options and arguments that more than one group of commands has."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from orderctl import moments
from orderctl.commands.connection import unicode_text

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Param = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A parameter of the template; repeatable."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", show_default=False)]


def parameters(pairs: list[str] | None) -> dict[str, str]:
    """The template's parameters from what stands behind --param."""
    given = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise typer.BadParameter(
                f"{pair!r} is not of the form KEY=VALUE.", param_hint="--param"
            )
        given[key] = unicode_text(value, "--param")
    return given


def moment(text: str, option: str) -> datetime:
    """The moment that stands behind an option, such as 10m, 2h ago, or ISO 8601."""
    try:
        return moments.parse(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint=option) from None
