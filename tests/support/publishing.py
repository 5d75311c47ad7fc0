"""Which events each function publishes, as its code says."""

from __future__ import annotations

import ast
from pathlib import Path

from orders.events import ROUTING, OrderPlaced

_ROOMS = Path(__file__).parents[2] / "src" / "orders"
_DETAILS = {detail.__name__: pair for detail, pair in ROUTING.items()}


def published_by(room: str) -> set[tuple[str, str]]:
    """The source and detail-type of each detail that a function makes.

    It makes a detail by its constructor, or by having it decoded: `Decoder(OrderPlaced)`; or it
    returns what an order on record has: `order.ordered`. One without the bus publishes nothing.

    Args:
        room: the function's package in `orders`, such as ``payments``.
    """
    nodes = [
        node
        for path in (_ROOMS / room).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    if "orders.aws.bus" not in imported:
        return set()
    calls = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) != "isinstance"
    ]
    names = [
        node.id
        for call in calls
        for node in (call.func, *call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(node, ast.Name)
    ]
    returned = [
        node.value.attr
        for node in nodes
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Attribute)
    ]
    if "ordered" in returned:
        names.append(OrderPlaced.__name__)
    return {_DETAILS[name] for name in names if name in _DETAILS}
