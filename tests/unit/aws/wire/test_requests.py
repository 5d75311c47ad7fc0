"""What the lean client sends is what botocore sends."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, quote

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orders.aws.errors import AwsError
from orders.aws.wire import endpoints, quoting, signing
from orders.aws.wire.client import SERVICES, Client
from orders.aws.wire.connection import Answer, Request
from support.models import CALLS, model, values

NOW = 1_795_900_000.0
EXAMPLES = settings(
    max_examples=8,
    # To make such a value smaller takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
AN_ANSWER = b"<PublishResponse><PublishResult></PublishResult></PublishResponse>"


class Recorder:
    """Takes requests, and answers each with nothing."""

    def __init__(self, service: str) -> None:
        self.request: Any = None
        self.answer = AN_ANSWER if service == "sns" else b"{}"

    def exchange(self, request: Request) -> Answer:
        self.request = request
        return Answer(200, {}, self.answer)

    def botocore(self, request: Any, **_: object) -> Any:  # noqa: ANN401
        self.request = request
        return AWSResponse(request.url, 200, HTTPHeaders(), self)

    def stream(self, **_: object) -> list[bytes]:
        return [self.answer]


def sent(service: str, operation: str, arguments: Any) -> Request:  # noqa: ANN401
    """What the lean client sends."""
    client, recorder = Client(service), Recorder(service)
    client.transport = recorder
    client.call(operation, arguments)
    request: Request = recorder.request
    return request


ORACLES: dict[str, tuple[Any, Recorder]] = {}


def sent_by_botocore(service: str, operation: str, arguments: Any) -> Any:  # noqa: ANN401
    if service not in ORACLES:
        client = botocore.session.get_session().create_client(
            service,
            config=Config(parameter_validation=False),
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            aws_session_token="token",
        )
        recorder = Recorder(service)
        client.meta.events.register("before-send", recorder.botocore)
        ORACLES[service] = client, recorder
    client, recorder = ORACLES[service]
    method = {name: key for key, name in client.meta.method_to_api_mapping.items()}[operation]
    getattr(client, method)(**arguments)
    return recorder.request


def text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def body(service: str, raw: bytes | str) -> Any:  # noqa: ANN401
    """A body as the service reads it; the token that makes a call unlike others is left out."""
    if service == "sns":
        return sorted(parse_qsl(text(raw), keep_blank_values=True))
    read = json.loads(raw)
    if len(read.get("ClientRequestToken", "")) >= 32:
        del read["ClientRequestToken"]
    return read


@pytest.mark.parametrize(("service", "operation"), CALLS)
@EXAMPLES
@given(data=st.data())
def test_a_request_is_botocores(service: str, operation: str, data: st.DataObject) -> None:
    without = ("blob",) if service == "sns" else ()
    shape = model(service).operation_model(operation).input_shape
    arguments = data.draw(values(shape, *without))
    arguments.pop("EndpointId", None)  # of global endpoints, which have addresses of their own
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SESSION_TOKEN", "token")
        ours = sent(service, operation, arguments)
        theirs = sent_by_botocore(service, operation, arguments)
    assert f"https://{ours.headers['host']}{ours.path}" == theirs.url
    assert ours.method == theirs.method
    assert body(service, ours.body) == body(service, theirs.body)
    for name in ("content-type", "x-amz-target", "x-amz-security-token"):
        assert ours.headers.get(name, "") == text(theirs.headers.get(name, "")), name


@pytest.mark.parametrize(
    "trace", ["Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0", "a b\r\nc:d/"]
)
def test_a_trace_goes_on(trace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "order-api")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    ours, theirs = sent("sqs", "ListQueues", {}), sent_by_botocore("sqs", "ListQueues", {})
    assert ours.headers["x-amzn-trace-id"] == text(theirs.headers["X-Amzn-Trace-Id"])
    assert "x-amzn-trace-id" not in ours.headers["authorization"]


NAMES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("GetEventSourceMapping", {"UUID": NAMES}),
        ("UpdateEventSourceMapping", {"UUID": NAMES, "Enabled": st.booleans()}),
        ("Invoke", {"FunctionName": NAMES, "Payload": st.text() | st.binary()}),
    ],
)
@EXAMPLES
@given(data=st.data())
def test_a_request_to_lambda_is_botocores(
    operation: str, members: dict[str, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    arguments = data.draw(st.fixed_dictionaries(members))
    ours = sent("lambda", operation, arguments)
    theirs = sent_by_botocore("lambda", operation, arguments)
    assert f"https://{ours.headers['host']}{ours.path}" == theirs.url
    assert ours.method == theirs.method
    raw = theirs.body or b""
    if operation == "UpdateEventSourceMapping":
        assert json.loads(ours.body) == json.loads(raw)
    else:
        assert ours.body == (raw.encode() if isinstance(raw, str) else raw)
    assert ours.headers.get("content-type", "") in (
        "",
        text(theirs.headers.get("content-type", "")),
    )


def signed_by_botocore(
    request: Request, service: str, region: str, token: str | None
) -> dict[str, str]:
    """The headers that botocore's signer gives a request of ours."""
    ours = {
        name: value
        for name, value in request.headers.items()
        if name not in ("authorization", "x-amz-security-token", "host")
    }
    asked = AWSRequest(
        request.method,
        f"https://{request.headers['host']}{request.path}",
        data=request.body,
        headers=ours,
    )
    asked.context["timestamp"] = ours["x-amz-date"]
    signer = SigV4Auth(Credentials("KEY", "secret", token), service, region)
    if token:
        asked.headers["X-Amz-Security-Token"] = token
    canonical = signer.canonical_request(asked)
    signature = signer.signature(signer.string_to_sign(asked, canonical), asked)
    signer._inject_signature_to_request(asked, signature)  # type: ignore[attr-defined]
    return {name.lower(): text(value) for name, value in asked.headers.items()}


