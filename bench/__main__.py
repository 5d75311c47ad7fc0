"""`make bench`: measures, prints, and writes what an order costs."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from bench import cold, costs, emulator, hot, local, page, plot, processes, report, scale, warm
from bench.processes import ROOT
from bench.setting import BY_NAME, ON_THE_WAY, Function, prepare
from bench.targets import targets
from bench.workload import STOCK
from orderctl import paths
from orderctl.errors import OrderctlError
from orderctl.pipeline.capacity.counted import save_counted
from orderctl.terminal import console

_RESULTS: Final = ROOT / "bench" / "results"
_PARTS: Final = ("cold", "warm", "local", "hot")

app = App(name="python -m bench", default_parameter=Parameter(negative=()))


@app.default
def run(
    *,
    quick: bool = False,
    part: Annotated[tuple[str, ...], Parameter(choices=_PARTS)] = (),
    function: Annotated[tuple[str, ...], Parameter(choices=tuple(BY_NAME))] = (),
    port: int | None = None,
    into: Path | None = None,
) -> None:
    """Measure what an order costs, beside the floor and beside a textbook version.

    Args:
        quick: Few samples: a look, no result.
        part: Measure this alone; repeatable.
        function: Measure this function alone; repeatable.
        port: Where the local cloud listens.
        into: Where the results go.
    """
    parts = part or _PARTS
    functions = [BY_NAME[name] for name in function or BY_NAME]
    circumstances = _circumstances(quick)
    results = _measure(parts, functions, quick, port)
    results["measured"] = dict.fromkeys(parts, circumstances)
    reached = targets(results)
    report.show(results, reached)
    directory = into or (paths.BUILD / "bench-quick" if quick or function else _RESULTS)
    directory.mkdir(parents=True, exist_ok=True)
    if directory == _RESULTS:
        results = _renewed(results)
        reached = targets(results)
    results["targets"] = [target.as_dict() for target in reached]
    (directory / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    plot.draw(results, directory / "bench.svg")
    where = paths.display_path(directory)
    console.out().print(f"\nWritten to {where}/bench.json and {where}/bench.svg.")
    if directory == _RESULTS:
        page.renew(results)
        if "warm" in parts:
            save_counted(circumstances["at"], ON_THE_WAY, results["warm"])
        scale.renew()  # by what was counted
        console.out().print(f"The tables of {paths.display_path(page.PAGE)} are those of this run.")


def _renewed(results: Mapping[str, Any]) -> dict[str, Any]:
    """What is on record, with the parts that were measured now."""
    recorded = read(json.loads((_RESULTS / "bench.json").read_text()))
    measured = {**recorded["measured"], **results["measured"]}
    return {**recorded, **results, "measured": measured}


def read(recorded: Any) -> Any:  # noqa: ANN401 - what JSON has
    """Recorded results as they were measured: JSON has texts for the keys that were numbers."""
    if isinstance(recorded, list):
        return [read(element) for element in recorded]
    if isinstance(recorded, dict):
        return {
            int(key) if key.isdecimal() else key: read(value) for key, value in recorded.items()
        }
    return recorded


def _measure(
    parts: Sequence[str], functions: Sequence[Function], quick: bool, port: int | None
) -> dict[str, Any]:
    results: dict[str, Any] = {}
    on_the_way = [function for function in functions if function in ON_THE_WAY]
    code = processes.lay_out()
    if "cold" in parts:
        with console.step("Starting functions", "Started functions") as step:
            results["cold"] = cold.measure(
                code, functions, 3 if quick else 11, lambda n, of: step.progress(n, of, "starts")
            )
    if "warm" in parts:
        with (
            console.step("Invoking functions", "Invoked functions") as step,
            emulator.start() as aws,
        ):
            prepare(aws.endpoint, STOCK)
            results["warm"] = warm.measure(
                code,
                aws,
                on_the_way,
                1 if quick else 7,
                lambda n, of: step.progress(n, of, "samples"),
                latencies=(0,) if quick else warm.LATENCIES_MS,
            )
        if on_the_way == list(ON_THE_WAY):
            results["costs"] = costs.measure(results["warm"])
    if "local" in parts:
        with console.step("Taking orders to their ends", "Took orders to their ends") as step:
            results["local"] = local.measure(
                3 if quick else 8,
                1 if quick else 3,
                port,
                lambda n, of: step.progress(n, of, "rates, then bursts"),
            )
    if "hot" in parts:
        with console.step("Selling one SKU, and many", "Sold one SKU, and many") as step:
            results["hot"] = hot.measure(
                60 if quick else 400, port, lambda n, of: step.progress(n, of, "rushes")
            )
    return results


def _circumstances(quick: bool) -> dict[str, Any]:
    """When and on what it was measured; a busy machine is seen by its load."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


if __name__ == "__main__":
    try:
        app()
    except OrderctlError as failure:
        console.error(str(failure))
        sys.exit(1)
