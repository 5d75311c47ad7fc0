"""Everything that is not signed by a key for this very request is nobody's."""

import hashlib
import http.client
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import boto3
import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from orders.aws.errors import AwsError
from orders.aws.wire.client import Client
from orders.aws.wire.connection import Answer, Connection, Request, Transport

from .account import ACCOUNT, REGION, Account

Headers = list[tuple[str, str]]
TARGET = ("X-Amz-Target", "AmazonSQS.ListQueues")
TYPE = ("Content-Type", "application/x-amz-json-1.0")
BODY = "{}"
ZEROS = "0" * 64


def send(
    account: Account, method: str, target: str, headers: Headers, body: str = BODY
) -> tuple[int, dict[str, str], str]:
    """Send a request just as it is written here."""
    connection = http.client.HTTPConnection("127.0.0.1", account.server.port, timeout=10)
    given = {name.lower() for name, _ in headers}
    connection.putrequest(method, target, skip_host="host" in given, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body.encode())
    answer = connection.getresponse()
    content = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content


def credential(key: str, service: str = "sqs") -> str:
    return f"{key}/{datetime.now(UTC):%Y%m%d}/{REGION}/{service}/aws4_request"


def header(claimed: str, algorithm: str = "AWS4-HMAC-SHA256") -> tuple[str, str]:
    return (
        "Authorization",
        f"{algorithm} Credential={claimed}, SignedHeaders=host;x-amz-date, Signature={ZEROS}",
    )


def query(claimed: str, algorithm: str = "AWS4-HMAC-SHA256", **more: str) -> str:
    values = {
        "X-Amz-Algorithm": algorithm,
        "X-Amz-Credential": claimed,
        "X-Amz-Date": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": "300",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": ZEROS,
    } | {name.replace("_", "-"): value for name, value in more.items()}
    return "&".join(f"{name}={value}" for name, value in values.items() if value)


def dated() -> tuple[str, str]:
    return "X-Amz-Date", f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


