"""`orderctl deploy`: deploys the pipeline to a stack, on AWS or in the local cloud."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.text import Text

from orderctl import deploying, paths
from orderctl.commands import DEPLOYING, app
from orderctl.deploying import LeftTables, Plan, Template, package
from orderctl.deploying.deployment import (
    Change,
    ParameterChange,
    clear_away,
    describe,
    is_rolled_back,
)
from orderctl.deploying.package import Architecture, Artifact
from orderctl.deploying.package import Target as Machine
from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.state import StateDirectory
from orderctl.localcloud.user_pool import with_user_pool
from orderctl.pipeline.stack import reachable
from orderctl.terminal import console
from orderctl.terminal.confirming import check_can_ask
from orderctl.terminal.connection import Account, choose_account, explain_errors
from orderctl.terminal.deployments import (
    Progress,
    name_held,
    note_when_interrupted,
    poll_seconds,
    remember,
    show_account,
)
from orderctl.terminal.options import Json, Params, Target, Yes, parse_parameters
from orderctl.terminal.results import Document

_PREFIX = "NamePrefix"
_ARCHITECTURE = "Architecture"
_NOTHING = "-"
# Up to this many additions are listed; more are counted by type.
_LISTED = 25
_STYLES = {
    "replace": "bold red",
    "remove": "bold red",
    "change": "yellow",
    "import": "green",
    "add": "green",
}


class Deployed(msgspec.Struct, kw_only=True):
    """What a deployment does, or would do with --plan.

    Attributes:
        stack: The stack's name.
        changed: Whether the stack was changed.
        changes: What happens to each resource; null when CloudFormation cannot say it yet.
        parameters: Which parameters get another value; null when that cannot be said yet.
        outputs: The stack's outputs, by name; empty with --plan.
    """

    stack: str
    changed: bool
    changes: list[Change] | None
    parameters: list[ParameterChange] | None
    outputs: dict[str, str]


_JSON = Document(Deployed)


@app.command(
    group=DEPLOYING,
    help_epilogue="Example: orderctl deploy --prefix staging- --param AlarmEmail=me@example.com",
)
@_JSON.of_command
def deploy(
    *,
    prefix: Annotated[str | None, Parameter(metavar="P")] = None,
    param: Params = (),
    plan_only: Annotated[bool, Parameter(name="--plan")] = False,
    yes: Yes = False,
    adopt: bool = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Deploy the pipeline to AWS, or with --local to the running local cloud.

    Shows what would change, then asks. Parameters that are not given keep the stack's values.

    A deployment that fails is rolled back.

    Args:
        prefix: Put in front of every name in the stack, and of the stack's own unless --stack is
            given.
        param: A parameter of the template, or @FILE with some in JSON; repeatable.
        plan_only: Only show what would change.
        yes: Do not ask.
        adopt: Import existing tables with the stack's names without asking.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: It was not confirmed, the parameters do not fit the template, or it could
            not be deployed; the message names the first cause.
    """
    given: Mapping[str, str] = parse_parameters(param)
    template = Template.load()
    if prefix is not None:
        given = {**given, _PREFIX: prefix}
    template.check(given)
    where = choose_account(target, deploys=True)
    name = target.stack or (
        where.context.stack if prefix is None else f"{prefix}{deploying.DEFAULT_NAME}"
    )
    if where.local:
        given = with_user_pool(where.session, name, given)
    check_can_ask(yes=yes or plan_only)
    identity = show_account(where, name)
    cleared = is_rolled_back(where.session, name)
    if cleared:
        _say_rolled_back(name)
        if not plan_only:
            _clear_away(where, name, yes=yes, as_json=as_json)
    free_at = deploying.queue_names_free_at(where.session, name, name_held(where))
    first = lifecycle.LOCAL_PARAMETERS if where.local else {}
    left = LeftTables(where.session, template, {**first, **given}, name, poll_seconds(where))
    if left.names:
        _say_left(left)
        if not plan_only:
            _adopt(left, name, yes=yes, adopt=adopt, as_json=as_json)
    if cleared and plan_only:
        _report_unplanned(name, as_json=as_json)
        return
    plan = _plan(where, name, template, given)
    if plan is None:
        console.out().print(f"Nothing to change: stack {name} is up to date.")
        outputs = _outputs(where, name)
        remember(where, identity, name)
        _report(name, None, outputs, outputs, changed=False, as_json=as_json)
        return
    with plan:
        _show(plan)
        if plan_only:
            _report(name, plan, {}, {}, changed=False, as_json=as_json)
            return
        if not yes and not console.confirm("Deploy this?", on_stderr=as_json):
            more = " more" if cleared or left.names else ""
            raise OrderctlError(f"Nothing{more} was changed.")
        _wait_for_names(plan.seconds_until(free_at))
        before = _outputs(where, name)
        _execute(plan)
        outputs = _outputs(where, name)
    if where.local and name == where.local.stack_name:
        StateDirectory(paths.state_directory()).write(replace(where.local, outputs=outputs))
    remember(where, identity, name)
    _report(name, plan, before, outputs, changed=True, as_json=as_json)


