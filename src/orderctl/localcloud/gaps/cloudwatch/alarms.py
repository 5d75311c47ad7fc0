"""Metrics of queues, and alarms that look at their own dimensions.

MiniStack 1.5.33 publishes no AWS/SQS metrics. Its alarms take the datapoints of a metric name
under any dimensions (a message in one queue rings the alarms of all), do so only when somebody
puts metric data, ignore TreatMissingData and DatapointsToAlarm, and publish to any topic.

AWS publishes ApproximateNumberOfMessagesVisible, -NotVisible, -Delayed and
ApproximateAgeOfOldestMessage per queue and minute ("Available CloudWatch metrics for Amazon SQS",
SQS developer guide). An alarm compares the last EvaluationPeriods periods of its own metric with
its threshold and rings at DatapointsToAlarm of them; it looks a little further back where
datapoints are missing, and treats the rest as it was told ("Configuring how CloudWatch alarms
treat missing data", CloudWatch user guide). It publishes to a topic only if the topic's policy
lets cloudwatch.amazonaws.com do so.

Here the metrics are taken twice a second, and so are the alarms' decisions. **Time is compressed:
one minute of an alarm's Period lasts ALARM_MINUTE_SECONDS**, so that nobody has to wait to see
one ring, or be quiet again. A Period of less counts as a minute. The
newest period is the one that ends now. States are set through
MiniStack's SetAlarmState, which keeps the history and starts the actions; one that a user sets
lasts until the next decision, as on AWS. Alarms on metric math are left alone.
"""

import asyncio
import json
import logging
import operator
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, request_scope
from ministack.services import cloudwatch, sns, sqs

from orderctl.localcloud import seams

ALARM_MINUTE_SECONDS = 3.0
_INTERVAL_SECONDS = 0.5
_SECONDS_PER_MINUTE = 60
# How many datapoints of a queue's metric are kept: an hour's worth.
_KEPT_DATAPOINTS = 1200
# How many more periods than EvaluationPeriods an alarm looks back for datapoints.
_EXTRA_PERIODS = 2

_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}

_log = logging.getLogger(__name__)


def install() -> None:
    """Turn MiniStack's own decisions off, and make alarms ask the policies of their topics."""
    # Called for every alarm on PutMetricData and for a new one; watch() does it instead.
    seams.replace(cloudwatch, "_evaluate_alarm", lambda _alarm: None)
    dispatch = seams.original(cloudwatch, "_dispatch_alarm_actions")

    def dispatch_allowed(alarm: dict[str, Any], old: str, new: str, reason: str) -> None:
        dispatch(_with_allowed_topics(alarm), old, new, reason)

    seams.replace(cloudwatch, "_dispatch_alarm_actions", dispatch_allowed)


async def watch() -> None:
    """Measure the queues and decide the alarms, again and again."""
    while True:
        try:
            _measure_queues()
            _decide_alarms()
        except Exception:
            _log.exception("the alarms could not be decided")
        await asyncio.sleep(_INTERVAL_SECONDS)


def _measure_queues() -> None:
    for (account, region, _), queue in sqs._queues.all_items():
        with request_scope(account, region):
            sqs._refresh_counts(queue)
            counts = queue["attributes"]
            sent = min((message["sent_at"] for message in queue["messages"]), default=time.time())
            for metric, value in (
                ("ApproximateNumberOfMessagesVisible", counts["ApproximateNumberOfMessages"]),
                (
                    "ApproximateNumberOfMessagesNotVisible",
                    counts["ApproximateNumberOfMessagesNotVisible"],
                ),
                (
                    "ApproximateNumberOfMessagesDelayed",
                    counts["ApproximateNumberOfMessagesDelayed"],
                ),
            ):
                _put_datapoint(queue["name"], metric, float(value), "Count")
            age = float(int(time.time() - sent))
            _put_datapoint(queue["name"], "ApproximateAgeOfOldestMessage", age, "Seconds")


def _put_datapoint(queue: str, metric: str, value: float, unit: str) -> None:
    """Keep one datapoint per alarm minute, the newest."""
    dimensions = {"QueueName": queue}
    key = ("AWS/SQS", metric, cloudwatch._dims_key(dimensions))
    datapoints = cloudwatch._metric_bucket(key)
    minute = time.time() // ALARM_MINUTE_SECONDS * ALARM_MINUTE_SECONDS
    if datapoints and datapoints[-1]["Timestamp"] == minute:
        datapoints[-1]["Value"] = value
    else:
        datapoints.append(
            {"Timestamp": minute, "Value": value, "Unit": unit, "Dimensions": dimensions}
        )
        del datapoints[:-_KEPT_DATAPOINTS]