# What somebody sends who knows the root key's id, but not its secret.
FORGED: dict[str, Callable[[str], tuple[str, Headers]]] = {
    "a broken header and a query": lambda key: (
        f"/?{query(credential(key, 's3'))}",
        [("Authorization", "AWS4-HMAC-SHA256 x")],
    ),
    "a broken header and a query for this service": lambda key: (
        f"/?{query(credential(key))}",
        [("Authorization", "AWS4-HMAC-SHA256 x")],
    ),
    "two headers, the second with the key": lambda key: (
        "/",
        [("Authorization", "AWS4-HMAC-SHA256 x"), header(credential(key))],
    ),
    "two headers, the first with the key": lambda key: (
        "/",
        [header(credential(key)), ("Authorization", "AWS4-HMAC-SHA256 x")],
    ),
    "one header with two credentials": lambda key: (
        "/",
        [
            dated(),
            (
                "Authorization",
                f"AWS4-HMAC-SHA256 Credential={credential(key)}, Credential=a/b/c/d/e, "
                f"SignedHeaders=host, Signature={ZEROS}",
            ),
        ],
    ),
    "a bearer and a query at an API that is none": lambda key: (
        f"/_aws/execute-api/x?{query(credential(key, 's3'))}",
        [("Authorization", "Bearer x")],
    ),
    "a bearer and a query at an API": lambda key: (
        f"/_aws/execute-api/deadbeef/v1/orders?{query(credential(key, 's3'))}",
        [("Authorization", "Bearer x")],
    ),
    "a bearer and a query": lambda key: (
        f"/?{query(credential(key))}",
        [("Authorization", "Bearer x")],
    ),
    "a bearer and a function's URL": lambda key: (
        f"/_aws/lambda-url/x?{query(credential(key))}",
        [("Authorization", "Bearer x")],
    ),
    "a query for S3": lambda key: (f"/?{query(credential(key, 's3'))}", []),
    "a query for this service": lambda key: (f"/?{query(credential(key))}", []),
    "a query in lower case": lambda key: (f"/?{query(credential(key, 's3'))}".lower(), []),
    "a query in upper case": lambda key: (
        f"/?{query(credential(key)).replace('X-Amz', 'X-AMZ')}",
        [],
    ),
    "a query with two credentials": lambda key: (
        f"/?{query(credential('test'))}&X-Amz-Credential={credential(key)}",
        [],
    ),
    "a query without an algorithm": lambda key: (f"/?{query(credential(key), '')}", []),
    "a query without a signature": lambda key: (
        f"/?{query(credential(key), X_Amz_Signature='')}",
        [],
    ),
    "a query of another algorithm": lambda key: (
        f"/?{query(credential(key), 'AWS4-ECDSA-P256-SHA256')}",
        [],
    ),
    "a query of the old version": lambda key: (
        f"/?AWSAccessKeyId={key}&Signature=x&Expires=9999999999",
        [],
    ),
    "a header of the old version": lambda key: ("/", [("Authorization", f"AWS {key}:x")]),
    "a header of the old version and a query": lambda key: (
        f"/?{query(credential(key, 's3'))}",
        [("Authorization", f"AWS {key}:x")],
    ),
    "a header of another algorithm": lambda key: (
        "/",
        [dated(), header(credential(key), "AWS4-ECDSA-P256-SHA256")],
    ),
    "a header of an algorithm that is none": lambda key: (
        "/",
        [dated(), header(credential(key), "AWS4-HMAC-SHA256x")],
    ),
    "a header with a wrong signature": lambda key: ("/", [dated(), header(credential(key))]),
    "a header without a date": lambda key: ("/", [header(credential(key))]),
    "a header with a date that is none": lambda key: (
        "/",
        [("X-Amz-Date", "yesterday"), header(credential(key))],
    ),
    "a header with the key alone": lambda key: ("/", [("Authorization", f"Credential={key}/x")]),
    "an account as the key": lambda _: ("/", [dated(), header(credential(ACCOUNT))]),
    "no key": lambda _: ("/", [dated(), header(credential(""))]),
    "an empty header": lambda _: ("/", [("Authorization", "")]),
    "nothing": lambda _: ("/", []),
    "a path with two slashes": lambda key: (
        f"//_aws/execute-api/deadbeef/v1?{query(credential(key, 's3'))}",
        [("Authorization", "Bearer x")],
    ),
    "a path with dots": lambda key: (
        f"/_aws/execute-api/deadbeef/%2e%2e/%2e%2e/?{query(credential(key, 's3'))}",
        [("Authorization", "Bearer x")],
    ),
    "a path of percent signs": lambda key: (
        f"/%5faws/execute-api/x?{query(credential(key, 's3'))}",
        [("Authorization", "Bearer x")],
    ),
    "an absolute address": lambda key: (
        f"http://localhost/_aws/execute-api/deadbeef/v1?{query(credential(key, 's3'))}",
        [("Authorization", "Bearer x")],
    ),
    "the host of an API that is none": lambda key: (
        f"/?{query(credential(key, 's3'))}",
        [("Host", "deadbeef.execute-api.localhost"), ("Authorization", "Bearer x")],
    ),
    "the host of a function's URL": lambda key: (
        f"/?{query(credential(key))}",
        [("Host", f"{'a' * 32}.lambda-url.us-east-1.localhost"), ("Authorization", "Bearer x")],
    ),
    "the host of a bucket": lambda key: (
        f"/?{query(credential(key, 's3'))}",
        [("Host", "bucket.s3.localhost"), ("Authorization", "AWS4-HMAC-SHA256 x")],
    ),
    "an upgrade to HTTP/2": lambda key: (
        f"/?{query(credential(key, 's3'))}",
        [
            ("Authorization", "AWS4-HMAC-SHA256 x"),
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ],
    ),
    "an upgrade to a WebSocket": lambda key: (
        f"/?{query(credential(key, 's3'))}",
        [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ],
    ),
}


@pytest.mark.parametrize("variant", FORGED)
def test_a_request_that_nobody_signed_is_nobodys(account: Account, name: str, variant: str) -> None:
    account.queue(name)
    target, headers = FORGED[variant](account.server.access_key)
    for method in ("POST", "GET"):
        status, _, content = send(account, method, target, [TARGET, TYPE, *headers])
        assert status >= HTTPStatus.BAD_REQUEST or status == HTTPStatus.SWITCHING_PROTOCOLS
        assert name not in content


