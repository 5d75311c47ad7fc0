"""The JSON that a command prints with --json: one documented shape a command.

A command declares its shape beside its options, with a struct of msgspec for each kind of object:

    class Level(msgspec.Struct, kw_only=True):
        \"\"\"What is available of a SKU; "Attributes:" explains each.\"\"\"

        sku: str
        available: int

    _JSON = Lines(Level)          # a list: one object a line; Document(Level) for a single object

    @stock.command(name="list", help_epilogue=…)
    @_JSON.of_command
    def list_stock(*, as_json: Json = False, …) -> None:
        …
        if as_json:
            _JSON.show(levels)

mypy holds what is shown against what is declared, and `docs/json.md` is written from it: `make
schemas` writes it, and a test says when it is out of date or an attribute is not explained. Times
are texts in ISO 8601 and UTC (`pipeline.times.format_time`), lengths of time are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from orderctl.terminal import console

ThingT = TypeVar("ThingT", bound=msgspec.Struct)
CommandT = TypeVar("CommandT", bound=Callable[..., None])

_ATTRIBUTE = "json_shape"


class Shape(Generic[ThingT]):
    """What a command prints with --json.

    Attributes:
        kinds: The kinds of object that it prints.
        is_list: Whether it prints an object a line, as many as there are.
    """

    is_list = False

    def __init__(self, *kinds: type[ThingT]) -> None:
        self.kinds = kinds

    def of_command(self, command: CommandT) -> CommandT:
        """Declare it as the shape of a command."""
        setattr(command, _ATTRIBUTE, self)
        return command


class Document(Shape[ThingT]):
    """One object, over several lines."""

    def show(self, thing: ThingT) -> None:
        """Print it."""
        console.write(console.json_text(plain(thing), indent=2))


class Lines(Shape[ThingT]):
    """A list: one object a line (JSON Lines); nothing when the list is empty."""

    is_list = True

    def show(self, things: Iterable[ThingT]) -> None:
        """Print them, and hand them to the reader at once."""
        for thing in things:
            console.write(console.json_text(plain(thing)))
        console.flush()


def shape_of(command: Callable[..., Any]) -> Shape[Any] | None:
    """The shape that a command has declared."""
    shape: Shape[Any] | None = getattr(command, _ATTRIBUTE, None)
    return shape


def plain(thing: msgspec.Struct) -> Any:  # noqa: ANN401 - JSON
    """A struct as plain values; a decimal stays one, and what JSON does not have becomes text."""
    return msgspec.to_builtins(thing, builtin_types=(Decimal,), enc_hook=str)
