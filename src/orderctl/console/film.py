"""A schedule of the simulation as a film: what each step did, moment by moment, and the books.

The simulation is with the tests, so it is there in a checkout only. It runs in a process of its
own, as `make simulate SEED=19` runs it, and prints its story.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

import htpy as h
from htpy import Node
from starlette.datastructures import QueryParams

from orderctl import deploying, paths
from orderctl.console import flow, picture
from orderctl.console.addresses import query
from orderctl.console.flow import Resources
from orderctl.console.page import columns
from orderctl.errors import OrderctlError
from orderctl.pipeline.steps import STEPS

_TESTS: Final = paths.ROOT / "tests"
_SECONDS: Final = 120

_FAULT = re.compile(
    r"reply lost|not reached|Exception|Error|ProvisionedThroughput|TransactionConflict"
    r"|is throttled|times out|raises|dies|goes away|unreadable|is given up|parks|is not called"
    r"|received again|failed|refuses"
)
_BOOK = re.compile(r"(?P<key>[^:]{1,80}): (?P<changes>.+)")
_BEGINS = re.compile(r"([a-z_.]+) \(")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which schedule is played."""

    seed: int = 19
    sabotage: str = ""

    @classmethod
    def of(cls, asked: QueryParams) -> Choice:
        """Read it from an address; what makes no sense is left out."""
        seed = asked.get("seed", "")
        number = (
            int(seed) if seed.isascii() and seed.isdigit() and len(seed) <= len("999999999") else 19
        )
        return cls(number, asked.get("sabotage", "")[:200])


def is_there() -> bool:
    """Whether the simulation is there: in a checkout, not in an installed package."""
    return (_TESTS / "simulation" / "__main__.py").is_file()


def sabotages() -> list[str]:
    """The ways to break the handlers, by name.

    Raises:
        OrderctlError: the simulation cannot be run.
    """
    return _simulation("--sabotages").splitlines()


def noticed_by(sabotage: str) -> int | None:
    """A seed that notices a sabotage; None if none is known."""
    known = json.loads((_TESTS / "simulation" / "noticed.json").read_text(encoding="utf-8"))
    seed: int | None = known.get(sabotage)
    return seed


def page(choice: Choice, known: list[str]) -> Node:
    """The film, with its controls; film.js plays it."""
    wiring = flow.read(_resources())
    address = query("/film/story", {"seed": str(choice.seed), "sabotage": choice.sabotage})
    return [
        h.h1["A schedule as a film"],
        h.p(".muted")[
            "The real functions in simulated AWS, with faults: duplicates, lost replies, crashes, "
            "throttling. The seed decides everything. Choose a sabotage to see what breaks, and "
            "which rule notices."
        ],
        h.form(".filters", action="/film")[
            h.label[
                "Seed",
                h.input(name="seed", type="number", min="0", max="999999999", value=choice.seed),
            ],
            h.label(".wide-field")[
                "Sabotage",
                h.select(name="sabotage")[
                    h.option(value="")["none"],
                    [
                        h.option(value=name, selected=name == choice.sabotage)[name]
                        for name in known
                    ],
                ],
            ],
            h.button(type="submit")["Load"],
        ],
        _where_it_is_noticed(choice),
        h.section("#film", data_story=address, aria_label="Film")[
            h.div(".controls")[
                h.button("#play", type="button", disabled=True)["Play"],
                h.button("#back", type="button", disabled=True)["Step back"],
                h.button("#step", type="button", disabled=True)["Step"],
                h.button("#fault", type="button", disabled=True)["Next fault"],
                h.label(".slide")[
                    h.span(".unseen")["Position"],
                    h.input("#position", type="range", min="0", max="0", value="0", disabled=True),
                ],
                h.output("#moment")["loading…"],
            ],
            h.p("#verdict.notice", role="status")["The simulation runs…"],
            h.div(".stage", data_paths=json.dumps(picture.paths(wiring)))[
                picture.draw(wiring, None, {})
            ],
            h.div(".panels")[
                h.section(".panel")[h.h2["What happens"], h.ol("#lines.events")],
                h.section(".panel")[
                    h.h2["The books"],
                    h.div(".scrolls", tabindex="0", role="region", aria_label="The books")[
                        h.table[
                            columns("order", "status", "payment", "reservation"),
                            h.tbody("#books"),
                        ]
                    ],
                ],
            ],
        ],
        h.script(src="/static/film.js", defer=True),
    ]


def _where_it_is_noticed(choice: Choice) -> Node:
    """A seed that notices the sabotage: not in every schedule it does any harm."""
    seed = noticed_by(choice.sabotage)
    if seed is None or seed == choice.seed:
        return None
    address = query("/film", {"seed": str(seed), "sabotage": choice.sabotage})
    return h.p(".muted")[
        "Not every schedule notices every sabotage. ", h.a(href=address)[f"Seed {seed}"], " does."
    ]


def missing() -> Node:
    """What an installed package shows instead."""
    return [
        h.h1["A schedule as a film"],
        h.p(".notice")[
            "The simulation is with the project's tests, so it can be played in a checkout of the "
            "project only, not with an installed package."
        ],
    ]


def story(choice: Choice) -> dict[str, Any]:
    """Run a schedule, and say of each of its moments where it stands in the picture.

    Raises:
        OrderctlError: the simulation cannot be run.
    """
    options = ["--sabotage", choice.sabotage] if choice.sabotage else []
    told = json.loads(_simulation("--seed", str(choice.seed), "--json", *options))
    places = _places(_resources())
    return {
        "violation": told["violation"],
        "lines": [_moment(seconds, who, what, places) for seconds, who, what in told["lines"]],
    }


def _moment(seconds: float, who: str, what: str, places: dict[str, str]) -> dict[str, Any]:
    moment: dict[str, Any] = {"at": round(seconds, 2), "who": who, "what": what}
    if step := places.get(who.partition("#")[0]):
        moment["step"] = step
    if _FAULT.search(what) or who == "another publisher":
        moment["fault"] = True
    if what.startswith("begins: "):
        moment["types"] = _BEGINS.findall(what)
    table = who.removeprefix("table ")
    if table != who and (book := _BOOK.fullmatch(what)):
        moment["book"] = [
            table,
            book["key"],
            [c.partition(" → ")[2] for c in book["changes"].split(", ")],
        ]
    return moment


def _places(resources: Resources) -> dict[str, str]:
    """The step at which something of this name stands in the picture."""
    found = {step.function_name: step.name for step in STEPS if step.function_name}
    for step in STEPS:
        for logical_id in (step.queue, step.dead_letter_queue):
            name = resources.get(logical_id, {}).get("Properties", {}).get("QueueName", {})
            found[str(name.get("Fn::Sub", "")).rpartition("}")[2]] = step.name
    return found


def _resources() -> Resources:
    return deploying.Template.load().resources()


def _simulation(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "simulation", *arguments],
            cwd=paths.ROOT,
            env=os.environ | {"PYTHONPATH": str(_TESTS)},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OrderctlError(f"The simulation has not ended after {_SECONDS} s.") from None
    if not done.stdout:
        last = done.stderr.strip().rpartition("\n")[2]
        raise OrderctlError(f"The simulation could not be run: {last}")
    return done.stdout
