"""Policies are read once, however many requests they decide.

AWS decides each request by the policies as they are then ("Policy evaluation logic", IAM user
guide). MiniStack 1.5.33 does the same, and parses the text of every policy of the caller's role
again for it. A text always means the same, so here it is parsed when it is first seen.
"""

from functools import lru_cache
from typing import Any

from ministack.core import iam_evaluator

from orderctl.localcloud import seams

_MOST_TEXTS = 1024


def install() -> None:
    """Remember what the texts of policies say."""
    parse = seams.original(iam_evaluator, "parse_policy_document")
    parse_text = lru_cache(_MOST_TEXTS)(parse)

    def parse_once(document: str | dict[str, Any]) -> list[Any]:
        statements = parse_text(document) if isinstance(document, str) else parse(document)
        return [*statements]

    seams.replace_everywhere(iam_evaluator, "parse_policy_document", parse_once)
