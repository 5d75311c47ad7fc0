"""Metrics that metric filters make of log events.

MiniStack 1.5.33 stores metric filters and makes no metrics of them. On AWS each event that comes
into a log group makes a datapoint of each of its filters that matches: a number, or the value of a
field of the event, with up to three fields as dimensions ("Filter pattern syntax for metric
filters", CloudWatch Logs user guide). A dimension's field must be in the pattern, a metric with
dimensions has no default value (the same page), and a log group has at most 100 filters
(PutMetricFilter, CloudWatch Logs API reference).

Of the patterns this knows those for JSON with one condition or several, joined by ``&&``:
``{ $.metrics = "*" && $.StuckOrders = * }``. A field that is an array or an object matches nothing,
as on AWS. Any other pattern is refused: to pass over it would be to lose a metric.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, NamedTuple

from ministack.core.responses import error_response_json
from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc

from orderctl.localcloud import seams

_MOST_FILTERS: Final = 100
_MOST_DIMENSIONS: Final = 3
_ANYTHING: Final = "*"
_FIELD: Final = r"\$\.([\w-]+)"
_CONDITION: Final = re.compile(rf'{_FIELD}\s*=\s*(?:"([^"*]+|\*)"|([\w.+-]+|\*))')

Metric = tuple[str, str, float, str, dict[str, str]]
"""Namespace, name, value, unit and dimensions of a datapoint."""
_Filter = dict[str, Any]

_group: ContextVar[str] = ContextVar("_group", default="")
"""The log group into which events are written."""


class InvalidFilterError(ValueError):
    """A filter that AWS refuses, or one that is not known here."""


class _Condition(NamedTuple):
    """What a field must be."""

    field: str
    value: str
    """As text; ``*`` for any."""


def install() -> None:
    """Check filters where they are stored, and use them where log events are."""
    put_filter = seams.original(cloudwatch_logs, "_put_metric_filter")

    def put_checked(request: _Filter) -> Any:  # noqa: ANN401 - an answer of MiniStack's
        group, name = request.get("logGroupName"), request.get("filterName")
        others = [of for of in cloudwatch_logs._metric_filters if of[0] == group and of[1] != name]
        try:
            check(request)
            if len(others) >= _MOST_FILTERS:
                return error_response_json(
                    "LimitExceededException", "Resource limit exceeded.", 400
                )
        except InvalidFilterError as error:
            return error_response_json("InvalidParameterException", str(error), 400)
        return put_filter(request)

    put_events = seams.original(cloudwatch_logs, "_put_log_events")

    def put_events_in_group(request: dict[str, Any]) -> Any:  # noqa: ANN401
        token = _group.set(request.get("logGroupName", ""))
        try:
            return put_events(request)
        finally:
            _group.reset(token)

    emit = seams.original(lambda_svc, "_emit_lambda_logs")

    def emit_in_group(function: dict[str, Any], *arguments: object, **source: str | None) -> None:
        config = function.get("config") or function
        own = f"/aws/lambda/{config.get('FunctionName')}"
        token = _group.set(config.get("LoggingConfig", {}).get("LogGroup") or own)
        try:
            emit(function, *arguments, **source)
        finally:
            _group.reset(token)

    append = seams.original(cloudwatch_logs, "_append_log_events")

    def append_with_metrics(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        filters = [
            each
            for (group, _), each in cloudwatch_logs._metric_filters.items()
            if group == _group.get()
        ]
        for event in events if filters else ():
            for metric in metrics_of(event["message"], filters):
                cloudwatch.record_metric(*metric)

    seams.replace(cloudwatch_logs, "_put_metric_filter", put_checked)
    seams.replace(cloudwatch_logs, "_put_log_events", put_events_in_group)
    seams.replace(lambda_svc, "_emit_lambda_logs", emit_in_group)
    seams.replace(cloudwatch_logs, "_append_log_events", append_with_metrics)


def check(metric_filter: _Filter) -> None:
    """Check a filter as it is in a request to PutMetricFilter.

    Raises:
        InvalidFilterError: AWS would not take it, or its pattern is not known here.
    """
    known = {condition.field for condition in _conditions(metric_filter["filterPattern"])}
    if len(metric_filter["metricTransformations"]) != 1:
        raise InvalidFilterError("A metric filter has one metric transformation.")
    (made,) = metric_filter["metricTransformations"]
    dimensions = made.get("dimensions") or {}
    if len(dimensions) > _MOST_DIMENSIONS:
        raise InvalidFilterError(f"A metric has at most {_MOST_DIMENSIONS} dimensions.")
    if dimensions and made.get("defaultValue") is not None:
        raise InvalidFilterError("A metric with dimensions has no default value.")
    values = [*dimensions.values(), *([made["metricValue"]] if "$" in made["metricValue"] else [])]
    for value in values:
        field = re.fullmatch(_FIELD, value)
        if not field or field[1] not in known:
            raise InvalidFilterError(f"{value} is no field of the filter pattern.")


def metrics_of(message: str, filters: list[_Filter]) -> Iterator[Metric]:
    """What filters make of a log event.

    Args:
        message: The event's text.
        filters: Those of its log group, each of which `check` has passed.
    """
    event = _fields(message)
    for each in filters:
        (made,) = each["metricTransformations"]
        value = made.get("defaultValue")
        if _matches(event, each["filterPattern"]):
            value = made["metricValue"]
            value = event[value.removeprefix("$.")] if "$" in value else value
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        yield (
            made["metricNamespace"],
            made["metricName"],
            number,
            made.get("unit") or "None",
            {
                name: str(event[field.removeprefix("$.")])
                for name, field in (made.get("dimensions") or {}).items()
            },
        )


@cache
def _conditions(pattern: str) -> tuple[_Condition, ...]:
    inside = re.fullmatch(r"\s*\{(.*)\}\s*", pattern)
    parts = inside[1].split("&&") if inside else []
    found = [_CONDITION.fullmatch(part.strip()) for part in parts]
    if not found or None in found:
        raise InvalidFilterError(f"The local cloud does not know this filter pattern: {pattern}")
    return tuple(_Condition(each[1], each[2] or each[3]) for each in found if each)


def _matches(event: Mapping[str, Any], pattern: str) -> bool:
    return all(
        isinstance(event.get(field), str | int | float) and value in (_ANYTHING, str(event[field]))
        for field, value in _conditions(pattern)
    )


def _fields(message: str) -> dict[str, Any]:
    """The fields of a log event; none if it is not a JSON object."""
    try:
        event = json.loads(message) if message.lstrip().startswith("{") else {}
    except (ValueError, RecursionError):  # somebody else's text, however deep it is nested
        return {}
    return dict(event)
