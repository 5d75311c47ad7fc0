import http.client
from http import HTTPStatus

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from .account import REGION, Account, policy

LIST_QUEUES = {
    "X-Amz-Target": "AmazonSQS.ListQueues",
    "Content-Type": "application/x-amz-json-1.0",
}
FORGED = (
    "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sqs/aws4_request, "
    "SignedHeaders=host, Signature=00"
)


def status(account: Account, path: str, headers: dict[str, str], method: str = "POST") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", account.server.port)
    connection.request(method, path, body="{}", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_the_root_key_needs_its_secret(account: Account) -> None:
    impostor = boto3.Session(account.server.access_key, "guessed", region_name=REGION)
    with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidSignature"):
        impostor.client("sqs", endpoint_url=account.server.url).list_queues()


@pytest.mark.parametrize("key", ["test", "000000000000", "AKIAIOSFODNN7EXAMPLE"])
def test_no_other_key_is_root(account: Account, key: str) -> None:
    impostor = boto3.Session(key, account.server.secret_key, region_name=REGION)
    with pytest.raises(ClientError, match=r"InvalidClientTokenId|UnrecognizedClient|SignatureDoes"):
        impostor.client("sqs", endpoint_url=account.server.url).list_queues()


@pytest.mark.parametrize("authorization", ["", "anything", "Credential=test/x", FORGED])
def test_a_request_that_is_not_signed_is_refused(account: Account, authorization: str) -> None:
    header = authorization.format(key=account.server.access_key)
    headers = LIST_QUEUES | ({"Authorization": header} if header else {})
    assert status(account, "/", headers) in {HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/sqs/messages"),
    ],
)
def test_endpoints_without_credentials_are_closed(account: Account, method: str, path: str) -> None:
    assert status(account, path, {}, method) == HTTPStatus.FORBIDDEN


def test_a_policy_that_demands_tls_is_met(account: Account, name: str) -> None:
    only_tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    queue = account.queue(name, Policy=policy(only_tls))
    assert account.sqs.send_message(QueueUrl=queue, MessageBody="a")["MessageId"]


HOSTS = {
    "127.0.0.1": HTTPStatus.FORBIDDEN,  # let in, but not signed
    "127.0.0.1:1": HTTPStatus.FORBIDDEN,
    "LOCALHOST:4566": HTTPStatus.FORBIDDEN,
    "[::1]:4566": HTTPStatus.FORBIDDEN,
    "my-bucket.s3.localhost:4566": HTTPStatus.FORBIDDEN,
    "0123abcd.execute-api.localhost": HTTPStatus.FORBIDDEN,
    "evil.example": HTTPStatus.MISDIRECTED_REQUEST,
    "evil.example:4566": HTTPStatus.MISDIRECTED_REQUEST,
    "localhost.evil.example": HTTPStatus.MISDIRECTED_REQUEST,
    "127.0.0.1.evil.example": HTTPStatus.MISDIRECTED_REQUEST,
    "evillocalhost": HTTPStatus.MISDIRECTED_REQUEST,
    "localhost@evil.example": HTTPStatus.MISDIRECTED_REQUEST,
    "0123abcd.execute-api.evil.example": HTTPStatus.MISDIRECTED_REQUEST,
    f"{'a' * 32}.lambda-url.us-east-1.on.aws": HTTPStatus.MISDIRECTED_REQUEST,
    "localhost.": HTTPStatus.MISDIRECTED_REQUEST,
    "10.0.0.1": HTTPStatus.MISDIRECTED_REQUEST,
    "": HTTPStatus.MISDIRECTED_REQUEST,
}


@pytest.mark.parametrize("host", HOSTS)
def test_only_names_of_this_machine_are_answered(account: Account, host: str) -> None:
    assert status(account, "/", LIST_QUEUES | {"Host": host}) == HOSTS[host]


REFUSED_HOST = {HTTPStatus.BAD_REQUEST, HTTPStatus.MISDIRECTED_REQUEST}


def test_the_health_check_is_no_exception(account: Account) -> None:
    refused = status(account, "/_orderctl/health", {"Host": "evil.example"}, "GET")
    assert refused == HTTPStatus.MISDIRECTED_REQUEST


def test_two_hosts_are_none(account: Account) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", account.server.port)
    connection.putrequest("GET", "/")
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status in REFUSED_HOST
    connection.close()


