"""What is wired to what, read from the template that is deployed; and where each step is drawn.

The steps are those of `pipeline.steps`. Who may publish which events is in the policies of the
functions' roles, and who gets them in the rules of the bus: together they say how an order moves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orderctl.pipeline.steps import STEPS, Step

Resources = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """Events that one step publishes and a rule of the bus hands to another."""

    publisher: str
    detail_types: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Flow:
    """The wiring of the pipeline, in steps by their names."""

    columns: tuple[tuple[Step, ...], ...]
    """The steps that orders pass, from left to right."""
    bus: Step | None
    """The step between all others."""
    keepers: tuple[Step, ...]
    """The steps that run on a schedule, and look after the orders."""
    entrances: frozenset[str]
    """The steps that the API calls."""
    routes: tuple[Route, ...]
    """Through the bus."""
    links: tuple[tuple[str, str], ...]
    """From step to step past the bus: through a topic."""
    alarms: Mapping[str, str]
    """The step that an alarm is about, by the alarm's logical id."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that orders pass, in order."""
        return tuple(step for column in self.columns for step in column)

    def publishes(self, step: str) -> bool:
        """Whether a step publishes events that another gets."""
        return any(route.publisher == step for route in self.routes)

    def receives(self, step: str) -> bool:
        """Whether a step gets events from the bus."""
        return any(route.target == step for route in self.routes)


def read(resources: Resources) -> Flow:
    """Read the wiring from a template's resources."""
    wiring = _Wiring(resources)
    routes = tuple(wiring.routes())
    links = tuple(wiring.links())
    scheduled = frozenset(wiring.scheduled())
    there = [step for step in STEPS if _resource(step) in resources]
    bus = next((step for step in there if not step.function and not step.queue), None)
    passed = [step for step in there if step.name not in scheduled and step is not bus]
    return Flow(
        columns=_columns(passed, routes, links),
        bus=bus,
        keepers=tuple(step for step in there if step.name in scheduled),
        entrances=frozenset(wiring.entrances()),
        routes=routes,
        links=links,
        alarms=dict(wiring.alarms(bus.name if bus else "")),
    )


def _resource(step: Step) -> str:
    return step.function or step.queue or step.dead_letter_queue


def _columns(
    steps: Sequence[Step], routes: Sequence[Route], links: Sequence[tuple[str, str]]
) -> tuple[tuple[Step, ...], ...]:
    """Put each step to the right of all before it in the list that lead to it."""
    place = {step.name: number for number, step in enumerate(steps)}
    leads = {(route.publisher, route.target) for route in routes} | set(links)
    column = dict.fromkeys(place, 0)
    for target, number in place.items():
        before = [
            column[source]
            for source, to in leads
            if to == target and place.get(source, number) < number
        ]
        column[target] = max(before, default=-1) + 1
    return tuple(
        tuple(step for step in steps if column[step.name] == number)
        for number in sorted(set(column.values()))
    )


class _Wiring:
    """Follows the references between the resources."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._step_of = {
            logical_id: step.name
            for step in STEPS
            for logical_id in (step.function, step.queue)
            if logical_id
        }

    def routes(self) -> Iterator[Route]:
        rules = [rule for rule in self._of_type("Events::Rule") if "EventPattern" in rule]
        for step in STEPS:
            published = self._published(step)
            for rule in rules:
                taken = tuple(each for each in published if each in _detail_types(rule))
                for target in self._targets(rule) if taken else ():
                    yield Route(step.name, taken, target)

    def links(self) -> Iterator[tuple[str, str]]:
        """From the steps that name a topic in their settings to the steps subscribed to it."""
        for subscription in self._of_type("SNS::Subscription"):
            target = self._step_of.get(_referred(subscription.get("Endpoint")))
            for step in STEPS:
                if target and _referred(subscription["TopicArn"]) in self._settings(step):
                    yield step.name, target

    def scheduled(self) -> Iterator[str]:
        for rule in self._of_type("Events::Rule"):
            if "ScheduleExpression" in rule:
                yield from self._targets(rule)

    def entrances(self) -> Iterator[str]:
        for method in self._of_type("ApiGateway::Method"):
            address = json.dumps(method.get("Integration", {}))
            for name in re.findall(r"\$\{(\w+)\.Arn\}", address):
                if name in self._step_of:
                    yield self._step_of[name]

    def alarms(self, bus: str) -> Iterator[tuple[str, str]]:
        """The logical id of each alarm with the step that its metric is about."""
        watched = self._step_of | {
            step.dead_letter_queue: step.name for step in STEPS if step.dead_letter_queue
        }
        entrance = next(self.entrances(), "")
        of_name = {"RuleName": bus, "ApiName": entrance}
        for logical_id, resource in self._resources.items():
            if resource["Type"] != "AWS::CloudWatch::Alarm":
                continue
            for dimension in resource["Properties"].get("Dimensions", ()):
                referred = _referred(dimension["Value"])
                step = watched.get(referred) or self._scheduled_by(referred)
                if step := step or of_name.get(dimension["Name"], ""):
                    yield logical_id, step
                    break

    def _scheduled_by(self, rule: str) -> str | None:
        properties = self._resources.get(rule, {}).get("Properties", {})
        if "ScheduleExpression" not in properties:
            return None
        return next(iter(self._targets(properties)), None)

    def _targets(self, rule: Mapping[str, Any]) -> list[str]:
        found = (self._step_of.get(_referred(target["Arn"])) for target in rule["Targets"])
        return [name for name in found if name]

    def _published(self, step: Step) -> list[str]:
        """The detail types that its role lets a step's function publish."""
        role = self._resources.get(_referred(self._function(step).get("Role")), {})
        return [
            detail_type
            for policy in role.get("Properties", {}).get("Policies", ())
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Action"] == "events:PutEvents"
            for condition in statement.get("Condition", {}).values()
            for detail_type in condition.get("events:detail-type", ())
            if isinstance(condition["events:detail-type"], list)
        ]

    def _settings(self, step: Step) -> list[str]:
        variables = self._function(step).get("Environment", {}).get("Variables", {})
        return [_referred(value) for value in variables.values()]

    def _function(self, step: Step) -> Mapping[str, Any]:
        function: Mapping[str, Any] = self._resources.get(step.function, {}).get("Properties", {})
        return function

    def _of_type(self, kind: str) -> list[Mapping[str, Any]]:
        return [
            resource.get("Properties", {})
            for resource in self._resources.values()
            if resource["Type"] == f"AWS::{kind}"
        ]


def _detail_types(rule: Mapping[str, Any]) -> list[str]:
    pattern = rule["EventPattern"]
    return [
        detail_type
        for either in pattern.get("$or", [pattern])
        for detail_type in either.get("detail-type", ())
    ]


def _referred(value: object) -> str:
    """The logical id that a reference leads to; empty for anything else."""
    match value:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [str(name), *_]}:
            return name
    return ""
