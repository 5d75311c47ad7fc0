"""Which changes of a schema break those who use it.

Events are read by consumers that are older than they are, and those from an archive by consumers
that are newer. So a field is neither removed nor narrowed, and what was always there stays so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
"""The keywords that narrow a schema as they rise."""
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
"""The keywords that narrow a schema as they fall."""
_EXACT: Final = ("pattern", "format", "const", "multipleOf")
"""The keywords of which nobody can say in which direction they change."""


def find_breaks(
    before: Mapping[str, Any], now: Mapping[str, Any], *, is_published: bool
) -> list[str]:
    """Find what in a new schema breaks those who use the one before.

    Args:
        before: the schema that they use.
        now: the schema that is to replace it.
        is_published: whether others read what has this schema, so that they rely on each field
            that was always there. Else they write it, and may leave out more than before.

    Returns:
        A line for each: the field, and what happened to it. None for what only became wider.
    """
    comparison = _Comparison(before, now, is_published=is_published)
    return list(comparison.compare(before, now, ""))


class _Comparison:
    """Two documents, in which references lead to definitions."""

    def __init__(
        self, before: Mapping[str, Any], now: Mapping[str, Any], *, is_published: bool
    ) -> None:
        self._before = before
        self._now = now
        self._is_published = is_published

    def compare(
        self, before: Mapping[str, Any], now: Mapping[str, Any], field: str
    ) -> Iterator[str]:
        """Find what breaks, in this schema and in all below it."""
        before, now = _resolve(before, self._before), _resolve(now, self._now)
        for change in _narrowed(before, now):
            yield f"{field or 'the whole'}: {change}"
        yield from self._fields(before, now, field)
        if "items" in before and "items" in now:
            yield from self.compare(before["items"], now["items"], f"{field}[]")

    def _fields(
        self, before: Mapping[str, Any], now: Mapping[str, Any], field: str
    ) -> Iterator[str]:
        fields: Mapping[str, Any] = before.get("properties", {})
        fields_now: Mapping[str, Any] = now.get("properties", {})
        required, required_now = set(before.get("required", ())), set(now.get("required", ()))
        for name, schema in fields.items():
            place = f"{field}.{name}" if field else name
            if name not in fields_now:
                yield f"{place}: is removed"
                continue
            if self._is_published and name in required - required_now:
                yield f"{place}: was always there, and may be missing now"
            yield from self.compare(schema, fields_now[name], place)
        for name in sorted(required_now - required):
            place = f"{field}.{name}" if field else name
            yield f"{place}: is required now, and is missing in what was written before"


def _resolve(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    definition = document["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**definition, **{k: v for k, v in schema.items() if k != "$ref"}}


def _narrowed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if before.get("type") != now.get("type"):
        yield f"is {now.get('type')}, and was {before.get('type')}"
    for keyword in _LOWER:
        yield from _bound(keyword, before, now, lambda was, is_: is_ > was)
    for keyword in _UPPER:
        yield from _bound(keyword, before, now, lambda was, is_: is_ < was)
    for keyword in _EXACT:
        if keyword in now and before.get(keyword) != now[keyword]:
            yield f"{keyword} is {now[keyword]!r}, and was {before.get(keyword)!r}"
    if "enum" in now and (gone := _gone(before.get("enum"), now["enum"])):
        yield f"takes no longer {gone}"
    if now.get("additionalProperties") is False and before.get("additionalProperties") is not False:
        yield "takes no longer fields that it does not know"
    if before.get("anyOf") != now.get("anyOf"):
        yield f"is one of {now.get('anyOf')}, and was one of {before.get('anyOf')}"


def _bound(
    keyword: str,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    is_narrower: Callable[[Any, Any], bool],
) -> Iterator[str]:
    if keyword not in now:
        return
    if keyword not in before:
        yield f"has a {keyword} of {now[keyword]} now"
    elif is_narrower(before[keyword], now[keyword]):
        yield f"{keyword} is {now[keyword]}, and was {before[keyword]}"


def _gone(before: list[Any] | None, now: list[Any]) -> str:
    if before is None:
        return f"anything but {', '.join(map(str, now))}"
    return ", ".join(str(value) for value in before if value not in now)