CREATE_FUNCTION = "/2015-03-31/functions"


@pytest.mark.parametrize("variant", FORGED)
def test_nobody_makes_a_function(account: Account, name: str, variant: str) -> None:
    target, headers = FORGED[variant](account.server.access_key)
    body = {
        "FunctionName": name,
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": account.role(name),
        "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="},
    }
    replaced = target.replace("/?", f"{CREATE_FUNCTION}?") if "?" in target else CREATE_FUNCTION
    for address in (replaced, target):
        send(account, "POST", address, headers, json.dumps(body))
    listed = [f["FunctionName"] for f in account.functions.list_functions()["Functions"]]
    assert name not in listed


def signed(
    account: Account,
    *,
    service: str = "sqs",
    region: str = REGION,
    age: timedelta = timedelta(),
    headers: Sequence[tuple[str, str]] = (),
) -> AWSRequest:
    """A request that the root user signed, as botocore does it."""
    request = AWSRequest(
        "POST", f"{account.server.url}/", data=BODY, headers=dict([TARGET, TYPE, *headers])
    )
    credentials = Credentials(account.server.access_key, account.server.secret_key)
    signer = SigV4Auth(credentials, service, region)
    when = f"{datetime.now(UTC) - age:%Y%m%dT%H%M%SZ}"
    request.context["timestamp"] = when
    request.headers["Host"] = f"127.0.0.1:{account.server.port}"
    request.headers["X-Amz-Date"] = when
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)  # type: ignore[attr-defined]
    return request


def sent(account: Account, request: AWSRequest, **changes: str) -> int:
    """The status of a signed request after a change; an empty value takes a header away."""
    headers = dict(request.headers.items())
    body = changes.pop("body", BODY)
    path = changes.pop("path", "/")
    method = changes.pop("method", "POST")
    for header_name, value in changes.items():
        headers[header_name.replace("_", "-")] = value
    left = [(name, value) for name, value in headers.items() if value]
    return send(account, method, path, left, body)[0]


def test_a_signed_request_is_answered(account: Account) -> None:
    assert sent(account, signed(account)) == HTTPStatus.OK
    digest = hashlib.sha256(BODY.encode()).hexdigest()
    with_hash = signed(account, headers=[("X-Amz-Content-SHA256", digest)])
    assert sent(account, with_hash) == HTTPStatus.OK


@pytest.mark.parametrize(
    "change",
    [
        {"body": '{"a": 1}'},
        {"path": "/000000000000/other"},
        {"path": "/?Action=ListQueues"},
        {"method": "PUT"},
        {"X_Amz_Target": "AmazonSQS.CreateQueue"},
        {"X_Amz_Target": ""},
        {"X_Amz_Security_Token": "token"},
        {"X_Amz_More": "not signed"},
        {"Host": "localhost"},
        {"X_Amz_Date": "20260101T000000Z"},
    ],
    ids=str,
)
def test_a_signature_is_for_one_request(account: Account, change: dict[str, str]) -> None:
    assert sent(account, signed(account), **change) >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("age", [timedelta(minutes=-20), timedelta(minutes=20), timedelta(days=1)])
def test_a_signature_is_for_a_few_minutes(account: Account, age: timedelta) -> None:
    assert sent(account, signed(account, age=age)) >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("service", ["s3", "lambda", "execute-api", "sqs2"])
def test_a_signature_is_for_one_service(account: Account, service: str) -> None:
    assert sent(account, signed(account, service=service)) >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("region", ["", "US-EAST-1", "us_east_1"])