def answered(
    account: Account, method: str, path: str, body: bytes = b"", /, **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", account.server.port)
    connection.request(method, path, body, {"Origin": "http://evil.example"} | headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def allowed_to_pages(answer: http.client.HTTPResponse) -> dict[str, str]:
    found = {name.lower(): value for name, value in answer.getheaders()}
    return {name: value for name, value in found.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST"])
@pytest.mark.parametrize(
    "path", ["/", "/health", "/2015-03-31/functions", "/_orderctl/health", "/bucket/key"]
)
def test_no_page_may_read_an_answer(account: Account, method: str, path: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
    assert not allowed_to_pages(answered(account, method, path, b"", **asked))


def test_no_page_may_read_an_answer_to_its_owner(account: Account) -> None:
    answer = account.client("iam").list_users()["ResponseMetadata"]["HTTPHeaders"]
    assert not [name for name in answer if name.startswith("access-control-")]


ECHO = """
    def handler(event, context):
        headers = {"Access-Control-Allow-Origin": "https://shop.example"}
        return {"statusCode": 200, "headers": headers, "body": str(len(event["body"] or ""))}
"""


def api_of(account: Account, name: str, code: str, authorization: str = "NONE") -> str:
    """Deploy an API whose one method calls a function, and return its path."""
    function = account.function(name, code)
    gateway = account.apigateway
    api = gateway.create_rest_api(name=name)["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    gateway.put_method(
        restApiId=api, resourceId=root, httpMethod="POST", authorizationType=authorization
    )
    gateway.put_integration(
        restApiId=api,
        resourceId=root,
        httpMethod="POST",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations",
    )
    account.functions.add_permission(
        FunctionName=name,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    gateway.create_deployment(restApiId=api, stageName="v1")
    return f"/_aws/execute-api/{api}/v1/"


def test_a_deployed_api_answers_as_its_function_says(account: Account, name: str) -> None:
    path = api_of(account, name, ECHO)
    answer = answered(account, "POST", path, b"12345")
    assert answer.status == HTTPStatus.OK
    assert allowed_to_pages(answer) == {"access-control-allow-origin": "https://shop.example"}
    # Whatever else the Authorization header is for, and by whatever name of this machine.
    assert answered(account, "POST", path, Authorization="Bearer x").status == HTTPStatus.OK
    api = path.split("/")[3]
    host = f"{api}.execute-api.localhost:{account.server.port}"
    assert answered(account, "POST", "/v1/", Host=host).status == HTTPStatus.OK


def test_nobody_unknown_sends_much(account: Account, name: str) -> None:
    path = api_of(account, name, ECHO)
    assert answered(account, "POST", path, b"a" * 500_000).status == HTTPStatus.OK
    too_long = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert answered(account, "POST", path, b"a" * 600_000).status == too_long
    assert answered(account, "POST", "/", b"a" * 600_000).status == too_long
    account.client("s3").create_bucket(Bucket=name)
    account.client("s3").put_object(Bucket=name, Key="a", Body=b"a" * 2_000_000)


def signed_for(account: Account, path: str, service: str) -> dict[str, str]:
    """The headers of a POST without a body that the root user signed."""
    request = AWSRequest("POST", f"{account.server.url}{path}", data=b"")
    credentials = Credentials(account.server.access_key, account.server.secret_key)
    SigV4Auth(credentials, service, REGION).add_auth(request)
    return dict(request.headers.items())


def test_an_api_that_wants_a_signature_verifies_it(account: Account, name: str) -> None:
    path = api_of(account, name, ECHO, "AWS_IAM")
    key = account.server.access_key
    query = (
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"
        f"&X-Amz-Credential={key}/20260101/{REGION}/{{}}/aws4_request"
    )
    for address, headers in (
        (path, {}),
        (path, {"Authorization": "Bearer x"}),
        (path, {"Authorization": "AWS4-HMAC-SHA256 x"}),
        (path, {"Authorization": FORGED.format(key=key)}),
        (path + query.format("s3"), {}),
        (path + query.format("s3"), {"Authorization": "AWS4-HMAC-SHA256 x"}),
        (path + query.format("execute-api"), {"Authorization": "Bearer x"}),
        (path, signed_for(account, path, "apigateway")),
        (path + "?a=b", signed_for(account, path, "execute-api")),
    ):
        assert answered(account, "POST", address, **headers).status == HTTPStatus.FORBIDDEN
    signed = signed_for(account, path, "execute-api")
    assert answered(account, "POST", path, **signed).status == HTTPStatus.OK
