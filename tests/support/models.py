"""Values of any shape of a service model, and the operations that are looked at."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, Final

import botocore.session
from botocore.model import ServiceModel, Shape
from hypothesis import strategies as st

OPERATIONS: Final = {
    "dynamodb": (
        "BatchExecuteStatement",
        "BatchGetItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "events": ("PutEvents",),
    "lambda": ("GetEventSourceMapping", "Invoke", "UpdateEventSourceMapping"),
    "logs": ("FilterLogEvents",),
    "sns": ("Publish",),
    "sqs": (
        "ChangeMessageVisibilityBatch",
        "DeleteMessageBatch",
        "GetQueueAttributes",
        "ReceiveMessage",
        "SendMessageBatch",
    ),
}
"""Those that the functions call, and some that they may call next."""
CALLS: Final = [
    (service, name)
    for service, names in OPERATIONS.items()
    for name in names
    if service != "lambda"  # of which few members have a form, so that the test spells them
]

_DEEPEST: Final = 4
_MOST: Final = 2
_INTEGERS: Final = st.integers(-(2**53), 2**53)
_SCALARS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "blob": st.binary(max_size=4),
    "boolean": st.booleans(),
    "double": _INTEGERS.map(lambda number: number / 4),
    "integer": _INTEGERS,
    "long": _INTEGERS,
    "string": st.text(max_size=6),
}


@cache
def model(service: str) -> ServiceModel:
    """What botocore knows of a service."""
    return botocore.session.get_session().get_service_model(service)


def values(shape: Shape | None, *without: str, depth: int = 0) -> st.SearchStrategy[Any]:
    """Any value of a shape, but for members of some types: times are seconds here.

    Args:
        shape: of an operation's input or output.
        without: types that are left out.
        depth: how deep it is in another one.
    """
    if shape is None:
        return st.just({})
    match shape.type_name:
        case "structure":
            return _structures(shape, without, depth)
        case "list":
            element = values(shape.member, *without, depth=depth + 1)  # type: ignore[attr-defined]
            return st.lists(element, max_size=_MOST if depth < _DEEPEST else 0)
        case "map":
            value = values(shape.value, *without, depth=depth + 1)  # type: ignore[attr-defined]
            most = _MOST if depth < _DEEPEST else 0
            return st.dictionaries(st.text(min_size=1, max_size=4), value, max_size=most)
        case scalar:
            return _SCALARS[scalar]


def _structures(shape: Any, without: tuple[str, ...], depth: int) -> st.SearchStrategy[Any]:  # noqa: ANN401
    members = {
        name: member
        for name, member in shape.members.items()
        if member.type_name not in ("timestamp", *without)
        and not (depth >= _DEEPEST and member.type_name in ("structure", "list", "map"))
    }
    made = {name: _later(member, without, depth + 1) for name, member in members.items()}
    # Of an attribute's value the model does not say that it has one member.
    if shape.is_tagged_union or shape.name == "AttributeValue":
        return st.one_of([st.fixed_dictionaries({name: value}) for name, value in made.items()])
    needed = {name for name in shape.required_members if name in made}
    return st.fixed_dictionaries(
        {name: made[name] for name in needed},
        optional={name: value for name, value in made.items() if name not in needed},
    )


def _later(shape: Shape, without: tuple[str, ...], depth: int) -> st.SearchStrategy[Any]:
    """Its values, worked out only if one is drawn: shapes contain each other."""
    return st.deferred(lambda: values(shape, *without, depth=depth))


def as_json(value: Any) -> bytes:  # noqa: ANN401 - of `values`
    """A value as a service writes it."""
    return json.dumps(value, default=lambda raw: base64.b64encode(raw).decode()).encode()
