"""``order-tracker`` by the book."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext

from bench.textbook.models import OutcomeEvent

ATTRIBUTES = {"com.myapp.payments": "payment", "com.myapp.inventory": "inventory"}

logger = Logger(service="tracker")
metrics = Metrics(namespace="Textbook", service="tracker")
processor = BatchProcessor(event_type=EventType.SQS)
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="id")
dynamodb = boto3.client("dynamodb")
events = boto3.client("events")


@idempotent_function(data_keyword_argument="event", persistence_store=persistence, config=config)
def follow(event: dict[str, Any]) -> str:
    """Note an outcome, and confirm the order when both are there."""
    order_id = event["order_id"]
    order = dynamodb.update_item(
        TableName=os.environ["ORDERS_TABLE"],
        Key={"order_id": {"S": order_id}},
        UpdateExpression="SET #outcome = :outcome",
        ExpressionAttributeNames={"#outcome": event["attribute"]},
        ExpressionAttributeValues={":outcome": {"S": event["outcome"]}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    outcomes = {order.get(name, {}).get("S") for name in ATTRIBUTES.values()}
    if outcomes != {"charged", "reserved"}:
        return "placed"
    dynamodb.update_item(
        TableName=os.environ["ORDERS_TABLE"],
        Key={"order_id": {"S": order_id}},
        UpdateExpression="SET #status = :confirmed",
        ConditionExpression="#status = :placed",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":confirmed": {"S": "confirmed"}, ":placed": {"S": "placed"}},
    )
    events.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS"],
                "Source": "com.myapp.orders",
                "DetailType": "order.confirmed",
                "Detail": json.dumps({"order_id": order_id}),
            }
        ]
    )
    return "confirmed"


def record_handler(record: SQSRecord) -> None:
    """Handle one message."""
    event: OutcomeEvent = parse(event=record.json_body, model=OutcomeEvent)
    order_id = event.detail.order_id
    logger.info("Processing outcome", extra={"order_id": order_id, "type": event.detail_type})
    status = follow(
        event={
            "id": event.id,
            "order_id": order_id,
            "attribute": ATTRIBUTES[event.source],
            "outcome": event.detail_type.partition(".")[2],
        }
    )
    metrics.add_metric(name="OutcomesFollowed", unit=MetricUnit.Count, value=1)
    logger.info("Outcome followed", extra={"order_id": order_id, "status": status})


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401 - Powertools' own
    """Handle one SQS event."""
    config.register_lambda_context(context)
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
