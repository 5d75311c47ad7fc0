"""Change sets that leave out what a condition leaves out.

MiniStack 1.5.33 lists every resource of the template as added, also one whose condition is false,
which is then not created. AWS compares what there would be with what there is: a resource appears
when its condition becomes true, and is removed when it becomes false ("Conditions section syntax",
CloudFormation user guide).
"""

from typing import Any

from ministack.services.cloudformation import changesets, engine

from orderctl.localcloud import seams


def install() -> None:
    """Take what a condition leaves out for not there, before the change set is computed."""
    resolve = seams.original(changesets, "_resolve_props_for_diff")
    evaluate = seams.original(engine, "_evaluate_conditions")

    def with_conditions(template: dict[str, Any], params: Any, *more: object) -> dict[str, Any]:  # noqa: ANN401
        resolved: dict[str, Any] = resolve(template, params, *more)
        holds = evaluate(template, params) if template else {}
        there = {
            name: resource
            for name, resource in resolved.get("Resources", {}).items()
            if holds.get(resource.get("Condition"), True)
        }
        return {"Resources": there} if template else resolved

    seams.replace(changesets, "_resolve_props_for_diff", with_conditions)
