"""Expressions are read once, however many requests have them.

AWS recommends placeholders for what differs between requests ("Expression attribute names and
values in DynamoDB", DynamoDB developer guide), so the same few texts come again and again.
MiniStack 1.5.33 splits and checks each of them anew. What it finds depends on the text alone.

It also reads each statement of a BatchExecuteStatement twice: to check it, and to carry it out.
Here the second time it is what was read the first time.
"""

from functools import lru_cache
from typing import Any

from ministack.services import _dynamodb_keywords, dynamodb

from orderctl.localcloud import seams

_MOST_TEXTS = 1024


def install() -> None:
    """Remember what the texts of expressions say."""
    tokenize = lru_cache(_MOST_TEXTS)(seams.original(dynamodb, "_tokenize"))
    check = lru_cache(_MOST_TEXTS)(seams.original(dynamodb, "_condition_syntax_error"))

    def tokenize_once(expression: str) -> list[tuple[Any, ...]]:
        return [*tokenize(expression)]

    split = lru_cache(_MOST_TEXTS)(seams.original(_dynamodb_keywords, "_tokenize"))
    parse = seams.original(dynamodb, "_parse_partiql")
    last: list[tuple[str, list[Any], Any] | None] = [None]
    """The statement that was read last, if it was once, with its parameters."""

    def parse_once(statement: str, parameters: list[Any]) -> Any:  # noqa: ANN401 - MiniStack's
        known, last[0] = last[0], None
        if known and known[0] == statement and known[1] is parameters:
            return known[2]
        parsed = parse(statement, parameters)
        last[0] = statement, parameters, parsed
        return parsed

    seams.replace(_dynamodb_keywords, "_tokenize", split)
    seams.replace(dynamodb, "_parse_partiql", parse_once)
    seams.replace(dynamodb, "_tokenize", tokenize_once)
    seams.replace(dynamodb, "_condition_syntax_error", check)
