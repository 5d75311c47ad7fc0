"""API Gateway's TestInvokeMethod.

MiniStack 1.5.33 answers 404 to `POST /restapis/{id}/resources/{id}/methods/{verb}`.

AWS ("TestInvokeMethod", API Gateway API reference; "Use the API Gateway console to test a REST
API method", developer guide) runs the method with the given body, headers, path and stage
variables: without the method's authorization and without a deployment, under the stage name
`test-invoke-stage`, and answers 200 with the method's status, body, headers, a log and the
latency. A function is called only if its policy allows API Gateway to do so for
`arn:aws:execute-api:{region}:{account}:{api}/test-invoke-stage/{verb}{resource path}`.

The request goes to MiniStack first: it checks the caller's policies, and answers 404 (no such
operation) to a caller who may call it. It may answer 404 for another reason, so the policies are
asked again. Then the method's integration is run through MiniStack's own functions for it. Lambda
proxy and mock integrations can be tested; other types are refused by name.
"""

import json
import time
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import apigateway_v1

from orderctl.localcloud import front_door, principals
from orderctl.localcloud.asgi import (
    App,
    Receive,
    Response,
    Scope,
    Send,
    call,
    json_response,
    read_body,
)

STAGE = "test-invoke-stage"
_PATH_PARTS = ("restapis", "resources", "methods")

_INTERNAL_ERROR = b'{"message": "Internal server error"}'


def supplement(app: App) -> App:
    """Answer TestInvokeMethod in front of `app`."""

    async def with_test_invoke(scope: Scope, receive: Receive, send: Send) -> None:
        target = _target(scope)
        if target is None:
            await app(scope, receive, send)
            return
        body = await read_body(receive)
        response = await call(app, scope, body)
        if response.status == HTTPStatus.NOT_FOUND and _allowed(scope["path"]):
            response = await _test_invoke(*target, body)
        await response.send(send)

    return with_test_invoke


def _target(scope: Scope) -> tuple[str, str, str] | None:
    """The API, resource and verb that a request wants to test, if it is such a request."""
    if scope["type"] != "http" or scope["method"] != "POST" or front_door.is_public(scope):
        return None
    parts = scope["path"].strip("/").split("/")
    if tuple(parts[0::2]) != _PATH_PARTS or len(parts) != 2 * len(_PATH_PARTS):
        return None
    return parts[1], parts[3], parts[5]


def _allowed(path: str) -> bool:
    """Whether the caller may make this call."""
    region = get_region()
    resource = f"arn:aws:apigateway:{region}::{path}"
    denied = iam_evaluator.enforce(
        principals.verified_key(), "apigateway:POST", "apigateway", region, resource
    )
    return denied is None


async def _test_invoke(api_id: str, resource_id: str, verb: str, body: bytes) -> Response:
    owner = apigateway_v1.find_api_scope(api_id)
    if owner is None:
        return _error(404, "NotFoundException", "Invalid API identifier specified")
    with request_scope(*owner):
        resource = apigateway_v1._resources.get(api_id, {}).get(resource_id)
        if resource is None:
            return _error(404, "NotFoundException", "Invalid Resource identifier specified")
        methods = resource.get("resourceMethods", {})
        method = methods.get(verb) or methods.get("ANY")
        if method is None:
            return _error(404, "NotFoundException", "Invalid Method identifier specified")
        integration = method.get("methodIntegration", {})
        if integration.get("type") not in {"AWS_PROXY", "MOCK"}:
            return _error(
                400,
                "BadRequestException",
                "The local cloud tests methods with an AWS_PROXY or a MOCK integration only",
            )
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return _error(400, "SerializationException", "The request body is not JSON")
        return await _run(api_id, resource, verb, integration, request)


async def _run(
    api_id: str,
    resource: dict[str, Any],
    verb: str,
    integration: dict[str, Any],
    request: dict[str, Any],
) -> Response:
    target = urlsplit(request.get("pathWithQueryString") or resource["path"])
    started = time.monotonic()
    if integration["type"] == "MOCK":
        answer = apigateway_v1._invoke_mock_v1(integration)
    else:
        _, path_parameters = apigateway_v1._match_resource_tree(
            api_id, [part for part in target.path.split("/") if part]
        )
        # Looked up at the call, so that the function's policy is asked (see permissions.py).
        answer = await apigateway_v1._invoke_lambda_proxy_v1(
            integration,
            api_id,
            STAGE,
            {"variables": request.get("stageVariables")},
            resource,
            target.path,
            verb,
            _request_headers(request),
            (request.get("body") or "").encode(),
            parse_qs(target.query, keep_blank_values=True),
            path_parameters,
            owner_account_id=get_account_id(),
            owner_region=get_region(),
        )
    latency = round((time.monotonic() - started) * 1000)
    if isinstance(answer, apigateway_v1._GatewayError):
        answer = 500, {"Content-Type": "application/json"}, _INTERNAL_ERROR
    return _report(f"{verb} {target.path}", answer, latency)


def _request_headers(request: dict[str, Any]) -> dict[str, str | list[str]]:
    """The test's headers in MiniStack's shape: lower-case names, one value or a list."""
    headers: dict[str, str | list[str]] = dict(request.get("headers") or {})
    headers |= request.get("multiValueHeaders") or {}
    return {name.lower(): value for name, value in headers.items()}


def _report(call_name: str, answer: tuple[int, dict[str, Any], bytes], latency: int) -> Response:
    status, headers, body = answer
    values = {
        name: value if isinstance(value, list) else [value] for name, value in headers.items()
    }
    log = (
        f"Execution log for request {uuid.uuid4()}",
        f"Starting execution for request: {call_name}",
        f"Method response body after transformations: {body.decode(errors='replace')}",
        f"Method completed with status: {status}",
    )
    now = datetime.now(UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
    return json_response(
        200,
        {
            "status": status,
            "body": body.decode(errors="replace"),
            "headers": {name: value[-1] for name, value in values.items()},
            "multiValueHeaders": values,
            "log": "".join(f"{now} : {line}\n" for line in log),
            "latency": latency,
        },
    )


def _error(status: int, code: str, message: str) -> Response:
    return json_response(status, {"message": message}, x_amzn_errortype=code)
