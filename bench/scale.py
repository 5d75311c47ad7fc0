"""`python -m bench.scale`: the tables of docs/scale.md, as `orderctl capacity` has them."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from bench import hot
from bench.processes import ROOT
from orderctl import cli

PAGE: Final = ROOT / "docs" / "scale.md"
RECORDED: Final = ROOT / "bench" / "results" / "bench.json"
REGION: Final = "eu-central-1"
_SET: Final = f"@{ROOT / 'delivery' / '1000-orders-a-second.json'}"
_STEADY_SET: Final = f"@{ROOT / 'delivery' / '10000-orders-a-second.json'}"
_RATES: Final = {100: (), 1_000: ("--param", _SET), 10_000: ("--param", _STEADY_SET)}
"""What is typed beside a rate."""
_REGIONS: Final = ("us-east-1", "eu-west-1", "eu-central-1", "ap-southeast-2", "eu-west-3")
_ALWAYS: Final = ("--charge-ms", "300", "--shelves", "4")
_DIGITS: Final = 3

Row = Sequence[str]


def told(*arguments: str) -> Any:  # noqa: ANN401 - the command's JSON
    """What `orderctl capacity` says.

    Raises:
        RuntimeError: it failed.
    """
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = cli.run(["capacity", *arguments, *_ALWAYS, "--json"])
    if status:
        raise RuntimeError(f"orderctl capacity {' '.join(arguments)} ended with {status}")
    return json.loads(out.getvalue())


def parts() -> Iterator[Row]:
    """Each part's demand and share at each rate."""
    at = [told("--rate", f"{rate}", "--region", REGION, *more) for rate, more in _RATES.items()]
    yield ("", *(f"{rate:,} a second" for rate in _RATES), "limited by")
    for found in zip(*(each["parts"] for each in at), strict=True):
        limited_by = dict.fromkeys(each["limited_by"] for each in found)
        yield (found[0]["name"], *map(_share, found), " or ".join(limited_by))
    yield ("dollars a month", *(f"${_rounded(each['dollars_a_month']):,.0f}" for each in at), "")


def highest() -> Iterator[Row]:
    """The highest rate of some regions, and what gives there."""
    yield ("region", "parameters of the set", "parameters raised", "quotas raised as well")
    for region in _REGIONS:
        of = told("--rate", "1000", "--region", region, "--find", "--param", _SET)["highest"]
        yield (region, *(f"{each['rate']:,.0f}: {each['gives']}" for each in of.values()))


def rushes() -> Iterator[Row]:
    """Rushes for one SKU and for many, as the bench has recorded them."""
    yield from hot.rows(json.loads(RECORDED.read_text(encoding="utf-8"))["hot"])


_TABLES: Final[dict[str, Callable[[], Iterator[Row]]]] = {
    "parts": parts,
    "highest": highest,
    "rushes": rushes,
}


def filled(text: str) -> str:
    """The page with the tables between its marks ``<!-- capacity: … -->``."""
    for name, rows in _TABLES.items():
        first, *others = rows()
        lines = [first, ["---", *["---:"] * (len(first) - 1)], *others]
        body = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        text = re.sub(
            f"(<!-- capacity: {name} -->\n).*?(<!-- end -->)",
            lambda marks, body=body: marks[1] + body + marks[2],  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    return text


def _share(part: dict[str, Any]) -> str:
    demand, limit = (_number(part[name]) for name in ("demand", "limit"))
    share = f"{part['share']:.0%}"
    return f"{demand} of {limit}: {f'**{share}**' if part['share'] > 1 else share}"


def _number(value: float) -> str:
    return f"{_rounded(value):,.10g}"


def _rounded(value: float) -> float:
    """A value with three digits that count: an alarm more changes no page."""
    return float(f"{value:.{_DIGITS}g}")


def renew() -> None:
    """Write the tables into the page."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    renew()
