import json
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from .account import ACCOUNT, REGION, Account

ECHO = """
    import json

    def handler(event, context):
        if event["body"] == "crash":
            raise ValueError("crash")
        return {
            "statusCode": 201,
            "headers": {"X-Stage": event["requestContext"]["stage"]},
            "multiValueHeaders": {"X-Twice": ["a", "b"]},
            "body": json.dumps(event),
        }
"""


@dataclass
class Api:
    """An API with POST /orders and GET /orders/{order_id} on one function, not deployed."""

    id: str
    orders: str
    order: str
    function: str


def make_api(account: Account, name: str, source: str = "*/*/orders*") -> Api:
    function = account.function(name, ECHO)
    gateway = account.apigateway
    api = gateway.create_rest_api(name=name)["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    orders = gateway.create_resource(restApiId=api, parentId=root, pathPart="orders")["id"]
    order = gateway.create_resource(restApiId=api, parentId=orders, pathPart="{order_id}")["id"]
    for resource, verb in ((orders, "POST"), (order, "GET")):
        gateway.put_method(
            restApiId=api, resourceId=resource, httpMethod=verb, authorizationType="AWS_IAM"
        )
        gateway.put_integration(
            restApiId=api,
            resourceId=resource,
            httpMethod=verb,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations",
        )
    account.functions.add_permission(
        FunctionName=name,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{source}",
    )
    return Api(api, orders, order, name)


def test_runs_the_method_without_a_deployment_or_its_authorization(
    account: Account, name: str
) -> None:
    api = make_api(account, name)
    answer = account.apigateway.test_invoke_method(
        restApiId=api.id,
        resourceId=api.orders,
        httpMethod="POST",
        body='{"amount": 3}',
        headers={"Content-Type": "application/json"},
    )
    event = json.loads(answer["body"])
    assert answer["status"] == 201
    assert answer["headers"]["X-Stage"] == "test-invoke-stage"
    assert answer["multiValueHeaders"]["X-Twice"] == ["a", "b"]
    assert answer["latency"] >= 0
    assert "Method completed with status: 201" in answer["log"]
    assert event["body"] == '{"amount": 3}'
    assert event["headers"]["content-type"] == "application/json"
    assert event["resource"] == event["path"] == "/orders"


def test_takes_path_query_and_stage_variables_from_the_request(account: Account, name: str) -> None:
    api = make_api(account, name)
    answer = account.apigateway.test_invoke_method(
        restApiId=api.id,
        resourceId=api.order,
        httpMethod="GET",
        pathWithQueryString="/orders/o-1?verbose=yes",
        stageVariables={"colour": "blue"},
    )
    event = json.loads(answer["body"])
    assert event["pathParameters"] == {"order_id": "o-1"}
    assert event["queryStringParameters"] == {"verbose": "yes"}
    assert event["stageVariables"] == {"colour": "blue"}


def test_a_crash_of_the_function_is_the_methods_502(account: Account, name: str) -> None:
    api = make_api(account, name)
    answer = account.apigateway.test_invoke_method(
        restApiId=api.id, resourceId=api.orders, httpMethod="POST", body="crash"
    )
    assert answer["status"] == 502


def test_needs_the_functions_permission_for_the_test_stage(account: Account, name: str) -> None:
    api = make_api(account, name, source="prod/*")
    answer = account.apigateway.test_invoke_method(
        restApiId=api.id, resourceId=api.orders, httpMethod="POST", body="{}"
    )
    assert answer["status"] == 500
    assert json.loads(answer["body"]) == {"message": "Internal server error"}


@pytest.mark.parametrize("missing", ["api", "resource", "method"])
def test_what_does_not_exist_is_not_found(account: Account, name: str, missing: str) -> None:
    api = make_api(account, name)
    with pytest.raises(account.apigateway.exceptions.NotFoundException):
        account.apigateway.test_invoke_method(
            restApiId="nothere" if missing == "api" else api.id,
            resourceId="nothere" if missing == "resource" else api.orders,
            httpMethod="DELETE" if missing == "method" else "POST",
        )


def test_a_caller_without_the_permission_is_refused(account: Account, name: str) -> None:
    api = make_api(account, name)
    gateway = account.user(name).client("apigateway", endpoint_url=account.server.url)
    with pytest.raises(ClientError, match="not authorized"):
        gateway.test_invoke_method(restApiId=api.id, resourceId=api.orders, httpMethod="POST")


def test_a_caller_with_the_permission_is_served(account: Account, name: str) -> None:
    api = make_api(account, name)
    allowed = {
        "Action": "apigateway:POST",
        "Resource": f"arn:aws:apigateway:{REGION}::/restapis/{api.id}/resources/*/methods/POST",
    }
    gateway = account.user(name, allowed).client("apigateway", endpoint_url=account.server.url)
    answer = gateway.test_invoke_method(restApiId=api.id, resourceId=api.orders, httpMethod="POST")
    assert answer["status"] == 201


@pytest.mark.skipif(not shutil.which("aws"), reason="the AWS CLI is not installed")
def test_the_aws_cli_can_call_it(account: Account, name: str) -> None:
    api = make_api(account, name)
    options = {
        "--rest-api-id": api.id,
        "--resource-id": api.orders,
        "--http-method": "POST",
        "--body": '{"amount": 3}',
        "--endpoint-url": account.server.url,
    }
    done = subprocess.run(
        ["aws", "apigateway", "test-invoke-method", *(a for pair in options.items() for a in pair)],
        env=account.environment(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["status"] == 201
