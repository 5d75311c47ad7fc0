"""The small changes: what stands in the source, and what stands there instead."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "//",
    ast.LShift: ">>",
    ast.RShift: "<<",
}
_SWAPPED_CALLS: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SHOWN: Final = 70
"""How many characters of a text are shown."""
_OF_LOGS: Final = frozenset({"info", "warning", "error", "fail", "refuse", "TypeVar"})
"""Calls whose texts are for people to read."""
_NO_BEHAVIOUR: Final = frozenset({"strict", "frozen", "kw_only", "slots", "eq"})
"""Keywords that guard against mistakes of ours."""

_NOTHING: Final = frozenset({"None", "False", "0", '""', "[]", "{}", "()"})
"""What a caller cannot tell from None by asking whether it is there."""
_SENTENCE: Final = re.compile(r"[A-Za-z][\w'-]*(?:[,:;.]* \(?[A-Za-z'-]+\)?){2,}[.:]? ?")
"""A text of several words is for people to read; one that a service reads has other characters."""

_Edit = tuple[ast.AST, str]
"""A node, and the text that stands there instead of its own."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one small change."""

    module: str
    place: str
    """The function or class it is in."""
    line: int
    old: str
    new: str
    number: int
    """Which one it is of those that look the same in that place."""
    source: str
    """The whole module with the change."""

    @property
    def id(self) -> str:
        """Its name, which stays when lines move."""
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.module}.{self.place}: {self.old} → {self.new}{again}"


def mutants(module: str, source: str) -> list[Mutant]:
    """Every change of a module's source that the operators know."""
    text = _Text(source)
    seen: Counter[tuple[str, str, str]] = Counter()
    made: list[Mutant] = []
    for place, (node, new) in _Finder(text).of_module(ast.parse(source)):
        old = text.of(node)
        if old == new:
            continue
        change = _short(old), _short(new)
        seen[place, *change] += 1
        line = getattr(node, "lineno", 0)
        number = seen[place, *change]
        made.append(Mutant(module, place, line, *change, number, text.with_change(node, new)))
    return made


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN // 2]} … {line[-_SHOWN // 2 :]}"


class _Text:
    """A module's source by its nodes' places; columns count bytes."""

    def __init__(self, source: str) -> None:
        self._bytes = source.encode()
        self._starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self._span(node)
        return self._bytes[start:end].decode()

    def with_change(self, node: ast.AST, new: str) -> str:
        """The whole source with another text for a node."""
        start, end = self._span(node)
        return (self._bytes[:start] + new.encode() + self._bytes[end:]).decode()

    def _span(self, node: ast.AST) -> tuple[int, int]:
        at: ast.expr = node  # type: ignore[assignment]  # whatever has a place in the source
        assert at.end_lineno is not None
        assert at.end_col_offset is not None
        return (
            self._starts[at.lineno - 1] + at.col_offset,
            self._starts[at.end_lineno - 1] + at.end_col_offset,
        )