def _decide_alarms() -> None:
    now = time.time()
    for (account, region, name), alarm in cloudwatch._alarms.all_items():
        if not alarm.get("MetricName") or alarm["ComparisonOperator"] not in _COMPARISONS:
            continue
        with request_scope(account, region):
            datapoints = _datapoints(alarm, now)
            state = _state(alarm, datapoints)
            if state != alarm["StateValue"]:
                change = {
                    "AlarmName": name,
                    "StateValue": state,
                    "StateReason": _reason(alarm, datapoints, state),
                    "StateReasonData": _reason_data(alarm, datapoints),
                }
                cloudwatch._set_alarm_state({}, change, is_cbor=True)


def _datapoints(alarm: dict[str, Any], now: float) -> list[float | None]:
    """The statistic of every period an alarm looks at, newest first; None where there is none."""
    length = max(alarm["Period"] / _SECONDS_PER_MINUTE, 1) * ALARM_MINUTE_SECONDS
    periods: list[list[dict[str, Any]]] = [
        [] for _ in range(alarm["EvaluationPeriods"] + _EXTRA_PERIODS)
    ]
    dimensions = {pair["Name"]: pair["Value"] for pair in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    for point in reversed(cloudwatch._metrics.get(key) or []):
        age = int((now - point["Timestamp"]) // length)
        if age >= len(periods):
            break
        if age >= 0 and alarm.get("Unit") in {None, point["Unit"]}:
            periods[age].append(point)
    statistic = _statistic(alarm)
    return [
        cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
        if points
        else None
        for points in periods
    ]


def _statistic(alarm: dict[str, Any]) -> str:
    return str(alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average")


def _state(alarm: dict[str, Any], datapoints: list[float | None]) -> str:
    """The state that the datapoints put an alarm in."""
    compare, _ = _COMPARISONS[alarm["ComparisonOperator"]]
    wanted = alarm["EvaluationPeriods"]
    found = [value for value in datapoints if value is not None][:wanted]
    missing = wanted - len(found)
    breaching = sum(compare(value, alarm["Threshold"]) for value in found)
    treatment = alarm.get("TreatMissingData") or "missing"
    if treatment == "breaching":
        breaching += missing
    if breaching >= (alarm.get("DatapointsToAlarm") or wanted):
        return "ALARM"
    # Too few datapoints to tell, unless one that is there speaks against an alarm.
    undecided = missing > 0 and breaching == len(found)
    if treatment == "ignore" and undecided:
        return str(alarm["StateValue"])
    if treatment == "missing" and undecided:
        return "ALARM" if found else "INSUFFICIENT_DATA"
    return "OK"


def _reason(alarm: dict[str, Any], datapoints: list[float | None], state: str) -> str:
    if state == "INSUFFICIENT_DATA":
        return "Insufficient Data: no datapoints were received."
    compare, words = _COMPARISONS[alarm["ComparisonOperator"]]
    newest = [value for value in datapoints if value is not None][: alarm["EvaluationPeriods"]]
    if not newest:
        treatment = alarm["TreatMissingData"]
        return f"Threshold Crossed: missing datapoints were treated as {treatment}."
    rings = state == "ALARM"
    count = sum(compare(value, alarm["Threshold"]) == rings for value in newest)
    return (
        f"Threshold Crossed: {count} out of the newest {len(newest)} datapoints {newest} "
        f"({_statistic(alarm)} of {alarm['MetricName']}) {'was' if count == 1 else 'were'}"
        f"{'' if rings else ' not'} {words} the threshold ({alarm['Threshold']})."
    )


def _reason_data(alarm: dict[str, Any], datapoints: list[float | None]) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "statistic": _statistic(alarm),
            "period": alarm["Period"],
            "recentDatapoints": [value for value in datapoints if value is not None],
            "threshold": alarm["Threshold"],
        }
    )


def _with_allowed_topics(alarm: dict[str, Any]) -> dict[str, Any]:
    """The alarm without the actions on topics that CloudWatch may not publish to."""
    return alarm | {
        actions: [arn for arn in alarm.get(actions) or [] if _may_publish(alarm["AlarmArn"], arn)]
        for actions in ("AlarmActions", "OKActions", "InsufficientDataActions")
    }


def _may_publish(alarm_arn: str, action_arn: str) -> bool:
    """Whether CloudWatch may carry out an action; only topics have a say in it.

    A topic encrypted with the key `alias/aws/sns` is closed to CloudWatch, whatever its policy:
    that key's own policy cannot be changed to let it in.
    """
    topic = sns._topic_by_arn_any_scope(action_arn)
    if topic is None:
        return True
    allowed = topic["attributes"].get("KmsMasterKeyId") != "alias/aws/sns" and bool(
        sns.topic_policy_allows(action_arn, "cloudwatch.amazonaws.com", alarm_arn, get_account_id())
    )
    if not allowed:
        _log.warning("%s may not publish to %s", alarm_arn, action_arn)
    return allowed
