"""``payments-processor`` by the book."""

from __future__ import annotations

import hashlib
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

from bench.textbook.models import Order, OrderPlaced

logger = Logger(service="payments")
metrics = Metrics(namespace="Textbook", service="payments")
processor = BatchProcessor(event_type=EventType.SQS)
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="order_id")
dynamodb = boto3.client("dynamodb")
events = boto3.client("events")


@idempotent_function(data_keyword_argument="order", persistence_store=persistence, config=config)
def charge(order: dict[str, Any]) -> dict[str, Any]:
    """Charge an order, record it, and tell of it."""
    charge_id = f"ch_{hashlib.sha256(order['order_id'].encode()).hexdigest()[:24]}"
    dynamodb.put_item(
        TableName=os.environ["PAYMENTS_TABLE"],
        Item={
            "order_id": {"S": order["order_id"]},
            "state": {"S": "charged"},
            "amount": {"N": str(order["amount"])},
            "currency": {"S": order["currency"]},
            "charge_id": {"S": charge_id},
        },
        ConditionExpression="attribute_not_exists(order_id)",
    )
    detail = {
        "order_id": order["order_id"],
        "amount": order["amount"],
        "currency": order["currency"],
        "charge_id": charge_id,
    }
    events.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS"],
                "Source": "com.myapp.payments",
                "DetailType": "payment.charged",
                "Detail": json.dumps(detail),
            }
        ]
    )
    return detail


def record_handler(record: SQSRecord) -> None:
    """Handle one message."""
    order: Order = parse(event=record.json_body, model=OrderPlaced).detail
    logger.info("Processing payment", extra={"order_id": order.order_id})
    charge(order=order.model_dump(mode="json"))
    metrics.add_metric(name="PaymentsCharged", unit=MetricUnit.Count, value=1)
    logger.info("Payment charged", extra={"order_id": order.order_id, "amount": str(order.amount)})


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401 - Powertools' own
    """Handle one SQS event."""
    config.register_lambda_context(context)
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
