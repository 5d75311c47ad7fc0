"""Metrics and access logs of the requests to a stage.

MiniStack 1.5.33 does neither, and answers 429 when the function behind a method is throttled.

AWS publishes Count, 4XXError, 5XXError and Latency in the namespace AWS/ApiGateway, for ApiName
and for ApiName with Stage ("Amazon API Gateway dimensions and metrics", API Gateway developer
guide); an error metric's Average is the share of such answers. A stage with AccessLogSetting
writes a line in the given format for every request, with `-` for what is not known ("Variables for
access logging", same guide). TestInvokeMethod does neither. To the client a throttled function is
a failed integration: 500, `Internal server error` ("Gateway response types", same guide,
INTEGRATION_FAILURE).

The seams are the function that answers one request to a stage, and the one that calls the function
behind a method. Of the variables, those that the template's format names are known here.
"""

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from ministack.services import apigateway_v1, cloudwatch, cloudwatch_logs

from orderctl.localcloud import seams

_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9.]+)")
_CLIENT_ERRORS = range(400, 500)
_SERVER_ERRORS = range(500, 600)

_log = logging.getLogger(__name__)


def install() -> None:
    """Observe every request to a stage."""
    answer: Callable[..., Awaitable[Any]] = seams.original(
        apigateway_v1, "_handle_execute_in_scope"
    )

    async def answer_observed(
        api_id: str, stage_name: str, method: str, path: str, *request: object
    ) -> object:
        started = time.time()
        response = await answer(api_id, stage_name, method, path, *request)
        stage = apigateway_v1._stages_v1.get(api_id, {}).get(stage_name)
        if stage is not None:
            milliseconds = round((time.time() - started) * 1000)
            name = apigateway_v1._rest_apis[api_id]["name"]
            _measure({"ApiName": name}, response[0], milliseconds)
            _measure({"ApiName": name, "Stage": stage_name}, response[0], milliseconds)
            _log_access(stage, method, path, response, milliseconds)
        return response

    call: Callable[..., Awaitable[Any]] = seams.original(apigateway_v1, "_call_lambda_raw")

    async def call_or_fail(*arguments: object, **scope: object) -> object:
        result, error = await call(*arguments, **scope)
        return (None, "throttled") if result and result.get("throttle") else (result, error)

    seams.replace(apigateway_v1, "_handle_execute_in_scope", answer_observed)
    seams.replace(apigateway_v1, "_call_lambda_raw", call_or_fail)


def _measure(dimensions: dict[str, str], status: int, milliseconds: int) -> None:
    for metric, value, unit in (
        ("Count", 1, "Count"),
        ("4XXError", int(status in _CLIENT_ERRORS), "Count"),
        ("5XXError", int(status in _SERVER_ERRORS), "Count"),
        ("Latency", milliseconds, "Milliseconds"),
    ):
        cloudwatch.record_metric("AWS/ApiGateway", metric, value, unit, dimensions)


def _log_access(
    stage: dict[str, Any],
    method: str,
    path: str,
    response: tuple[int, dict[str, Any], bytes],
    milliseconds: int,
) -> None:
    settings = stage.get("accessLogSettings") or {}
    if not settings.get("destinationArn"):
        return
    status, _, body = response
    refused = status >= HTTPStatus.BAD_REQUEST
    known = {
        "requestId": str(uuid.uuid4()),
        "requestTime": datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "identity.sourceIp": "127.0.0.1",
        "httpMethod": method,
        "path": f"/{stage['stageName']}{path}",
        "status": str(status),
        "responseLength": str(len(body)),
        "responseLatency": str(milliseconds),
        "stage": stage["stageName"],
        # Only API Gateway's own refusals have a message; a function's answer is its own.
        "error.message": HTTPStatus(status).phrase if refused and b'{"message"' in body else "-",
    }
    line = _VARIABLE.sub(lambda variable: known.get(variable[1], "-"), settings["format"])
    group = settings["destinationArn"].split(":log-group:", 1)[1].removesuffix(":*")
    place = {"logGroupName": group, "logStreamName": stage["stageName"]}
    cloudwatch_logs._create_log_stream(place)  # fails if it exists already
    put, *_ = cloudwatch_logs._put_log_events({**place, "logEvents": [{"message": line}]})
    if put != HTTPStatus.OK:
        _log.warning("the access log group %s does not exist", group)
