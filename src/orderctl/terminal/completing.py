"""What the shell completes by asking the stack: order ids and SKUs.

Completion asks the stack that the words before name, as the command itself would. Whatever fails
completes nothing: cyclopts keeps errors to itself here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from orderctl.pipeline.order_list import NotListedError, Wanted
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Target

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from orderctl.pipeline import Pipeline

_MOST = 100
_RECENT = timedelta(days=7)


def _of_pipeline(
    read: Callable[[Pipeline], Iterable[str]],
) -> Callable[[CompletionContext], Sequence[str]]:
    """A completer that reads the candidates from the stack."""

    def complete(context: CompletionContext) -> Sequence[str]:
        named = ("context", "stack", "region", "profile")
        target = Target(
            local=context["--local"].provided,
            **{name: context[f"--{name}"].raw for name in named},
        )
        with connect(target) as pipeline:
            return list(islice(read(pipeline), _MOST))

    return complete


def _order_ids(pipeline: Pipeline) -> Iterable[str]:
    now = datetime.now(UTC)
    wanted = Wanted(since=now - _RECENT, until=now)
    try:
        found = pipeline.order_list.every(wanted)
    except NotListedError:
        found = iter(pipeline.orders.unfinished(now))
    return (order["order_id"] for order in found)


def _skus(pipeline: Pipeline) -> Iterable[str]:
    return sorted(pipeline.stock.levels())


OrderId = Annotated[str, Parameter(completer=_of_pipeline(_order_ids))]
Skus = Annotated[tuple[str, ...], Parameter(completer=_of_pipeline(_skus))]
Quantities = Annotated[
    tuple[str, ...],
    Parameter(
        name="SKU=N",
        negative=(),
        required=True,
        completer=_of_pipeline(lambda pipeline: (f"{sku}=" for sku in _skus(pipeline))),
    ),
]
