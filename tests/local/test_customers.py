"""Customers on the local cloud: a stack with ApiAuthorization=JWT, tokens good and bad."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from orderctl import deploying
from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline import tokens
from orderctl.pipeline.api import ApiClient
from orderctl.pipeline.pipeline import Pipeline
from support.command_line import Orderctl, typed

if TYPE_CHECKING:
    from orderctl.deploying.package import Artifact
    from orderctl.pipeline.api import Reply

Part = dict[str, Any]


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part: str) -> Part:
    found: Part = json.loads(base64.urlsafe_b64decode(part + "==="))
    return found


class Shop:
    """A stack for customers, and the pool they sign in to."""

    def __init__(self, cloud: LocalCloud, directory: Path) -> None:
        self.cloud = cloud
        self.directory = directory
        self.pipeline = Pipeline(cloud.session(), cloud.state.stack_name)
        self.url = cloud.outputs["ApiUrl"]

    def token(self, customer: str, *, staff: bool = False) -> str:
        """A token of a made-up customer."""
        session, parameters = self.cloud.session(), self.pipeline.stack.parameters()
        return tokens.issue(session, self.url, parameters, customer=customer, staff=staff)

    def api(self, token: str | None) -> ApiClient:
        """The API for who has a token."""
        return ApiClient(self.cloud.session(), self.url, token=token)

    def order_of(self, customer: str) -> str:
        """An order that a customer has placed: its id."""
        order_id = uuid.uuid4().hex
        assert place(self.api(self.token(customer)), order_id).status == 202
        return order_id

    def key(self, use: str = "id") -> rsa.RSAPrivateKey:
        """The private key of the pool itself, for tokens that only the pool could sign."""
        pool = self.pipeline.stack.parameter("UserPoolArn").rsplit("/", 1)[1]
        (file,) = self.directory.rglob(f"{pool}-{use}.pem")
        key = serialization.load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key


def place(api: ApiClient, order_id: str, **fields: object) -> Reply:
    return api.place({"order_id": order_id, "amount": 5, **fields})


def signed(header: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
    text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{encoded(signature)}"


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return package.build(Target.this_machine())


@pytest.fixture(scope="module")
def shop(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop")
    with LocalCloud(StateDirectory(directory)) as cloud:
        cloud.deploy(artifact, parameters={"ApiAuthorization": "JWT"})
        yield Shop(cloud, directory)


@pytest.fixture
def orderctl(shop: Shop) -> Orderctl:
    return partial(typed, os.environ | {"ORDERCTL_STATE_DIR": str(shop.directory)})


class TestOrdersOfCustomers:
    def test_a_customer_sees_and_cancels_own_orders_only(self, shop: Shop) -> None:
        order_id = shop.order_of("alice")
        alice, bob = shop.api(shop.token("alice")), shop.api(shop.token("bob"))
        assert alice.show(order_id).status == 200
        for call in (bob.show, bob.cancel):
            theirs, unknown = call(order_id), call("nobody")
            assert theirs.status == unknown.status == 404
            assert theirs.body == {**unknown.body, "order_id": order_id}
        taken = place(bob, order_id)
        assert taken.status == 409
        assert taken.body == place(bob, order_id, amount=6).body
        assert place(alice, order_id).status == 202, "a repeat of one's own is fine"
        assert place(bob, uuid.uuid4().hex, customer_id="alice").status == 403
        assert alice.cancel(order_id).status in {202, 409}

    def test_staff_sees_all_and_orders_for_customers(self, shop: Shop) -> None:
        staff = shop.api(shop.token("carol", staff=True))
        assert staff.show(shop.order_of("alice")).status == 200
        alice = shop.token("alice")
        order_id = uuid.uuid4().hex
        customer_id = decoded(alice.split(".")[1])["sub"]
        assert place(staff, order_id, customer_id=customer_id).status == 202
        assert shop.api(alice).show(order_id).status == 200
        assert shop.api(shop.token("bob")).show(order_id).status == 404

    def test_who_was_staff_is_not_any_more(self, shop: Shop) -> None:
        order_id = shop.order_of("alice")
        assert shop.api(shop.token("dave", staff=True)).show(order_id).status == 200
        assert shop.api(shop.token("dave")).show(order_id).status == 404

    def test_a_test_invocation_is_an_operators(self, shop: Shop) -> None:
        gateway = shop.cloud.session().client("apigateway")
        outputs = shop.cloud.outputs
        answer = gateway.test_invoke_method(
            restApiId=outputs["ApiId"],
            resourceId=outputs["OrdersResourceId"],
            httpMethod="POST",
            body='{"order_id":"order-1","amount":7}',
        )
        assert answer["status"] == 202
        assert shop.api(shop.token("bob")).show("order-1").status == 404


def without_signature(header: Part, claims: Part, _: rsa.RSAPrivateKey) -> str:
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}."


def with_algorithm_none(_: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
    return without_signature({"alg": "none"}, claims, key)


def with_public_key_as_secret(header: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = without_signature({**header, "alg": "HS256"}, claims, key).rstrip(".")
    return f"{text}.{encoded(hmac.digest(public, text.encode(), hashlib.sha256))}"


def with_another_key(header: Part, claims: Part, _: rsa.RSAPrivateKey) -> str:
    return signed(header, claims, rsa.generate_private_key(65537, 2048))


def with_another_algorithm(header: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
    return signed({**header, "alg": "RS512"}, claims, key)


def with_another_key_id(header: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
    return signed({**header, "kid": "another"}, claims, key)


def without_key_id(_: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
    return signed({"alg": "RS256"}, claims, key)


def altered(**changes: object) -> Callable[[Part, Part, rsa.RSAPrivateKey], str]:
    """A token whose claims were changed after it was signed."""

    def forge(header: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
        signature = signed(header, claims, key).rsplit(".", 1)[1]
        return without_signature(header, claims | changes, key) + signature

    return forge


def issued(**changes: object) -> Callable[[Part, Part, rsa.RSAPrivateKey], str]:
    """A token that the pool's key signs with other claims; None takes one away."""

    def issue(header: Part, claims: Part, key: rsa.RSAPrivateKey) -> str:
        changed = {name: v for name, v in (claims | changes).items() if v is not None}
        return signed(header, changed, key)

    return issue


