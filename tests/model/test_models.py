"""The models hold, and notice what is broken on purpose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model.__main__ import breaks
from model.breaks import BREAKS, IN_THE_VERIFIERS_WORDS, PAIRS
from model.spin import MISSING, ORDERS, SCOPES, STOCK, Scope, verify
from support.recorded import RELIABILITY

needs_spin = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")

_QUICK = {
    "the processor charges whenever it is asked",
    "payments and the tracker answer each other for ever",
    "nobody looks after an order that was never published",
    "a late answer overturns a cancel",
    "inventory writes without looking whether somebody else did",
    "inventory forgets an order that was cancelled before it came",
    "a shelf's condition is left out",
}
"""What is broken in each run of the tests, and not in the long ones alone."""


@needs_spin
@pytest.mark.parametrize(
    "name", ["one fault", "every order ends, no fault", "stock: two orders, one piece"]
)
def test_holds(name: str, tmp_path: Path) -> None:
    report = verify(tmp_path, SCOPES[name])
    assert report.error is None
    assert report.states > 1_000


@needs_spin
@pytest.mark.parametrize(
    "name",
    [name if name in _QUICK else pytest.param(name, marks=pytest.mark.long) for name in BREAKS],
)
def test_what_is_broken_on_purpose_is_found(name: str, tmp_path: Path) -> None:
    broken = BREAKS[name]
    scope = SCOPES[broken.scope]
    model = _replaced(scope.model.read_text(), broken.text, broken.instead)
    assert _what_does_not_hold(tmp_path, scope, model) == [broken.found]


@needs_spin
@pytest.mark.long
@pytest.mark.parametrize("name", PAIRS)
def test_of_two_guards_either_is_enough(name: str, tmp_path: Path) -> None:
    pair = PAIRS[name]
    scope = SCOPES[pair.scope]
    sound = both = ORDERS.read_text()
    for number, (text, instead) in enumerate(zip(pair.texts, pair.instead, strict=True)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        assert verify(folder, scope, _replaced(sound, text, instead)).error is None
        both = _replaced(both, text, instead)
    assert _what_does_not_hold(tmp_path, scope, both) == [pair.found]


def test_each_assertion_is_what_finds_some_break() -> None:
    assert {broken.found for broken in BREAKS.values()} == set(IN_THE_VERIFIERS_WORDS)
    models = ORDERS.read_text() + STOCK.read_text()
    assert len(re.findall(r"^ *(?:assert\(|ltl )", models, re.MULTILINE)) == len(
        IN_THE_VERIFIERS_WORDS
    )
    assert BREAKS.keys() >= _QUICK


def test_the_documentation_has_every_scope_and_every_break() -> None:
    page = RELIABILITY.read_text(encoding="utf-8")
    for name in SCOPES:
        assert f"\n| {name} | " in page
    for name, (found, scope) in breaks().items():
        assert f"\n| {name} | {found} | {scope} |\n" in page


def _replaced(model: str, text: str, instead: str) -> str:
    assert model.count(text) == 1
    return model.replace(text, instead)


def _what_does_not_hold(folder: Path, scope: Scope, model: str) -> list[str]:
    error = verify(folder, scope, model).error or ""
    return [found for found, words in IN_THE_VERIFIERS_WORDS.items() if words in error]
