"""The resource-based policies of functions, asked before a service calls them.

MiniStack 1.5.33 lets API Gateway and EventBridge call any function; on AWS the function's policy
must allow the service's principal to call it for that source ("Using resource-based policies for
Lambda", Lambda developer guide). A template without its `AWS::Lambda::Permission`, or with one
that names the wrong source, must fail here as it would there.

EventBridge's calls are in `delivery.py`. API Gateway's all pass one function of MiniStack, which
knows the API, the stage, the verb and the resource that the policy's `aws:SourceArn` is about.
Refused, API Gateway answers 500 with `Internal server error`.

Services call one another over TLS. MiniStack takes what it does by itself, such as a delivery of
EventBridge, for a call without; a queue that denies such calls (`aws:SecureTransport`) would take
nothing.
"""

from contextvars import ContextVar
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import apigateway_v1, lambda_svc

from orderctl.localcloud import seams


def function_allows(function_arn: str, service: str, source_arn: str) -> bool:
    """Whether the function's policy lets a service call it on behalf of a source.

    Args:
        function_arn: The function, with or without a qualifier.
        service: The service principal, such as `events.amazonaws.com`.
        source_arn: The rule, API method or other resource the call is made for.
    """
    _, _, _, region, account, *_ = function_arn.split(":")
    with request_scope(account, region):
        found = lambda_svc.function_policy_for_arn(function_arn)
        if found is None:
            return False
        context = EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action="lambda:InvokeFunction",
            resource_arn=function_arn,
            region=region,
            service_context={
                "aws:sourcearn": source_arn,
                "aws:sourceaccount": get_account_id(),
            },
        )
        decision = evaluate_resource_policy(found[0], context, service=service).decision
    return bool(decision == "Allow")


def install() -> None:
    """Make API Gateway ask the function's policy, and services call over TLS."""
    seams.replace(
        iam_evaluator,
        "_request_origin",
        ContextVar("request_origin", default=("127.0.0.1", True)),
    )
    # _invoke_lambda_proxy_v1 is the last place that still knows which method the call is for.
    invoke = seams.original(apigateway_v1, "_invoke_lambda_proxy_v1")

    async def invoke_if_allowed(  # noqa: PLR0917 - MiniStack's signature
        integration: dict[str, Any],
        api_id: str,
        stage_name: str,
        stage: dict[str, Any],
        resource: dict[str, Any],
        path: str,
        method: str,
        *request: object,
        **scope: object,
    ) -> object:
        function = apigateway_v1._extract_lambda_ref_from_integration_uri(integration["uri"])
        source = (
            f"arn:aws:execute-api:{get_region()}:{get_account_id()}:"
            f"{api_id}/{stage_name}/{method}{resource['path']}"
        )
        # With a role of its own, the integration calls the function as that role instead.
        if not integration.get("credentials") and not function_allows(
            function, "apigateway.amazonaws.com", source
        ):
            return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
        return await invoke(
            integration, api_id, stage_name, stage, resource, path, method, *request, **scope
        )

    seams.replace(apigateway_v1, "_invoke_lambda_proxy_v1", invoke_if_allowed)
