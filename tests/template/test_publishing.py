"""Who may say what on the bus: derived from the contract and from what each function makes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from orders.events import CIRCUITS, ROUTING
from support.publishing import published_by

Resources = dict[str, dict[str, Any]]
Pairs = set[tuple[str, str]]
PUT_EVENTS = "events:PutEvents"
CIRCUIT_EVENTS = ("circuit.opened", "circuit.closed")


def properties(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def functions(resources: Resources) -> dict[str, str]:
    """The role of each function, by its package in `orders`."""
    return {
        function["Handler"].split(".")[1]: function["Role"]["Fn::GetAtt"][0]
        for function in properties(resources, "AWS::Lambda::Function").values()
    }


def statements(resources: Resources, role: str) -> list[dict[str, Any]]:
    """The statements of a role that let it publish."""
    return [
        statement
        for policy in resources[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if PUT_EVENTS in statement["Action"]
    ]


def allowed(statement: dict[str, Any]) -> Pairs:
    """The pairs that a statement lets pass; all it names, as it does not tie one to the other."""
    keys = statement["Condition"]["ForAllValues:StringEquals"]
    return {(s, t) for s in keys["events:source"] for t in keys["events:detail-type"]}


def pairs(rule: dict[str, Any]) -> Pairs:
    """The pairs of source and detail-type that a rule matches."""
    pattern = rule.get("EventPattern", {"source": [], "detail-type": []})
    return {
        (source, detail_type)
        for either in pattern.get("$or", [pattern])
        for source in either["source"]
        for detail_type in either["detail-type"]
    }


def test_each_event_has_one_publisher_beside_the_caretaker(resources: Resources) -> None:
    rooms = functions(resources).keys() - {"caretaker"}
    published = [pair for room in rooms for pair in published_by(room)]
    assert Counter(published) == Counter(ROUTING.values())


def test_the_caretaker_publishes_what_the_table_orders_has(resources: Resources) -> None:
    (statement,) = statements(resources, functions(resources)["caretaker"])
    assert {detail_type for _, detail_type in allowed(statement)} == {
        "order.placed",
        "order.cancel_requested",
        "order.cancelled",
    }


def test_each_function_may_publish_its_own_events_only(resources: Resources) -> None:
    for room, role in functions(resources).items():
        found = statements(resources, role)
        assert len(found) == bool(published_by(room)), role
        for statement in found:
            assert statement["Action"] == PUT_EVENTS, role
            assert allowed(statement) == published_by(room), role


def test_an_event_that_does_not_say_what_it_is_is_refused(resources: Resources) -> None:
    """ForAllValues holds for a key that is absent, too."""
    for role in functions(resources).values():
        for statement in statements(resources, role):
            condition = statement["Condition"]
            assert condition.keys() == {"ForAllValues:StringEquals", "Null"}, role
            assert condition["Null"] == dict.fromkeys(
                condition["ForAllValues:StringEquals"], "false"
            )


def test_nobody_else_may_publish(resources: Resources) -> None:
    publishing = [name for name, resource in resources.items() if PUT_EVENTS in str(resource)]
    assert sorted(publishing) == sorted(
        role for room, role in functions(resources).items() if published_by(room)
    )


def test_every_rule_matches_events_of_the_contract_only(resources: Resources) -> None:
    """No detail-type from another's source. What a circuit does is for rules of the shop's own."""
    rules = properties(resources, "AWS::Events::Rule")
    for name, rule in rules.items():
        assert pairs(rule) <= set(ROUTING.values()), name
    matched = set().union(*map(pairs, rules.values()))
    assert set(ROUTING.values()) - matched == {(CIRCUITS, name) for name in CIRCUIT_EVENTS}


def test_every_queue_lets_exactly_the_rules_in_that_send_to_it(resources: Resources) -> None:
    senders: dict[str, set[str]] = {}
    for name, rule in properties(resources, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            for arn in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")):
                if arn:
                    senders.setdefault(arn["Fn::GetAtt"][0], set()).add(name)
    for policy in properties(resources, "AWS::SQS::QueuePolicy").values():
        (queue,) = policy["Queues"]
        let_in = [
            arn["Fn::GetAtt"][0]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Principal"] == {"Service": "events.amazonaws.com"}
            for arn in _as_list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        ]
        assert sorted(let_in) == sorted(senders.pop(queue["Ref"], set())), queue
    functions_only = {name for name in senders if name.endswith("Function")}
    assert set(senders) == functions_only


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401 - policies hold one thing or a list
    return value if isinstance(value, list) else [value]


def test_who_only_listens_publishes_nothing(resources: Resources) -> None:
    assert not statements(resources, functions(resources)["notifications"])
