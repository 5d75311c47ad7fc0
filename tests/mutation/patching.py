"""Changes a module that is loaded: its functions get the code that they have with the change."""

from __future__ import annotations

import inspect
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import _lru_cache_wrapper, cached_property
from types import CodeType, FunctionType, ModuleType

from mutation.operators import Mutant
from mutation.targets import file_of, source_of


def patch(mutant: Mutant) -> bool:
    """Change the functions of a loaded module as the mutant has them.

    Returns:
        False, and nothing is changed, if the change is in no function, or in one that is not found
        by its name: then the module must be imported with it.
    """
    file = str(file_of(mutant.module))
    before = compile(source_of(mutant.module), file, "exec")
    after = compile(mutant.source, file, "exec")
    try:
        changed = list(_changed(before, after))
    except _NotInAFunctionError:
        return False
    functions = _functions(sys.modules[mutant.module], file)
    found = [(function, code) for code in changed for function in functions[code.co_qualname]]
    if len({function.__code__.co_qualname for function, _ in found}) < len(changed):
        return False
    if any(function.__code__.co_freevars != code.co_freevars for function, code in found):
        return False
    for function, code in found:
        function.__code__ = code
    forget_what_is_cached()
    return True


class _NotInAFunctionError(Exception):
    """Something is changed that is run when the module is imported."""


def _changed(before: CodeType, after: CodeType) -> Iterator[CodeType]:
    """The functions of a module's or a class's body that are changed, as they are to be."""
    if _own(before) != _own(after):
        raise _NotInAFunctionError
    for old, new in zip(_parts(before), _parts(after), strict=True):
        if not old.co_flags & inspect.CO_OPTIMIZED:  # a class
            yield from _changed(old, new)
        elif old != new:
            yield new


def _own(body: CodeType) -> tuple[object, ...]:
    """What a body does by itself."""
    constants = [None if isinstance(it, CodeType) else repr(it) for it in body.co_consts]
    return body.co_code, constants, body.co_names


def _parts(body: CodeType) -> list[CodeType]:
    return [constant for constant in body.co_consts if isinstance(constant, CodeType)]


def _functions(module: ModuleType, file: str) -> defaultdict[str, list[FunctionType]]:
    """The functions that are defined in a module, by qualified name."""
    functions = defaultdict[str, list[FunctionType]](list)
    for function in _found_in(vars(module).values(), module.__name__):
        if function.__code__.co_filename == file:
            functions[function.__code__.co_qualname].append(function)
    return functions


def _found_in(values: Iterable[object], module: str) -> Iterator[FunctionType]:
    for value in values:
        match value:
            case FunctionType():
                yield value
            case staticmethod() | classmethod():
                yield from _found_in([value.__func__], module)
            case property():
                yield from _found_in([value.fget, value.fset], module)
            case cached_property():
                yield from _found_in([value.func], module)
            case type() if value.__module__ == module:
                yield from _found_in(vars(value).values(), module)
        if wrapped := getattr(value, "__wrapped__", None):
            yield from _found_in([wrapped], module)


def forget_what_is_cached() -> None:
    """Have every function of the modules that keeps its answers work them out anew."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "orders":
            for value in vars(module).values():
                if isinstance(value, _lru_cache_wrapper):
                    value.cache_clear()
