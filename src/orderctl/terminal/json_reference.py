"""The reference of what the commands print with --json, written from what they declare."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from cyclopts import App
from msgspec import UnsetType
from msgspec.structs import FieldInfo, fields

from orderctl.contract.schemas import VERSION
from orderctl.terminal.results import Shape, shape_of
from orders.events import OrderUpdate

_HEAD = """\
# JSON

With `--json` a command prints its result on standard output in one shape, which stands here. A
command that tells of one thing prints one object over several lines; one that lists prints an
object a line (JSON Lines), and nothing for an empty list. Everything is ASCII.

Whatever else there is to say goes to standard error, then as JSON, too, an object a line:

| object | when |
|---|---|
| `{"on": …}` | first, by a command that changes something: where |
| `{"note": …}` | a remark |
| `{"error": …, "exit_status": …}` | last, when the command fails |

The exit status is the same with and without `--json`: 0, 1 when something failed, 2 when the
command was called the wrong way. A command that fails may have printed a result before, such as
the orders that were refused.

Times are texts in ISO 8601 and UTC. `make schemas` writes this page from the code.
"""
_TYPES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
    object: "anything",
}
# What the contract describes already.
_SCHEMAS: Mapping[type, str] = {OrderUpdate: "order-update"}


def write(app: App) -> str:
    """The page with every command's shape."""
    parts = [_HEAD]
    told: dict[tuple[type, ...], str] = {}
    for command, shape in commands(app):
        parts.append(f"## orderctl {command}\n")
        many = "One object a line" if shape.is_list else "One object"
        if shape.kinds in told:
            parts.append(f"{many}, as `orderctl {told[shape.kinds]}` prints it.\n")
            continue
        told[shape.kinds] = command
        parts += _kinds(shape.kinds, many)
    return "\n".join(parts).rstrip() + "\n"


def commands(app: App, *names: str) -> Iterator[tuple[str, Shape[Any]]]:
    """The commands that have declared a shape, as they are typed, by name."""
    for name, inner in sorted(app.resolved_commands().items()):
        if name.startswith("-"):
            continue
        if inner.default_command is not None and (shape := shape_of(inner.default_command)):
            yield " ".join((*names, name)), shape
        yield from commands(inner, *names, name)


def explanations(kind: type) -> dict[str, str]:
    """What the docstring of a class says about its attributes, by their names."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _kinds(kinds: tuple[type, ...], many: str) -> Iterator[str]:
    """The tables of kinds of object, and then of those that stand in them."""
    todo = [*kinds]
    for kind in todo:
        yield f"{many if kind in kinds else f'`{kind.__name__}`'}: {_summary(kind)}\n"
        if kind in _SCHEMAS:
            name = f"{_SCHEMAS[kind]}.json"
            yield f"See [{name}](schemas/v{VERSION}/{name}).\n"
            continue
        hints = get_type_hints(kind, include_extras=True)
        said = explanations(kind)
        yield "| field | is | means |\n|---|---|---|"
        for name, field in _fields(kind):
            hint = hints[field]
            todo += [inner for inner in _objects(hint) if inner not in todo]
            yield f"| `{name}` | {_type(hint)} | {said.get(field, '')} |"
        yield ""


def _fields(kind: type) -> list[tuple[str, str]]:
    """The names of a kind's fields in JSON and in Python."""
    if hasattr(kind, "__struct_fields__"):
        found: tuple[FieldInfo, ...] = fields(kind)
        return [(field.encode_name, field.name) for field in found]
    return [(name, name) for name in kind.__dataclass_fields__]  # type: ignore[attr-defined]


def _summary(kind: type) -> str:
    first = (inspect.getdoc(kind) or "").split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`")


def _objects(hint: Any) -> Iterator[type]:  # noqa: ANN401 - a type
    """The kinds of object in a type."""
    if isinstance(hint, type) and get_origin(hint) is None:
        if hasattr(hint, "__struct_fields__") or hasattr(hint, "__dataclass_fields__"):
            yield hint
        return
    for inner in get_args(hint):
        yield from _objects(inner)


def _type(hint: Any) -> str:  # noqa: ANN401 - a type
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(f'`"{value}"`' for value in inner)
    if origin in (Union, types.UnionType):
        words = [_type(each) for each in inner if each is not UnsetType]
        return " or ".join(words) + (", may be missing" if UnsetType in inner else "")
    if origin in (list, tuple):
        return f"list of {_plural(_type(inner[0]))}"
    if origin is dict or origin is Mapping:
        return f"object: {_type(inner[1])} by name"
    return _TYPES.get(hint) or f"`{hint.__name__}`"


def _plural(word: str) -> str:
    return {"text": "texts", "whole number": "whole numbers"}.get(word, word)