HOUR = 3600
REFUSED = {
    "no signature": without_signature,
    "alg none": with_algorithm_none,
    "HS256 with the public key": with_public_key_as_secret,
    "another key": with_another_key,
    "another algorithm": with_another_algorithm,
    "another kid": with_another_key_id,
    "no kid": without_key_id,
    "another customer": altered(sub="somebody"),
    "staff by own word": altered(**{"cognito:groups": ["staff"]}),
    "a later end by own word": altered(exp=int(time.time()) + 10 * HOUR),
    "expired": issued(exp=int(time.time()) - 1),
    "no expiry": issued(exp=None),
    "an expiry that is no number": issued(exp="never"),
    "not valid yet": issued(nbf=int(time.time()) + HOUR),
    "issued in the future": issued(iat=int(time.time()) + HOUR),
    "another issuer": issued(iss="https://cognito-idp.us-east-1.amazonaws.com/us-east-1_other"),
    "an issuer elsewhere": issued(iss="https://example.com"),
    "no issuer": issued(iss=None),
    "an access token": issued(token_use="access"),
    "a refresh token": issued(token_use="refresh"),
    "no use": issued(token_use=None),
}


@pytest.fixture(scope="module")
def order_id(shop: Shop) -> str:
    """An order of alice's."""
    return shop.order_of("alice")


@pytest.fixture(scope="module")
def parts(shop: Shop) -> tuple[Part, Part]:
    """Header and claims of alice's token."""
    header, claims, _ = shop.token("alice").split(".")
    return decoded(header), decoded(claims)


class TestTokens:
    def test_what_the_pool_signs_is_taken(
        self, shop: Shop, order_id: str, parts: tuple[Part, Part]
    ) -> None:
        """So what else is refused is not refused for how this test signs."""
        assert shop.api(issued()(*parts, shop.key())).show(order_id).status == 200

    @pytest.mark.parametrize("kind", REFUSED)
    def test_a_bad_token_is_refused(
        self, shop: Shop, order_id: str, parts: tuple[Part, Part], kind: str
    ) -> None:
        api = shop.api(REFUSED[kind](*parts, shop.key()))
        for answer in (api.show(order_id), api.cancel(order_id), place(api, uuid.uuid4().hex)):
            assert (answer.status, answer.body) == (401, {"message": "Unauthorized"})

    @pytest.mark.parametrize("token", ["", "x", "a.b", "x.y.z", "a.b.c.d", "e30.e30.", "W10.W10.x"])
    def test_what_is_no_token_is_refused(self, shop: Shop, order_id: str, token: str) -> None:
        answer = shop.api(token).show(order_id)
        assert (answer.status, answer.body) == (401, {"message": "Unauthorized"})

    def test_deep_nesting_is_refused(self, shop: Shop, order_id: str) -> None:
        deep = encoded(b"[" * 20_000)
        assert shop.api(f"{deep}.{deep}.x").show(order_id).status == 401

    def test_a_signed_request_is_no_token(self, shop: Shop, order_id: str) -> None:
        assert shop.api(None).show(order_id).status == 401

    def test_a_token_of_another_pool_is_refused(self, shop: Shop, order_id: str) -> None:
        session = shop.cloud.session()
        pools = session.client("cognito-idp")
        other = pools.create_user_pool(PoolName="another-shop")["UserPool"]["Arn"]
        parameters = shop.pipeline.stack.parameters() | {"UserPoolArn": other}
        token = tokens.issue(session, shop.url, parameters, customer="alice", staff=True)
        assert shop.api(token).show(order_id).status == 401


