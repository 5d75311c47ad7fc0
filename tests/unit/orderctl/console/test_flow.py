"""The picture follows the template: what is wired there is drawn, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

from orderctl.console import flow, picture
from orderctl.console.flow import Flow, Route
from orderctl.console.page import to_html
from orderctl.deploying import Template
from orderctl.pipeline.steps import STEPS
from orders.events import ROUTING


def resources() -> dict[str, Any]:
    return copy.deepcopy(dict(Template.load().resources()))


def names(found: Flow) -> list[list[str]]:
    return [[step.name for step in column] for column in found.columns]


def test_steps_stand_in_the_order_in_which_an_order_meets_them() -> None:
    found = flow.read(resources())

    assert names(found) == [
        ["order-api"],
        ["payments", "inventory"],
        ["tracker"],
        ["notifications"],
        ["order-updates"],
    ]
    assert found.entrances == {"order-api"}
    assert [step.name for step in found.keepers] == ["caretaker", "auditor", "circuit-breaker"]
    assert found.bus in STEPS


def test_a_route_is_what_a_role_may_publish_and_a_rule_takes() -> None:
    routes = flow.read(resources()).routes

    assert Route("order-api", ("order.placed",), "payments") in routes
    assert Route("tracker", ("order.confirmed",), "notifications") in routes
    assert not any(r.publisher == "payments" and r.target == "notifications" for r in routes)


def test_every_event_that_a_step_takes_has_a_way_in_both_pictures() -> None:
    found = flow.read(resources())
    taken = {each for route in found.routes for each in route.detail_types}

    assert taken <= {detail.detail_type for detail in ROUTING}
    for drawn in picture.paths(found).values():
        # The circuit breaker is not on the way of an order.
        assert set(drawn) == taken - {"payments.failing"}


def test_a_rule_that_is_taken_out_takes_its_routes_along() -> None:
    without = resources()
    del without["CancelledRule"]

    routes = flow.read(without).routes

    assert Route("tracker", ("order.cancelled",), "payments") not in routes
    assert Route("tracker", ("order.cancelled",), "tracker") in routes


def test_every_alarm_stands_at_a_step() -> None:
    found = resources()
    alarms = {n for n, each in found.items() if each["Type"] == "AWS::CloudWatch::Alarm"}

    placed = flow.read(found).alarms

    assert set(placed) == alarms
    assert placed["PaymentsAgeAlarm"] == placed["PaymentsAlarm"] == "payments"
    assert placed["OrderDeliveriesAlarm"] == "event-bus"
    assert placed["ApiErrorsAlarm"] == "order-api"
    assert placed["CaretakerDeliveriesAlarm"] == "caretaker"


def test_it_is_drawn_before_anything_is_known_of_its_state() -> None:
    drawn = to_html(picture.draw(flow.read(resources()), None, {}))

    assert drawn.count('class="picture ') == 2
    for step in STEPS:
        assert step.name in drawn