def test_a_signature_is_for_a_region(account: Account, region: str) -> None:
    assert sent(account, signed(account, region=region)) >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("named", [ZEROS, "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
def test_the_body_is_the_one_whose_hash_was_signed(account: Account, named: str) -> None:
    request = signed(account, headers=[("X-Amz-Content-SHA256", named)])
    assert sent(account, request) >= HTTPStatus.BAD_REQUEST


def test_a_session_needs_its_token(account: Account) -> None:
    session = account.client("sts").get_session_token()["Credentials"]
    whole = boto3.Session(
        session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"], REGION
    )
    whole.client("sqs", endpoint_url=account.server.url).list_queues()
    without = boto3.Session(session["AccessKeyId"], session["SecretAccessKey"], region_name=REGION)
    with pytest.raises(ClientError):
        without.client("sqs", endpoint_url=account.server.url).list_queues()


class OneBitOff:
    """Changes one bit of each signature, and sends the request on."""

    def __init__(self, carrier: Transport, place: int) -> None:
        self.carrier = carrier
        self.place = place
        """Of the changed digit, from the end."""

    def exchange(self, request: Request) -> Answer:
        proof = request.headers["authorization"]
        digit = f"{int(proof[-self.place], 16) ^ 1:x}"
        proof = proof[: len(proof) - self.place] + digit + proof[len(proof) - self.place + 1 :]
        return self.carrier.exchange(
            Request(
                request.method,
                request.path,
                {**request.headers, "authorization": proof},
                request.body,
            )
        )


def test_the_functions_own_client_signs_to_the_bit(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.server.secret_key)
    for service, call in (
        ("sqs", "list_queues"),
        ("dynamodb", "list_tables"),
        ("sns", "get_nothing"),
    ):
        client = Client(service)
        carrier = client.transport
        assert isinstance(carrier, Connection)
        if service != "sns":
            getattr(client, call)()
        for place in (1, 32, 64):
            client.transport = OneBitOff(carrier, place)
            with pytest.raises(AwsError) as caught:
                getattr(client, call)()
            assert caught.value.code in ("SignatureDoesNotMatch", "InvalidSignatureException")
        assert carrier._socket
        carrier._socket.close()


WHO = """
    import os

    def handler(event, context):
        return [os.environ[f"AWS_{part}"] for part in
                ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
"""


def test_a_functions_credentials_cannot_be_computed_from_its_name(
    account: Account, name: str
) -> None:
    arn = account.function(name, WHO, {"Action": "sqs:ListQueues", "Resource": "*"})
    answer = account.functions.invoke(FunctionName=name)
    key, secret, token = json.load(answer["Payload"])
    role = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    digest = hashlib.sha256(f"{arn}:{role}".encode()).hexdigest()
    assert key != f"ASIA{digest[:16].upper()}"
    assert secret != hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
    session = boto3.Session(key, secret, token, REGION)
    session.client("sqs", endpoint_url=account.server.url).list_queues()


def test_a_presigned_address_works_until_it_is_changed(account: Account, name: str) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"content")
    request = AWSRequest("GET", f"{account.server.url}/{name}/a")
    credentials = Credentials(account.server.access_key, account.server.secret_key)
    S3SigV4QueryAuth(credentials, "s3", REGION, expires=60).add_auth(request)
    target = str(request.url).removeprefix(account.server.url)
    assert send(account, "GET", target, [], "")[::2] == (HTTPStatus.OK, "content")
    for changed in (
        target.replace("/a?", "/b?"),
        target.replace("Expires=60", "Expires=600"),
        f"{target}&X-Amz-Credential={credential(account.server.access_key)}",
        f"{target}&versionId=1",
    ):
        status, _, content = send(account, "GET", changed, [], "")
        assert status >= HTTPStatus.BAD_REQUEST
        assert content != "content"


def test_no_method_is_tested_through_another_host(account: Account, name: str) -> None:
    api = account.apigateway.create_rest_api(name=name)["id"]
    root = account.apigateway.get_resources(restApiId=api)["items"][0]["id"]
    account.apigateway.put_method(
        restApiId=api, resourceId=root, httpMethod="POST", authorizationType="AWS_IAM"
    )
    account.apigateway.put_integration(
        restApiId=api,
        resourceId=root,
        httpMethod="POST",
        type="MOCK",
        requestTemplates={"application/json": '{"statusCode": 200}'},
    )
    target = f"/restapis/{api}/resources/{root}/methods/POST"
    for host in ("127.0.0.1", f"{secrets.token_hex(4)}.execute-api.localhost", "a.localhost"):
        status, _, _ = send(account, "POST", target, [("Host", host)])
        assert status >= HTTPStatus.BAD_REQUEST