def _say_rolled_back(name: str) -> None:
    console.note(
        f"The creation of stack {name} failed and was rolled back (ROLLBACK_COMPLETE). "
        "CloudFormation cannot update such a stack, so it must be deleted first."
    )


def _clear_away(where: Account, name: str, *, yes: bool, as_json: bool) -> None:
    """Ask, then delete what is left of a failed creation."""
    if not yes and not console.confirm(f"Delete what is left of stack {name}?", on_stderr=as_json):
        raise OrderctlError("Nothing was changed.")
    with console.step("Deleting the failed stack", "Deleted the failed stack"):
        clear_away(where.session, name, poll_seconds(where))


def _say_left(left: LeftTables) -> None:
    console.note(
        f"The tables {', '.join(left.names.values())} exist already; an earlier stack leaves them "
        "behind. They are imported into this stack with all their data before anything is "
        "created. CloudFormation refuses that if they belong to another stack."
    )


def _adopt(left: LeftTables, name: str, *, yes: bool, adopt: bool, as_json: bool) -> None:
    """Ask, then import existing tables, which belong to the stack from then on.

    Raises:
        OrderctlError: It was not confirmed. --yes alone does not cover this.
    """
    if not adopt and yes:
        raise OrderctlError(
            "Nothing was changed. If these tables are this pipeline's, add --adopt to --yes; "
            "otherwise use another --prefix."
        )
    if not adopt and not console.confirm(f"Import them into stack {name}?", on_stderr=as_json):
        raise OrderctlError(
            "Nothing was changed. To leave these tables alone, use another --prefix."
        )
    tables = ", ".join(left.names.values())
    with (
        note_when_interrupted(name),
        console.step("Importing the tables", "Imported the tables") as step,
    ):
        left.adopt(Progress(step))
        step.detail = tables


def _plan(
    where: Account, name: str, template: Template, parameters: Mapping[str, str]
) -> Plan | None:
    with console.step("Packaging the functions", "Packaged the functions") as step:
        artifact = _package(where, name, template, parameters)
        step.detail = f"{artifact.size / 1e6:.1f} MB, {artifact.sha256[:12]}"
    if not artifact.has_bytecode:
        console.note(
            f"This machine has no python{package.LAMBDA_PYTHON}, so the package has no "
            "bytecode: each cold start in Lambda compiles what it imports."
        )
    with console.step("Comparing with the stack", "Compared with the stack") as step:
        plan = deploying.prepare(
            where.session,
            artifact,
            template=template,
            parameters=parameters,
            first_parameters=lifecycle.LOCAL_PARAMETERS if where.local else {},
            stack_name=name,
            poll_seconds=poll_seconds(where),
        )
        step.detail = f"{len(plan.changes)} changes" if plan else "no change"
    return plan


