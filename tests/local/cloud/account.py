"""A local cloud in a process of its own, and what the tests need to use it as an AWS account."""

import io
import json
import os
import secrets
import socket
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from textwrap import dedent
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from mypy_boto3_apigateway import APIGatewayClient
from mypy_boto3_cloudformation import CloudFormationClient
from mypy_boto3_cloudwatch import CloudWatchClient
from mypy_boto3_events import EventBridgeClient
from mypy_boto3_lambda import LambdaClient
from mypy_boto3_sns import SNSClient
from mypy_boto3_sqs import SQSClient
from mypy_boto3_sqs.literals import QueueAttributeNameType
from mypy_boto3_sqs.type_defs import MessageTypeDef

from orderctl.waiting import wait_until

REGION = "us-east-1"
ACCOUNT = "000000000000"
Answer = TypeVar("Answer")


def wait_for(probe: Callable[[], Answer | None], seconds: float = 10) -> Answer:
    """Ask until the answer is something, and return it."""
    answer = wait_until(probe, patience_seconds=seconds, poll_seconds=0.1)
    assert answer, f"nothing came in {seconds} s"
    return answer


def policy(*statements: dict[str, Any]) -> str:
    """A policy document of statements whose effect is Allow where they do not say."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow"} | statement for statement in statements],
        }
    )


class Server:
    """A local cloud in a process of its own."""

    SECRET_OF_THE_PARENT = "NOT_FOR_FUNCTIONS"

    def __init__(self, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.instance = secrets.token_hex(4)
        self.access_key = "AKIA" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_hex(20)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "orderctl.localcloud.server"),
                *("--port", str(self.port), "--instance", self.instance, *options),
            ],
            env=os.environ
            | {
                "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key,
                self.SECRET_OF_THE_PARENT: "value",
            },
            stdin=subprocess.PIPE,
        )
        wait_for(self.healthy, seconds=20)

    def healthy(self) -> bool:
        """Whether this very server answers."""
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/_orderctl/health") as answer:
            return bool(json.load(answer)["instance"] == self.instance)
        return False

    def stop(self) -> None:
        """End it and wait until it has ended."""
        self.process.terminate()
        self.process.wait(timeout=10)
        assert self.process.stdin is not None
        self.process.stdin.close()


class Account:
    """The AWS account behind a server: clients, and resources in one line each."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def client(self, service: str) -> Any:  # noqa: ANN401 - the type is the service's
        """A client of a service for the root user."""
        session = boto3.Session(self.server.access_key, self.server.secret_key, region_name=REGION)
        config = Config(retries={"max_attempts": 1}, max_pool_connections=32)
        return session.client(service, endpoint_url=self.server.url, config=config)  # type: ignore[call-overload]

    def environment(self) -> dict[str, str]:
        """The environment of a program that is the root user."""
        return os.environ | {
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
            "AWS_DEFAULT_REGION": REGION,
        }

    def total(self, namespace: str, metric: str, **dimensions: str) -> float:
        """The sum of a metric in the last minutes; 0 if nobody has published it."""
        now = datetime.now(UTC)
        points = self.cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    @cached_property
    def apigateway(self) -> APIGatewayClient:
        client: APIGatewayClient = self.client("apigateway")
        return client

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        client: CloudFormationClient = self.client("cloudformation")
        return client

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        client: CloudWatchClient = self.client("cloudwatch")
        return client

    @cached_property
    def events(self) -> EventBridgeClient:
        client: EventBridgeClient = self.client("events")
        return client

    @cached_property
    def functions(self) -> LambdaClient:
        client: LambdaClient = self.client("lambda")
        return client

    @cached_property
    def sns(self) -> SNSClient:
        client: SNSClient = self.client("sns")
        return client

    @cached_property
    def sqs(self) -> SQSClient:
        client: SQSClient = self.client("sqs")
        return client

    def user(self, name: str, *statements: dict[str, Any]) -> boto3.Session:
        """Make a user with the given permissions, and return a session of theirs."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(
                UserName=name, PolicyName="inline", PolicyDocument=policy(*statements)
            )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)

    def role(self, name: str, *statements: dict[str, Any]) -> str:
        """Make a role for functions with the given permissions, and return its ARN."""
        iam = self.client("iam")
        trust = policy(
            {"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        )
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="inline", PolicyDocument=policy(*statements)
            )
        return str(role["Role"]["Arn"])

    def function(self, name: str, code: str, *statements: dict[str, Any], timeout: int = 5) -> str:
        """Make a Python function whose role has the given permissions, and return its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("index.py", dedent(code))
        created = self.functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="index.handler",
            Role=self.role(name, *statements),
            Code={"ZipFile": archive.getvalue()},
            Timeout=timeout,
        )
        return created["FunctionArn"]

    def queue(self, name: str, **attributes: str) -> str:
        """Make a queue and return its URL."""
        names: dict[QueueAttributeNameType, str] = attributes  # type: ignore[assignment]
        return self.sqs.create_queue(QueueName=name, Attributes=names)["QueueUrl"]

    def queue_arn(self, queue_url: str) -> str:
        """The ARN of a queue."""
        return self.attribute(queue_url, "QueueArn")

    def attribute(self, queue_url: str, name: QueueAttributeNameType) -> str:
        """One attribute of a queue."""
        found = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])
        return found["Attributes"][name]

    def receive(self, queue_url: str, count: int = 1, seconds: float = 10) -> list[MessageTypeDef]:
        """Receive and delete messages until there are `count` of them."""
        received: list[MessageTypeDef] = []

        def take_more() -> bool:
            received.extend(self.take(queue_url, wait=1))
            return len(received) >= count

        wait_until(take_more, patience_seconds=seconds, poll_seconds=0)
        assert len(received) == count, f"{len(received)} of {count} messages came"
        return received

    def take(self, queue_url: str, wait: int = 0) -> Sequence[MessageTypeDef]:
        """Receive and delete what is there, up to ten messages."""
        messages = self.sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return messages
