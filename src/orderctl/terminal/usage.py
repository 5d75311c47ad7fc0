"""What is wrong with a command line, in words that do not need Python."""

from __future__ import annotations

from cyclopts import CycloptsError, MissingArgumentError, ValidationError
from cyclopts.exceptions import CoercionError, UnusedCliTokensError
from cyclopts.validators import Number

_KINDS = {int: "a whole number", float: "a number"}


def explain(error: CycloptsError) -> str:
    """Say what is wrong: which argument, what it takes, and what was typed instead."""
    match error:
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return f"{first!r} is one argument too many."
        case CoercionError(token=token, target_type=kind) if token and kind in _KINDS:
            return f"{_name(error, token.keyword)} takes {_KINDS[kind]}, not {token.value!r}."
        case CoercionError(token=token, target_type=kind) if token and kind is bool:
            return f"{_name(error, token.keyword)} takes no value."
        case ValidationError(argument=argument) if argument and (bounds := _bounds(error)):
            typed = " ".join(token.value for token in argument.tokens)
            keyword = argument.tokens[0].keyword if argument.tokens else None
            return f"{_name(error, keyword)} must be {bounds}, not {typed}."
        case MissingArgumentError(argument=argument, keyword=keyword) if argument:
            is_typed = keyword or any(token.keyword for token in argument.tokens)
            return f"{_name(error, keyword)} {'needs a value' if is_typed else 'is missing'}."
        case _:
            return str(error)


def _name(error: CycloptsError, keyword: str | None) -> str:
    """The argument as it was typed, or as the help names it."""
    if keyword or error.argument is None:
        return keyword or "It"
    name = error.argument.name
    return name if name.startswith("--") else name.lstrip("-").upper()


def _bounds(error: CycloptsError) -> str:
    """The bounds of a number, in words; empty when the argument has none."""
    found = error.argument.parameter.validator if error.argument else ()
    validators = found if isinstance(found, tuple) else (found,)
    for each in validators:
        if isinstance(each, Number):
            return _in_words(each)
    return ""


def _in_words(number: Number) -> str:
    if number.gte is not None and number.lte is not None:
        return f"from {number.gte:,} to {number.lte:,}"
    low = [f"{number.gte:,} or more"] if number.gte is not None else []
    low += [f"more than {number.gt:,}"] if number.gt is not None else []
    high = [f"at most {number.lte:,}"] if number.lte is not None else []
    high += [f"less than {number.lt:,}"] if number.lt is not None else []
    return " and ".join(low + high)
