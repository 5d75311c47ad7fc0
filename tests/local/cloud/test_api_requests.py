import json
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

import pytest

from .account import ACCOUNT, REGION, Account, policy, wait_for

ANSWER = """
    def handler(event, context):
        return {"statusCode": int(event["path"].strip("/")), "body": "{}"}
"""


class Stage:
    """The stage `live` of an API that answers GET /{status} with that status, made by a stack."""

    def __init__(self, account: Account, name: str, **properties: object) -> None:
        function = account.function(name, ANSWER, {"Action": "logs:*", "Resource": "*"})
        uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"
        of_api = {"RestApiId": {"Ref": "Api"}}
        root = {"Fn::GetAtt": ["Api", "RootResourceId"]}
        resources: dict[str, Any] = {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": name}},
            "Resource": {
                "Type": "AWS::ApiGateway::Resource",
                "Properties": {**of_api, "ParentId": root, "PathPart": "{status}"},
            },
            "Method": {
                "Type": "AWS::ApiGateway::Method",
                "Properties": {
                    **of_api,
                    "ResourceId": {"Ref": "Resource"},
                    "HttpMethod": "GET",
                    "AuthorizationType": "NONE",
                    "Integration": {
                        "Type": "AWS_PROXY",
                        "IntegrationHttpMethod": "POST",
                        "Uri": uri,
                    },
                },
            },
            "Deployment": {
                "Type": "AWS::ApiGateway::Deployment",
                "DependsOn": "Method",
                "Properties": of_api,
            },
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {
                    **of_api,
                    "DeploymentId": {"Ref": "Deployment"},
                    "StageName": "live",
                    **properties,
                },
            },
            "Permission": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "FunctionName": name,
                    "Action": "lambda:InvokeFunction",
                    "Principal": "apigateway.amazonaws.com",
                    "SourceArn": {
                        "Fn::Sub": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:${{Api}}/live/GET/*"
                    },
                },
            },
        }
        body = {"Resources": resources, "Outputs": {"Id": {"Value": {"Ref": "Api"}}}}
        account.cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(body))
        ended = wait_for(lambda: self._ended(account, name), 20)
        assert ended["StackStatus"] == "CREATE_COMPLETE"
        api = ended["Outputs"][0]["OutputValue"]
        self.url = f"{account.server.url}/_aws/execute-api/{api}/live"

    @staticmethod
    def _ended(account: Account, name: str) -> Any:  # noqa: ANN401
        (stack,) = account.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"{self.url}/{path}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code)


def test_requests_are_counted_by_api_and_stage(account: Account, name: str) -> None:
    stage = Stage(account, name)
    assert [stage.get(path) for path in ("200", "404", "503", "500")] == [200, 404, 503, 500]
    for dimensions in ({"ApiName": name}, {"ApiName": name, "Stage": "live"}):
        assert account.total("AWS/ApiGateway", "Count", **dimensions) == 4
        assert account.total("AWS/ApiGateway", "4XXError", **dimensions) == 1
        assert account.total("AWS/ApiGateway", "5XXError", **dimensions) == 2
        assert account.total("AWS/ApiGateway", "Latency", **dimensions) > 0


def test_more_requests_than_the_stage_takes_are_refused(account: Account, name: str) -> None:
    limits = {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 2}
    stage = Stage(
        account, name, MethodSettings=[{"ResourcePath": "/*", "HttpMethod": "*", **limits}]
    )
    answers = Counter(stage.get("200") for _ in range(5))
    assert answers.keys() == {200, 429}
    assert answers[200] >= 2
    assert account.total("AWS/ApiGateway", "4XXError", ApiName=name, Stage="live") == answers[429]


def test_a_throttled_function_is_a_500(account: Account, name: str) -> None:
    stage = Stage(account, name)
    account.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert stage.get("200") == 500
    assert account.total("AWS/ApiGateway", "5XXError", ApiName=name, Stage="live") == 1


FORMAT = (
    '{"id":"$context.requestId","method":"$context.httpMethod","path":"$context.path",'
    '"status":"$context.status","ms":"$context.responseLatency","who":"$context.identity.userArn"}'
)


@pytest.fixture
def log_role(account: Account) -> None:
    """The account's role with which API Gateway writes logs."""
    trust = policy(
        {"Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    )
    iam = account.client("iam")
    try:
        role = iam.create_role(RoleName="api-logs", AssumeRolePolicyDocument=trust)["Role"]
    except iam.exceptions.EntityAlreadyExistsException:
        role = iam.get_role(RoleName="api-logs")["Role"]
    account.apigateway.update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role["Arn"]}]
    )


def access_logs(name: str) -> dict[str, str]:
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
    return {"DestinationArn": arn, "Format": FORMAT}


@pytest.mark.usefixtures("log_role")
def test_every_request_has_a_line_in_the_access_log(account: Account, name: str) -> None:
    logs = account.client("logs")
    logs.create_log_group(logGroupName=name)
    stage = Stage(account, name, AccessLogSetting=access_logs(name))
    stage.get("200")
    stage.get("404")
    events = logs.filter_log_events(logGroupName=name)["events"]
    lines = [json.loads(event["message"]) for event in events]
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/live/200", "200"),
        ("/live/404", "404"),
    ]
    assert {line["who"] for line in lines} == {"-"}
    assert len({line["id"] for line in lines}) == 2


def test_access_logs_need_a_role_of_the_account(account: Account, name: str) -> None:
    account.apigateway.update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": ""}]
    )
    with pytest.raises(AssertionError):
        Stage(account, name, AccessLogSetting=access_logs(name))
    events = account.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("role ARN must be set in account settings" in reason for reason in reasons)
