"""What a function may do, from the template: action by action, with its resource."""

from __future__ import annotations

import sys
from typing import Any

from orderctl.deploying import Template


def name_of(resource: Any) -> str:  # noqa: ANN401 - what a template says there
    """The logical id of a resource, or what the template says of it."""
    match resource:
        case {"Fn::GetAtt": [logical_id, _]} | {"Ref": logical_id} | {"Fn::Sub": logical_id}:
            return str(logical_id)
        case list():
            return ", ".join(map(name_of, resource))
        case _:
            return str(resource)


def condition_of(statement: dict[str, Any]) -> str:
    """Which values it is limited to, if any."""
    lists = statement.get("Condition", {}).get("ForAllValues:StringEquals", {})
    return "".join(f"\n    {key}: {', '.join(values)}" for key, values in lists.items())


def main(wanted: str) -> None:
    """Print the statements of the role of one function, by its logical id without `Function`."""
    role = Template.load().resources()[f"{wanted}Role"]["Properties"]
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                where = name_of(statement["Resource"]) + condition_of(statement)
                print(f"{action:<28} {where}")


main(sys.argv[1])