class TestCommands:
    def test_a_token_is_printed_alone(self, shop: Shop, orderctl: Orderctl) -> None:
        order_id = shop.order_of("alice")
        printed = orderctl("token", "--customer", "alice").stdout
        assert shop.api(printed.strip()).show(order_id).status == 200
        assert printed == f"{printed.strip()}\n"
        staff = orderctl("token", "--customer", "erin", "--staff").stdout.strip()
        assert shop.api(staff).show(order_id).status == 200

    def test_the_commands_call_the_api_as_staff(self, shop: Shop, orderctl: Orderctl) -> None:
        theirs = shop.order_of("alice")
        assert orderctl("order", theirs).returncode == 0
        order_id = uuid.uuid4().hex
        assert orderctl("submit", "--amount", "5", "--id", order_id).returncode == 0
        assert orderctl("order", order_id).returncode == 0
        cancelled = orderctl("cancel", order_id)
        assert cancelled.returncode == 0 or "Too late" in cancelled.stderr

    def test_they_take_a_token_that_is_given(self, shop: Shop) -> None:
        own, theirs = shop.order_of("alice"), shop.order_of("bob")
        environment = os.environ | {
            "ORDERCTL_STATE_DIR": str(shop.directory),
            tokens.VARIABLE: shop.token("alice"),
        }
        assert typed(environment, "order", own).returncode == 0
        assert "There is no order" in typed(environment, "order", theirs).stderr
        expired = environment | {tokens.VARIABLE: "x.y.z"}
        assert "sign in again" in typed(expired, "order", own).stderr
        assert "sign in again" in typed(expired, "cancel", own).stderr


def test_customers_without_a_user_pool_are_refused_before_anything_is_created(
    shop: Shop, artifact: Artifact
) -> None:
    nobody = {"ApiAuthorization": "JWT", "UserPoolArn": ""}
    with pytest.raises(deploying.StackError, match="ApiAuthorization=JWT needs UserPoolArn"):
        deploying.deploy(
            shop.cloud.session(),
            artifact,
            template=deploying.Template.load(),
            parameters=nobody | {"NamePrefix": "second-"},
            stack_name="second",
            poll_seconds=0.05,
        )


@pytest.mark.long
def test_access_tokens_with_the_scope_are_taken_instead(artifact: Artifact, tmp_path: Path) -> None:
    """Also changes the scope in the way that docs/operations.md says."""
    with LocalCloud(StateDirectory(tmp_path)) as cloud:
        cloud.deploy(artifact, parameters={"ApiAuthorization": "JWT"})
        shop = Shop(cloud, tmp_path)
        id_token = shop.token("alice")
        order_id = shop.order_of("alice")

        pool = shop.pipeline.stack.parameter("UserPoolArn")
        scoped = {"ApiAuthorization": "JWT", "ApiScope": tokens.API_SCOPE}
        with pytest.raises(
            deploying.StackError, match="ApiScope cannot be changed while customers"
        ):
            cloud.deploy(artifact, parameters=scoped)
        cloud.deploy(artifact, parameters={"ApiAuthorization": "AWS_IAM"})
        assert shop.api(id_token).show(order_id).status in {401, 403}
        assert shop.api(None).show(order_id).status == 200
        cloud.deploy(artifact, parameters=scoped)
        assert shop.pipeline.stack.parameter("UserPoolArn") == pool

        token = shop.token("alice")
        assert decoded(token.split(".")[1])["token_use"] == "access"
        assert shop.api(token).show(order_id).status == 200
        assert shop.api(id_token).show(order_id).status == 401
        header, claims = (decoded(part) for part in token.split(".")[:2])
        for scope in ("", "other", f"{tokens.API_SCOPE}x", None):
            other = issued(scope=scope)(header, claims, shop.key("access"))
            assert shop.api(other).show(order_id).status == 401, scope
