"""Where a command goes: by options, the environment and the contexts, and never elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from msgspec.structs import replace

from orderctl import contexts
from orderctl.contexts import LOCAL_CLOUD, Context, Contexts
from orderctl.errors import OrderctlError, UsageError
from orderctl.localcloud.state import LocalState, StateDirectory
from orderctl.terminal import connection
from orderctl.terminal.connection import Account, Identity, choose_account, reach
from orderctl.terminal.deployments import forget, remember
from orderctl.terminal.options import Target
from support.command_line import run_here

STAGING = Context(
    name="staging",
    stack="staging-order-pipeline",
    account="111111111111",
    region="eu-central-1",
    profile="staging",
)
LOCAL_CLOUD_STATE = LocalState(
    pid=1,
    port=4567,
    instance="0123456789abcdef",
    access_key_id="AKIALOCAL",
    secret_access_key="secret",
    stack_name="order-pipeline",
    log="local.log",
    started_at="2026-01-01T00:00:00+00:00",
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a local cloud, two profiles, and the context staging."""
    settings = tmp_path / "aws"
    settings.write_text(
        "[default]\nregion = eu-central-1\n"
        "[profile staging]\nregion = eu-west-1\n"
        "[profile elsewhere]\nregion = eu-west-1\nservices = own\n"
        "[services own]\nsqs =\n  endpoint_url = http://sqs.example.com\n"
    )
    credentials = tmp_path / "credentials"
    credentials.write_text("[staging]\naws_access_key_id = AKIAA\naws_secret_access_key = b\n")
    for name, value in {
        "XDG_CONFIG_HOME": tmp_path / "config",
        "ORDERCTL_STATE_DIR": tmp_path / "state",
        "AWS_CONFIG_FILE": settings,
        "AWS_SHARED_CREDENTIALS_FILE": credentials,
    }.items():
        monkeypatch.setenv(name, str(value))
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "state").mkdir()
    StateDirectory(tmp_path / "state").write(LOCAL_CLOUD_STATE)
    contexts.save(Contexts(stacks=(STAGING,)))
    return tmp_path


NAMED = Context(stack="blue")


@pytest.mark.parametrize(
    ("target", "environment", "current", "deploys", "chosen"),
    [
        # As it was decided: without a name commands are local, and deploy is on AWS.
        (Target(), {}, None, False, LOCAL_CLOUD),
        (Target(), {}, None, True, Context(stack="order-pipeline")),
        (Target(local=True), {}, "staging", True, LOCAL_CLOUD),
        (Target(stack="blue"), {}, "staging", False, NAMED),
        (Target(region="r"), {}, None, False, Context(stack="order-pipeline", region="r")),
        (Target(), {"ORDERCTL_STACK": "blue"}, None, False, NAMED),
        (Target(), {"ORDERCTL_STACK": "blue"}, "staging", True, NAMED),
        (Target(region="r"), {"ORDERCTL_STACK": "blue"}, None, True, replace(NAMED, region="r")),
        # ORDERCTL_STACK names a stack on AWS; the local cloud has its own.
        (Target(local=True), {"ORDERCTL_STACK": "blue"}, None, False, LOCAL_CLOUD),
        # A context: for a call, for a shell, and for all.
        (Target(context="staging"), {"ORDERCTL_STACK": "blue"}, "local", False, STAGING),
        (Target(), {"ORDERCTL_CONTEXT": "staging"}, "local", True, STAGING),
        (Target(), {}, "staging", False, STAGING),
        (Target(), {}, "staging", True, STAGING),
        (Target(), {}, "local", True, LOCAL_CLOUD),
    ],
)
def test_what_is_meant(
    target: Target,
    environment: Mapping[str, str],
    current: str | None,
    deploys: bool,
    chosen: Context,
) -> None:
    contexts.save(Contexts(current=current, stacks=(STAGING,)))
    with mock.patch.dict(os.environ, environment):
        assert target.choose(deploys=deploys) == chosen


def test_an_environment_that_contradicts_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERCTL_CONTEXT", "staging")
    monkeypatch.setenv("ORDERCTL_STACK", "blue")
    with pytest.raises(UsageError, match="Unset one of them"):
        Target().choose()


@pytest.mark.parametrize("other", [{"local": True}, {"region": "r"}, {"profile": "p"}])
def test_a_context_says_where_by_itself(other: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="cannot be combined with --context"):
        Target(context="staging", **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4567", "which is the local cloud"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4568/", "which is not AWS"),
        ("AWS_ENDPOINT_URL_LAMBDA", "https://amazonaws.com.example.org", "which is not AWS"),
        ("AWS_PROFILE", "elsewhere", "endpoint_url for sqs of the profile elsewhere"),
        ("AWS_ACCESS_KEY_ID", "AKIALOCAL", "is the local cloud's, which AWS does not know"),
    ],
)
def test_a_way_to_aws_that_leads_elsewhere_is_refused(
    setting: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(OrderctlError) as caught:
        choose_account(Target(), deploys=True)
    assert said in str(caught.value)
    assert "To deploy to the local cloud, add --local" in str(caught.value)
    assert ("env --unset" in str(caught.value)) == (setting != "AWS_PROFILE")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("AWS_ENDPOINT_URL_SQS", "https://vpce-1a-2b.sqs.eu-central-1.vpce.amazonaws.com"),
        ("AWS_ENDPOINT_URL", ""),
    ],
)
def test_an_endpoint_of_aws_is_aws(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, value)
    where = choose_account(Target(stack="blue"))
    assert where.place("blue", Identity("111111111111", "arn")) == (
        "AWS: stack blue, account 111111111111, eu-central-1"
    )


