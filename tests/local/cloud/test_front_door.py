import http.client
from http import HTTPStatus

import boto3
import pytest
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