PATHS = st.lists(st.text(max_size=5).map(lambda part: quote(part, safe="~")), max_size=3).map(
    lambda parts: "/" + "/".join(part for part in parts if part not in ("", ".", ".."))
)


@settings(max_examples=50)
@given(
    path=PATHS,
    sent_body=st.binary(max_size=20),
    token=st.none() | st.sampled_from(["token", "a+b/c=="]),
    now=st.integers(0, 2**32),
    region=st.sampled_from(["us-east-1", "cn-north-1"]),
)
def test_a_signature_is_botocores(
    path: str, sent_body: bytes, token: str | None, now: int, region: str
) -> None:
    headers = {"host": "example.amazonaws.com", "content-type": "x", "x-amz-target": "A.B"}
    signed = signing.Signer("sqs", region).sign(
        "POST",
        path,
        headers,
        sent_body,
        credentials=signing.Credentials("KEY", "secret", token),
        now=float(now),
    )
    theirs = signed_by_botocore(Request("POST", path, signed, sent_body), "sqs", region, token)
    assert signed["authorization"] == theirs["authorization"]


def test_a_key_is_derived_anew_for_another_day_and_another_secret() -> None:
    signer = signing.Signer("sqs", "us-east-1")

    def sign(secret: str, now: float) -> str:
        credentials = signing.Credentials("KEY", secret)
        fresh = signing.Signer("sqs", "us-east-1")
        ours, theirs = (
            s.sign("POST", "/", {"host": "h"}, b"", credentials=credentials, now=now)
            for s in (signer, fresh)
        )
        assert ours == theirs
        return ours["authorization"]

    signatures = [sign("one", NOW), sign("two", NOW), sign("two", NOW + 86_400), sign("one", NOW)]
    assert len(set(signatures)) == 3


@given(st.text())
def test_quoting_is_the_librarys(given_text: str) -> None:
    assert quoting.quote(given_text) == quote(given_text, safe="")
    assert quoting.quote(given_text, safe="/") == quote(given_text)


def test_regions_and_partitions_are_those_of_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = botocore.session.get_session().get_component("data_loader")
    partitions = loader.load_data("partitions")
    regions = [
        name
        for partition in partitions["partitions"]
        for name in partition["regions"]
        if "global" not in name  # no function runs there
    ]
    assert len(regions) > 40
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for service in SERVICES.values():
        rules = loader.load_service_model(service.name, "endpoint-rule-set-1")
        provider = EndpointProvider(rules, partitions)
        for region in regions:
            for fips in (False, True):
                try:
                    theirs = provider.resolve_endpoint(
                        Region=region, UseFIPS=fips, UseDualStack=False
                    ).url
                except EndpointProviderError:
                    continue
                monkeypatch.setenv("AWS_DEFAULT_REGION", region)
                monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", str(fips).lower())
                ours = endpoints.find(
                    service.name, service.id, fips_in_govcloud=service.fips_in_govcloud
                )
                assert f"{ours.scheme}://{ours.netloc}{ours.path}" == theirs


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda service: service.name)
def test_a_services_own_endpoint_comes_first(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert endpoints.find(service.name, service.id).netloc == "127.0.0.1:4566"
    own = re.sub(r"\W", "_", str(model(service.name).service_id)).upper()
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{own}", "https://own.example/a/path/")
    found = endpoints.find(service.name, service.id)
    assert (found.scheme, found.netloc, found.port) == ("https", "own.example", 443)
    assert found.path == "/a/path"


def test_an_ipv6_address_may_have_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for url in ("http://[::1]:80", "http://[::1]", "http://[::1]:8080/"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        found.append(endpoints.find("sqs", "SQS").netloc)
    assert found == ["[::1]", "[::1]", "[::1]:8080"]


@pytest.mark.parametrize(
    "url", ["localhost:4566", "ftp://a", "http://", "http://u:p@a", "http://a:b"]
)
def test_an_endpoint_that_is_no_url_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(endpoints.WrongSettingError, match="is no URL like") as caught:
        endpoints.find("sqs", "SQS")
    assert "u:p" not in str(caught.value)


def test_without_a_region_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(endpoints.WrongSettingError, match="AWS_REGION is not set"):
        Client("sqs")


@pytest.mark.parametrize(
    ("service", "arguments"),
    [
        ("dynamodb", {"a": "\ud800"}),
        ("sns", {"a": "\ud800"}),
        ("sns", {"a": 1}),
        ("sqs", {"a": {1j}}),
    ],
)
def test_what_has_no_form_in_a_protocol_is_not_sent(service: str, arguments: Any) -> None:  # noqa: ANN401
    with pytest.raises(AwsError, match="SerializationException from Publish"):
        sent(service, "Publish", arguments)
