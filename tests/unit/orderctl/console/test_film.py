"""A schedule of the simulation, moment by moment, each where it stands in the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.datastructures import QueryParams

from orderctl.console import film
from orderctl.console.film import Choice
from orderctl.console.page import to_html
from orderctl.errors import OrderctlError


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ("", Choice(19, "")),
        ("seed=7&sabotage=x", Choice(7, "x")),
        ("seed=-1", Choice(19, "")),
        ("seed=99999999999999999999", Choice(19, "")),
        ("seed=²", Choice(19, "")),
    ],
)
def test_what_makes_no_sense_in_the_address_is_left_out(asked: str, choice: Choice) -> None:
    assert Choice.of(QueryParams(asked)) == choice


def test_a_schedule_tells_of_steps_faults_messages_and_books() -> None:
    lines = film.story(Choice(19))["lines"]

    assert {"payments", "inventory", "tracker", "notifications"} <= {m.get("step") for m in lines}
    assert any(m.get("fault") for m in lines)
    assert any("order.placed" in m.get("types", ()) for m in lines)
    assert ["orders", "order-4", ["placed"]] in [m.get("book") for m in lines]


def test_a_sabotage_that_is_unknown_is_an_error_that_says_so() -> None:
    with pytest.raises(OrderctlError, match="could not be run"):
        film.story(Choice(19, "none of these"))


def test_an_installed_package_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(film, "_TESTS", tmp_path)

    assert not film.is_there()
    assert "checkout" in to_html(film.missing())


def test_a_seed_that_notices_the_sabotage_is_offered_and_does() -> None:
    sabotage = film.sabotages()[0]
    seed = film.noticed_by(sabotage)
    assert seed is not None

    shown = to_html(film.page(Choice(seed + 1, sabotage), [sabotage]))

    assert f"Seed {seed}</a> does." in shown
    assert "Seed" not in to_html(film.page(Choice(seed, sabotage), [])).partition("</form>")[2]
    assert film.story(Choice(seed, sabotage))["violation"]


def test_nothing_is_offered_without_a_sabotage() -> None:
    assert "</a> does." not in to_html(film.page(Choice(19), []))