class _Finder:
    """Walks through a module, leaving out types, docstrings, imports and logs' texts."""

    def __init__(self, text: _Text) -> None:
        self._text = text

    def of_module(self, module: ast.Module) -> Iterator[tuple[str, _Edit]]:
        """Each change, with the name of the function or class it is in."""
        yield from self._of_body(module.body, "")

    def _of_body(self, body: Sequence[ast.stmt], place: str) -> Iterator[tuple[str, _Edit]]:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                inner = f"{place}.{statement.name}".lstrip(".")
                if isinstance(statement, ast.FunctionDef):
                    for default in [*statement.args.defaults, *statement.args.kw_defaults]:
                        if default:
                            yield from ((inner, edit) for edit in self._of(default))
                yield from self._of_body(_without_docstring(statement.body), inner)
            elif isinstance(statement, ast.If) and _is_for_types(statement.test):
                continue
            elif isinstance(statement, ast.Assign) and not place:
                continue  # a name of a type, or the function as the environment composes it
            elif not isinstance(statement, ast.Import | ast.ImportFrom):
                yield from (
                    (place or "module", edit) for edit in self._of_statement(statement, place)
                )

    def _of_statement(self, statement: ast.stmt, place: str) -> Iterator[_Edit]:
        yield from self._of_whole(statement)
        if isinstance(statement, ast.AnnAssign):
            if statement.value:
                yield from self._of(statement.value)
            return
        if isinstance(statement, ast.Expr) and _is_for_people(statement.value):
            return
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                yield from (edit for _, edit in self._of_body([child], place))
            elif isinstance(child, ast.match_case):
                yield from self._of_case(child, place)
            elif isinstance(child, ast.ExceptHandler):
                yield from (edit for _, edit in self._of_body(child.body, place))
            else:
                yield from self._of(child)

    def _of_whole(self, statement: ast.stmt) -> Iterator[_Edit]:
        text = self._text
        match statement:
            case ast.Expr(value=value) if _is_for_people(value):
                return
            case ast.Expr() | ast.AugAssign() | ast.Raise():
                yield statement, "pass"
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                yield statement, "pass"
            case ast.Continue():
                yield statement, "break"
            case ast.Break():
                yield statement, "continue"
            case ast.Return(value=value) if value and text.of(value) not in _NOTHING:
                yield value, "None"
            case ast.If(test=test) | ast.While(test=test) if not isinstance(
                test, ast.Compare | ast.UnaryOp
            ):
                yield test, f"not ({text.of(test)})"
            case _:
                pass

    def _of_case(self, case: ast.match_case, place: str) -> Iterator[_Edit]:
        if case.guard:
            yield case.guard, "True"
            yield from self._of(case.guard)
        yield from (edit for _, edit in self._of_body(case.body, place))

    def _of(self, node: ast.AST) -> Iterator[_Edit]:
        """The changes of an expression and of those in it."""
        yield from self._of_node(node)
        if _callee(node) in _OF_LOGS:
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.Call) and _callee(node) == "cast" and child is node.args[0]:
                continue  # a type
            if isinstance(child, ast.keyword) and child.arg in _NO_BEHAVIOUR:
                continue
            if isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant):
                continue
            yield from self._of(child)

    def _of_node(self, node: ast.AST) -> Iterator[_Edit]:  # noqa: PLR0912 - one kind of node each
        text = self._text
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                yield node, f"{text.of(left)} {_COMPARISONS[type(op)]} {text.of(right)}"
            case ast.Compare(left=left, ops=[one, two], comparators=[middle, right]):
                first, second = text.of(middle), text.of(right)
                both = text.of(node)
                yield node, both.replace(_sign(one), _COMPARISONS[type(one)], 1)
                yield (
                    node,
                    f"{text.of(left)} {_sign(one)} {first} {_COMPARISONS[type(two)]} {second}",
                )
            case ast.BoolOp(op=op, values=values):
                other = " or " if isinstance(op, ast.And) else " and "
                yield node, "(" + other.join(f"({text.of(value)})" for value in values) + ")"
                for value in values:
                    kept = [f"({text.of(v)})" for v in values if v is not value]
                    own = " and " if isinstance(op, ast.And) else " or "
                    yield node, "(" + own.join(kept) + ")"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield node, f"({text.of(operand)})"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                yield node, text.of(operand)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                yield node, text.of(left)
                yield node, text.of(right)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                yield node, f"{text.of(left)} {_ARITHMETIC[type(op)]} {text.of(right)}"
            case ast.IfExp(test=test, body=body, orelse=orelse):
                yield node, f"({text.of(orelse)} if {text.of(test)} else {text.of(body)})"
            case ast.comprehension(ifs=conditions):
                for condition in conditions:
                    yield condition, "True"
            case ast.Call(func=ast.Name(id=name)) if name in _SWAPPED_CALLS:
                yield node.func, _SWAPPED_CALLS[name]
            case ast.Dict() | ast.Set() | ast.Tuple(ctx=ast.Load()):
                yield from self._without_each(node)
            case ast.Constant(value=value):
                yield from ((node, new) for new in _other(value))
            case _:
                pass

    def _without_each(self, node: ast.Dict | ast.Set | ast.Tuple) -> Iterator[_Edit]:
        text = self._text
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            parts = [f"{text.of(k)}: {text.of(v)}" if k else f"**({text.of(v)})" for k, v in pairs]
            least, opening, closing = 0, "{", "}"
        elif isinstance(node, ast.Set):
            parts = [text.of(element) for element in node.elts]
            least, opening, closing = 1, "{", "}"
        else:
            if not all(isinstance(element, ast.Constant) for element in node.elts):
                return
            parts = [text.of(element) for element in node.elts]
            least, opening, closing = 1, "(", ",)"
        if len(parts) <= least:
            return
        for number in range(len(parts)):
            rest = parts[:number] + parts[number + 1 :]
            yield node, opening + ", ".join(rest) + closing


def _other(value: object) -> Sequence[str]:
    """What may stand instead of a constant."""
    if value is True or value is False:
        return (str(not value),)
    if isinstance(value, int | float):
        return (repr(value + 1),)
    if isinstance(value, str) and not _SENTENCE.fullmatch(value):
        return (repr(f"{value}X"),)
    return ()


def _sign(op: ast.cmpop) -> str:
    opposite = _COMPARISONS[type(op)]
    return next(sign for sign in ("<=", "<", ">=", ">", "==", "!=") if _is(op, sign, opposite))


def _is(op: ast.cmpop, sign: str, opposite: str) -> bool:
    parsed = ast.parse(f"a {sign} b", mode="eval").body
    assert isinstance(parsed, ast.Compare)
    return type(parsed.ops[0]) is type(op) and sign != opposite


def _callee(node: ast.AST) -> str:
    """The last name of what is called; empty for anything else."""
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
    return ""


def _is_for_people(value: ast.expr) -> bool:
    """Whether it is a docstring, or a line of the log."""
    return isinstance(value, ast.Constant) or _callee(value) in _OF_LOGS - {"fail", "refuse"}


def _is_for_types(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body
