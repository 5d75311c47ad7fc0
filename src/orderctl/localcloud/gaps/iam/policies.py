"""Policies are read once, however many requests they decide.

AWS decides each request by the policies as they are then ("Policy evaluation logic", IAM user
guide). MiniStack 1.5.33 does the same, and parses the text of every policy of the caller's role
again for it, and evaluates the policy of a queue for each message. A text always means the same, so
here it is parsed when it is first seen. A resource's policy decides the same as the last time when
it is asked the same, unless the time or the organization counts.
"""

import copy
from functools import lru_cache
from typing import Any

from ministack.core import iam_evaluator

from orderctl.localcloud import seams

_MOST_TEXTS = 1024
_MOST_MATCHES = 4096
# What is not in the context that a policy is asked with, but decides in some.
_OUTSIDE = ("time", "orgid")


def install() -> None:
    """Remember what the texts of policies say."""
    parse = seams.original(iam_evaluator, "parse_policy_document")
    evaluate = seams.original(iam_evaluator, "evaluate_resource_policy")
    parse_text = lru_cache(_MOST_TEXTS)(parse)
    asks_for_more = lru_cache(_MOST_TEXTS)(_asks_for_more)
    decisions: dict[tuple[object, ...], Any] = {}

    def parse_once(document: str | dict[str, Any]) -> list[Any]:
        statements = parse_text(document) if isinstance(document, str) else parse(document)
        return [*statements]

    def evaluate_once(document: object, context: object, *of: object, **more: object) -> object:
        if not isinstance(document, str) or asks_for_more(document):
            return evaluate(document, context, *of, **more)
        asked = (document, repr(context), of, *more.items())
        if asked not in decisions:
            if len(decisions) >= _MOST_TEXTS:
                decisions.clear()
            decisions[asked] = evaluate(document, context, *of, **more)
        return copy.copy(decisions[asked])  # MiniStack adds to what it gets

    for name in ("fnmatch_iam", "fnmatch_iam_cs"):
        match = lru_cache(_MOST_MATCHES)(seams.original(iam_evaluator, name))
        seams.replace_everywhere(iam_evaluator, name, match)
    seams.replace_everywhere(iam_evaluator, "parse_policy_document", parse_once)
    seams.replace_everywhere(iam_evaluator, "evaluate_resource_policy", evaluate_once)


def _asks_for_more(document: str) -> bool:
    """Whether a policy may decide by what is not in the context."""
    return any(key in document.lower() for key in _OUTSIDE)
