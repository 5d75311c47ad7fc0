"""`orderctl capacity`: what a rate of orders asks of each part, and what gives first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from orderctl.commands import OPERATING, app
from orderctl.deploying import Template
from orderctl.errors import UsageError
from orderctl.pipeline.capacity import (
    Bill,
    Demand,
    Load,
    Part,
    Quotas,
    account_quotas,
    highest_rates,
    load_counted,
    load_quotas,
    parts,
    prices,
)
from orderctl.pipeline.capacity.demand import SHELVES, first_to_give
from orderctl.pipeline.capacity.fixed import (
    is_reported,
    lists_ended,
    memory_sizes,
    provisioned_rate,
    watching_month,
)
from orderctl.terminal import console
from orderctl.terminal.options import Json, Params, parse_parameters
from orderctl.terminal.results import Document

_WHAT_IS_KEPT = {
    "parameters": "with these parameters and quotas",
    "quotas": "with the parameters raised",
    "fixed": "with the quotas raised as well",
}
_LONG = 100
"""From here on a number is shown without decimals."""
_COUNTED = (
    ("invocations", "invocations", "{:.3g}"),
    ("calls", "AWS calls", "{:.3g}"),
    ("write_units", "write units", "{:.3g}"),
    ("read_units", "read units", "{:.3g}"),
    ("events", "events", "{:.3g}"),
    ("logged_bytes", "log bytes", "{:.0f}"),
    ("cpu_ms", "CPU", "{:.2f} ms"),
)


class LoadOfPart(msgspec.Struct, kw_only=True):
    """What one part must do at this rate, and what it may.

    Attributes:
        name: The part.
        demand: What it must do.
        limit: What it may do.
        unit: Of what.
        kind: Whether a parameter, a quota that can be raised, or a fixed one limits it.
        limited_by: The parameter, or the quota as AWS names it.
        how: How the demand was worked out.
        page: Where the limit is documented; null for a parameter.
        needs: The value of the parameter with which it would do; null where none would.
        share: The demand as a share of the limit.
    """

    name: str
    demand: float
    limit: float
    unit: str
    kind: str
    limited_by: str
    how: str
    page: str | None
    needs: int | None
    share: float


class Highest(msgspec.Struct, kw_only=True):
    """The highest rate at which no part gives.

    Attributes:
        rate: In orders a second.
        gives: The part that gives first above it.
        limited_by: What limits that part.
    """

    rate: float
    gives: str
    limited_by: str


class Capacity(msgspec.Struct, kw_only=True):
    """What a rate of orders asks of each part.

    Attributes:
        rate: In orders a second.
        region: The region whose quotas and prices were taken.
        quotas_as_of: When the quotas were read.
        quotas_of_account: Whether they are those of the account, not AWS's defaults.
        batches: How many messages a batch has, by function.
        order: What an order takes of each function, as counted: calls, units and the like.
        parts: Each part, in the order in which an order meets them.
        first: The part that gives first.
        dollars_a_million: What a million orders cost, by service.
        dollars_a_month: What a month at this rate costs.
        highest: The highest rates, by what is kept as it is; with --find.
    """

    rate: float
    region: str
    quotas_as_of: str
    quotas_of_account: bool
    batches: dict[str, float]
    order: dict[str, dict[str, float]]
    parts: list[LoadOfPart]
    first: str
    dollars_a_million: dict[str, float]
    dollars_a_month: float
    highest: dict[str, Highest] | msgspec.UnsetType


_JSON = Document(Capacity)


@app.command(
    group=OPERATING,
    help_epilogue="Example: orderctl capacity --rate 1000 --region eu-central-1",
)
@_JSON.of_command
def capacity(
    *,
    rate: Annotated[
        float, Parameter(metavar="N", validator=validators.Number(gt=0, lte=1_000_000))
    ] = 100.0,
    region: Annotated[str, Parameter(metavar="REGION")] = "us-east-1",
    param: Params = (),
    charge_ms: Annotated[
        float, Parameter(metavar="MS", validator=validators.Number(gte=0, lte=60_000))
    ] = 0.0,
    sku_share: Annotated[
        float, Parameter(metavar="SHARE", validator=validators.Number(gte=0, lte=1))
    ] = 0.1,
    shelves: Annotated[
        int, Parameter(metavar="N", validator=validators.Number(gte=1, lte=1_000))
    ] = 1,
    find: bool = False,
    account: bool = False,
    profile: Annotated[str | None, Parameter(metavar="PROFILE")] = None,
    as_json: Json = False,
) -> None:
    """Work out what a rate of orders asks of each part of the pipeline, and what gives first.

    Nothing is measured or changed: it multiplies what the bench has counted for an order by the
    rate, and compares it with the parameters and with AWS's quotas. Without --account no call is
    made.

    Args:
        rate: Orders a second.
        region: The AWS region.
        param: A parameter of the template, or @FILE with some in JSON; repeatable.
        charge_ms: How long the card processor takes for an order.
        sku_share: The share of the orders that have the busiest SKU.
        shelves: Over how many shelves its stock is spread.
        find: Also find the highest rate.
        account: Ask Service Quotas for the account's own quotas.
        profile: The AWS profile for --account. [default: as for the AWS CLI]
        as_json: Print JSON instead.

    Raises:
        OrderctlError: The parameters do not fit the template, or Service Quotas could not be asked.
    """
    if profile and not account:
        raise UsageError("--profile is for --account only.")
    template = Template.load()
    given = parse_parameters(param)
    template.check(given)
    load = Load(rate, {**template.defaults(), **given}, charge_ms, sku_share, shelves)
    quotas = _quotas(region, account, profile)
    bill = _bill(template, load.parameters)
    demand = Demand(bill, quotas, load)
    highest = highest_rates(lambda r: parts(bill, quotas, replace(load, rate=r))) if find else {}
    if as_json:
        _JSON.show(_document(demand, highest))
        return
    _show_parts(demand)
    _show_order(demand)
    _show_cost(demand)
    if highest:
        _show_highest(highest, region)


def _quotas(region: str, account: bool, profile: str | None) -> Quotas:
    if not account:
        return load_quotas(region)
    import boto3  # noqa: PLC0415 — slow to load

    return account_quotas(boto3.Session(profile_name=profile, region_name=region))


def _bill(template: Template, parameters: Mapping[str, str]) -> Bill:
    counted, table, resources = load_counted(), prices(), template.resources()
    return Bill(
        counted.functions,
        counted.warm,
        table,
        memory_sizes(resources),
        watching_month(table, resources),
        reported=is_reported(parameters),
        lists_ended=lists_ended(parameters),
        provisioned_rate=provisioned_rate(parameters),
    )


def _document(demand: Demand, highest: Mapping[str, tuple[float, Part]]) -> Capacity:
    found = list(demand.parts())
    return Capacity(
        rate=demand.load.rate,
        region=demand.quotas.region,
        quotas_as_of=demand.quotas.as_of,
        quotas_of_account=demand.quotas.of_account,
        batches=demand.fills(),
        order=demand.of_an_order(),
        parts=[msgspec.convert(part, LoadOfPart, from_attributes=True) for part in found],
        first=first_to_give(found).name,
        dollars_a_million=demand.dollars_a_million(),
        dollars_a_month=demand.dollars_a_month(),
        highest={name: _at_most(*most) for name, most in highest.items()} or msgspec.UNSET,
    )


def _at_most(rate: float, part: Part) -> Highest:
    return Highest(rate=rate, gives=part.name, limited_by=part.limited_by)


def _show_parts(demand: Demand) -> None:
    found, quotas = list(demand.parts()), demand.quotas
    whose = "the account's quotas" if quotas.of_account else f"AWS's quotas as of {quotas.as_of}"
    console.out().print(f"{demand.load.rate:,g} orders a second in {quotas.region}, {whose}\n")
    console.table(
        ("part", "demand", "limit", "share", "limited by"),
        [
            (
                part.name,
                _number(part.demand),
                f"{_number(part.limit)} {part.unit}",
                f"{part.share:.0%}",
                part.limited_by,
            )
            for part in found
        ],
    )
    first = first_to_give(found)
    console.out().print(f"\nGives first: {first.name}, at {first.share:.0%}: {first.how}.")
    for line in _remedies(found):
        console.out().print(line)


def _remedies(found: Sequence[Part]) -> Iterator[str]:
    """What to do about each part that is asked for more than it may."""
    passed = [part for part in found if part.share > 1]
    for part in passed:
        same = [other.needs for other in passed if other.limited_by == part.limited_by]
        if part.needs is not None:
            if part.needs < max(filter(None, same)):
                continue  # another part needs more of it
            if part.limited_by == SHELVES:
                yield f"  Put that SKU on {part.needs} shelves: orderctl stock set --shelves."
            else:
                yield f"  Set {part.limited_by} to {part.needs} or more, for {part.name}."
        elif part.kind == "quota":
            yield (
                f"  Ask AWS to raise “{part.limited_by}” from {_number(part.limit)} to "
                f"{_number(part.demand)} or more, for {part.name}: {part.page}"
            )
        elif part.kind == "fixed":
            yield f"  {part.name} is past what AWS allows: use several cells (docs/scale.md)."


def _show_order(demand: Demand) -> None:
    fills = demand.fills()
    console.out().print("\nAn order takes, as the bench has counted it:\n")
    console.table(
        ("function", "batch", *(title for _, title, _ in _COUNTED)),
        [
            (
                name,
                f"{fills.get(name, 1):.3g}",
                *(form.format(used[key]) for key, _, form in _COUNTED),
            )
            for name, used in demand.of_an_order().items()
        ],
    )


def _show_cost(demand: Demand) -> None:
    bill = demand.dollars_a_million()
    services = ", ".join(
        f"{service} {dollars:.2f}"
        for service, dollars in sorted(bill.items(), key=lambda item: -item[1])
    )
    console.out().print(
        f"\nAt the prices of us-east-1: ${demand.dollars_a_month():,.0f} a month, "
        f"${sum(bill.values()):.2f} a million orders ({services})."
    )


def _show_highest(highest: Mapping[str, tuple[float, Part]], region: str) -> None:
    console.out().print(f"\nThe highest rate in {region}:\n")
    console.table(
        ("", "orders a second", "then gives"),
        [
            (_WHAT_IS_KEPT[kept], f"{rate:,.0f}", f"{part.name} ({part.limited_by})")
            for kept, (rate, part) in highest.items()
        ],
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _LONG else f"{value:.3g}"
