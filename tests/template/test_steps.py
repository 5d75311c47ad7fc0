"""The one list of the pipeline's steps is that of the template."""

from __future__ import annotations

from typing import Any

import pytest

from orderctl.console import flow
from orderctl.pipeline.steps import RULES, STEPS, Step, url_output

Resources = dict[str, dict[str, Any]]


def of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def named(name: str) -> dict[str, str]:
    return {"Fn::Sub": f"${{NamePrefix}}{name}"}


def test_every_function_is_one_of_the_steps(resources: Resources) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    assert {name: it["FunctionName"] for name, it in functions.items()} == {
        step.function: named(step.function_name) for step in STEPS if step.function
    }


def test_every_queue_is_one_of_the_steps(resources: Resources, template: dict[str, Any]) -> None:
    queues = [q for step in STEPS for q in (step.queue, step.dead_letter_queue) if q]
    assert sorted(queues) == sorted(of_type(resources, "AWS::SQS::Queue"))
    assert set(map(url_output, queues)) <= template["Outputs"].keys()


@pytest.mark.parametrize("step", [step for step in STEPS if step.event_source])
def test_a_consumer_works_on_its_queue(step: Step, resources: Resources) -> None:
    mapping = resources[step.event_source]["Properties"]
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": [step.queue, "Arn"]}
    assert mapping["FunctionName"] == {"Fn::GetAtt": [step.function, "Arn"]}


def test_every_event_source_is_one_of_the_steps(resources: Resources) -> None:
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping")
    assert set(mappings) == {step.event_source for step in STEPS if step.event_source}


@pytest.mark.parametrize("step", [step for step in STEPS if step.queue])
def test_a_queue_parks_on_its_dead_letter_queue(step: Step, resources: Resources) -> None:
    policy = resources[step.queue]["Properties"]["RedrivePolicy"]
    assert policy["deadLetterTargetArn"] == {"Fn::GetAtt": [step.dead_letter_queue, "Arn"]}


def test_every_rule_of_the_bus_is_listed(resources: Resources) -> None:
    rules = of_type(resources, "AWS::Events::Rule")
    assert {name: it["Name"] for name, it in rules.items() if "EventBusName" in it} == {
        rule.logical_id: named(rule.name) for rule in RULES
    }


@pytest.mark.parametrize("step", [step for step in STEPS if step.function])
def test_a_step_takes_what_the_rules_send_it(step: Step, resources: Resources) -> None:
    routes = flow.read(resources).routes
    sent = {each for route in routes if route.target == step.name for each in route.detail_types}
    assert set(step.takes) == sent
