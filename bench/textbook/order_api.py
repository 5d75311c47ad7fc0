"""``order-api`` by the book."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import ValidationError, parse
from aws_lambda_powertools.utilities.typing import LambdaContext

from bench.textbook.models import Order

logger = Logger(service="orders")
metrics = Metrics(namespace="Textbook", service="orders")
app = APIGatewayRestResolver()
dynamodb = boto3.client("dynamodb")
events = boto3.client("events")


@app.post("/orders")
def place_order() -> Response[str]:
    """Record an order and put it on the bus."""
    order: Order = parse(event=app.current_event.json_body, model=Order)
    logger.info("Received order", extra={"order_id": order.order_id})
    try:
        dynamodb.put_item(
            TableName=os.environ["ORDERS_TABLE"],
            Item={
                "order_id": {"S": order.order_id},
                "status": {"S": "placed"},
                "amount": {"N": str(order.amount)},
                "currency": {"S": order.currency},
                "items": {"S": json.dumps([line.model_dump() for line in order.items])},
            },
            ConditionExpression="attribute_not_exists(order_id)",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return _answer(409, {"message": "The order id is taken"})
    events.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS"],
                "Source": "com.myapp.orders",
                "DetailType": "order.placed",
                "Detail": order.model_dump_json(exclude_none=True),
            }
        ]
    )
    metrics.add_metric(name="OrdersPlaced", unit=MetricUnit.Count, value=1)
    logger.info("Order placed", extra={"order_id": order.order_id, "amount": str(order.amount)})
    return _answer(202, {"order_id": order.order_id, "status": "placed"})


@app.exception_handler(ValidationError)
def invalid(error: ValidationError) -> Response[str]:
    """Answer a body that is not an order."""
    return _answer(400, {"message": str(error)})


def _answer(status: int, body: dict[str, Any]) -> Response[str]:
    return Response(status, content_types.APPLICATION_JSON, json.dumps(body))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401 - Powertools' own
    """Handle one request of the REST API."""
    return app.resolve(event, context)
