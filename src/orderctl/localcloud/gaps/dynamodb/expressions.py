"""Expressions are read once, however many requests have them.

AWS recommends placeholders for what differs between requests ("Expression attribute names and
values in DynamoDB", DynamoDB developer guide), so the same few texts come again and again.
MiniStack 1.5.33 splits and checks each of them anew. What it finds depends on the text alone.
"""

from functools import lru_cache
from typing import Any

from ministack.services import dynamodb

from orderctl.localcloud import seams

_MOST_TEXTS = 1024


def install() -> None:
    """Remember what the texts of expressions say."""
    tokenize = lru_cache(_MOST_TEXTS)(seams.original(dynamodb, "_tokenize"))
    check = lru_cache(_MOST_TEXTS)(seams.original(dynamodb, "_condition_syntax_error"))

    def tokenize_once(expression: str) -> list[tuple[Any, ...]]:
        return [*tokenize(expression)]

    seams.replace(dynamodb, "_tokenize", tokenize_once)
    seams.replace(dynamodb, "_condition_syntax_error", check)