def test_what_aws_is_told_to_ignore_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4567")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert choose_account(Target(stack="blue")).endpoint.endswith(".amazonaws.com")


def test_a_context_has_its_own_region_profile_and_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    where = reach(STAGING)
    assert where.session.profile_name == "staging"
    assert where.place(STAGING.stack, Identity("111111111111", "arn")) == (
        "AWS: stack staging-order-pipeline, account 111111111111, eu-central-1, profile staging"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:1")
    other = reach(Context(stack="x", region="r", endpoint="http://127.0.0.1:4566"))
    assert other.endpoint == "http://127.0.0.1:4566"
    assert other.place("x").startswith("http://127.0.0.1:4566: stack x")


class _Sts:
    """Somebody else's credentials."""

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "222222222222", "Arn": "arn:aws:iam::222222222222:user/somebody"}


@dataclass
class _Session:
    region_name: str = "eu-central-1"

    def client(self, _service: str) -> _Sts:
        return _Sts()


def test_another_account_than_the_contexts_is_refused() -> None:
    where = Account(_Session(), None, STAGING)  # type: ignore[arg-type]
    with pytest.raises(OrderctlError) as caught:
        where.whoami()
    assert "is account 111111111111" in str(caught.value)
    assert "of account 222222222222" in str(caught.value)
    assert "context add staging --stack staging-order-pipeline --profile" in str(caught.value)


def test_what_changes_says_where_first_and_is_refused_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = Account(_Session(), None, STAGING)  # type: ignore[arg-type]
    monkeypatch.setattr(connection, "choose_account", lambda _target: elsewhere)
    refused = run_here("stock", "set", "mug=1", "--json")
    assert (refused.status, refused.stdout) == (1, "")
    assert "of account 222222222222" in json.loads(refused.stderr)["error"]


def test_a_deployed_stack_is_a_context_until_it_is_destroyed() -> None:
    identity = Identity("222222222222", "arn")
    session = _Session()
    for stack in ("order-pipeline", "order-pipeline", "staging"):
        remember(Account(session, None, Context(stack=stack)), identity, stack)  # type: ignore[arg-type]
    found = {each.name: each.place() for each in contexts.load().stacks}
    assert found == {
        "order-pipeline": ("order-pipeline", "222222222222", "eu-central-1", None),
        "staging": STAGING.place(),
        "staging@eu-central-1": ("staging", "222222222222", "eu-central-1", None),
    }
    contexts.save(contexts.load().using("order-pipeline"))
    forget(Account(session, None, LOCAL_CLOUD), identity, "order-pipeline")  # type: ignore[arg-type]
    assert [each.name for each in contexts.load().stacks] == ["staging", "staging@eu-central-1"]
    assert contexts.load().current is None


def test_they_are_listed_chosen_and_removed() -> None:
    assert run_here("context", "use", "staging").status == 0
    listed = run_here("context", "list").stdout.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [
        ["local", "order-pipeline"],
        ["*", "staging"],
    ]
    rows = [json.loads(line) for line in run_here("context", "list", "--json").stdout.splitlines()]
    assert [(row["name"], row["in_use"]) for row in rows] == [("local", False), ("staging", True)]
    assert run_here("context", "use", "none").status == 0
    assert contexts.load().current is None
    assert run_here("context", "remove", "staging").status == 0
    assert "There is no context staging" in run_here("context", "use", "staging").stderr


def test_a_damaged_file_says_what_to_do(home: Path) -> None:
    (home / "config" / "orderctl" / "contexts.json").write_text('{"stacks": 1}')
    ended = run_here("context", "list")
    assert (ended.status, ended.stdout) == (1, "")
    assert "Mend it, or delete it" in ended.stderr


def test_an_environment_is_unset_by_the_names_of_the_template(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("PATH", f"{home / 'state' / 'bin'}:/usr/bin")
    *_, path, unset = run_here("env", "--unset").stdout.splitlines()
    assert path == "export PATH=/usr/bin"
    assert {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "API_ID", "PAYMENTS_DLQ"} <= set(unset.split())


def test_a_profile_is_named_only_if_its_keys_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "staging")
    assert reach(Context(stack="x")).profile is None
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert reach(Context(stack="x")).profile == "staging"


def test_a_region_that_cannot_be_is_refused() -> None:
    with pytest.raises(OrderctlError, match="no where"):
        reach(Context(stack="x", region="no where"))