def _package(
    where: Account, name: str, template: Template, parameters: Mapping[str, str]
) -> Artifact:
    """Build the package for the architecture of the stack's functions."""
    if where.local:
        return package.build(Machine.this_machine())
    with explain_errors():
        existing = describe(where.session.client("cloudformation"), name)
    present = existing.get("Parameters", []) if existing else []
    values = {
        _ARCHITECTURE: str(template.parameters[_ARCHITECTURE]["Default"]),
        **{p["ParameterKey"]: p["ParameterValue"] for p in present},
        **parameters,
    }
    try:
        architecture = Architecture(values[_ARCHITECTURE])
    except ValueError as error:
        names = " or ".join(Architecture)
        raise OrderctlError(
            f"Architecture must be {names}, not {values[_ARCHITECTURE]!r}."
        ) from error
    return package.build(Machine.aws(architecture))


def _show(plan: Plan) -> None:
    """Print the changes, the dangerous ones first."""
    console.out().print()
    if plan.parameters:
        console.table(
            ("parameter", "before", "now"),
            [(p.name, _NOTHING if p.before is None else p.before, p.now) for p in plan.parameters],
        )
        console.out().print()
    if rows := _rows(plan.changes):
        console.table(("change", "resource", "type", "what"), rows)
        console.out().print()


def _rows(changes: Sequence[Change]) -> list[tuple[str | Text, ...]]:
    adds = [change for change in changes if change.action == "add"]
    listed = [change for change in changes if len(adds) <= _LISTED or change.action != "add"]
    order = list(_STYLES)
    rows: list[tuple[str | Text, ...]] = [
        (
            _action(change),
            change.logical_id,
            change.resource_type,
            ", ".join(change.properties) or _NOTHING,
        )
        for change in sorted(listed, key=lambda change: order.index(change.action))
    ]
    if len(adds) > _LISTED:
        numbers = Counter(change.resource_type for change in adds)
        rows += [
            (Text("add", style=_STYLES["add"]), str(number), kind, _NOTHING)
            for kind, number in sorted(numbers.items())
        ]
    return rows


def _action(change: Change) -> Text:
    if change.perhaps:
        return Text(f"{change.action}?", style="yellow")
    return Text(change.action, style=_STYLES[change.action])


def _wait_for_names(seconds: float) -> None:
    """Wait until SQS accepts the names of recently deleted queues again."""
    if not seconds:
        return
    console.note(
        "Queues with these names were deleted a moment ago, and SQS refuses the name of a deleted "
        "queue for 60 seconds."
    )
    with console.step(f"Waiting {seconds:.0f} s for SQS", "Waited for SQS"):
        time.sleep(seconds)


def _outputs(where: Account, name: str) -> dict[str, str]:
    """The stack's outputs, with addresses that can be reached from here."""
    with explain_errors():
        outputs = deploying.outputs_of(where.session.client("cloudformation"), name)
    return reachable(outputs, where.endpoint)


def _execute(plan: Plan) -> None:
    title = f"Deploying {plan.stack_name}", f"Deployed {plan.stack_name}"
    with note_when_interrupted(plan.stack_name), console.step(*title) as step:
        progress = Progress(step)
        plan.execute(progress)
        step.detail = f"{progress.done} resources"


def _report(
    name: str,
    plan: Plan | None,
    before: Mapping[str, str],
    outputs: Mapping[str, str],
    *,
    changed: bool,
    as_json: bool,
) -> None:
    """Report the result; of the outputs, people see those that have changed."""
    new = {key: value for key, value in outputs.items() if before.get(key) != value}
    if as_json:
        _JSON.show(
            Deployed(
                stack=name,
                changed=changed,
                changes=list(plan.changes) if plan else [],
                parameters=list(plan.parameters) if plan else [],
                outputs=dict(outputs),
            )
        )
    elif changed and new:
        console.out().print()
        console.summary(sorted(new.items()))
    elif plan and not changed:
        console.out().print("Nothing was changed: --plan only shows the changes.")


def _report_unplanned(name: str, *, as_json: bool) -> None:
    """Report a stack that must be deleted before CloudFormation can plan anything."""
    if as_json:
        _JSON.show(Deployed(stack=name, changed=False, changes=None, parameters=None, outputs={}))
    else:
        console.out().print("Nothing was changed: everything would be created anew.")
