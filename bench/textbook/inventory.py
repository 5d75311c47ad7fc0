"""``inventory-processor`` by the book."""

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

from bench.textbook.models import Item, Order, OrderPlaced

logger = Logger(service="inventory")
metrics = Metrics(namespace="Textbook", service="inventory")
processor = BatchProcessor(event_type=EventType.SQS)
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="order_id")
dynamodb = boto3.client("dynamodb")
events = boto3.client("events")


@idempotent_function(data_keyword_argument="order", persistence_store=persistence, config=config)
def reserve(order: dict[str, Any]) -> dict[str, Any]:
    """Take an order's lines from the stock, record it, and tell of it."""
    _write(order)
    detail = {"order_id": order["order_id"], "items": order["items"]}
    events.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS"],
                "Source": "com.myapp.inventory",
                "DetailType": "inventory.reserved",
                "Detail": json.dumps(detail),
            }
        ]
    )
    return detail


def _write(order: dict[str, Any]) -> None:
    lines = [
        {"M": {"sku": {"S": line["sku"]}, "quantity": {"N": str(line["quantity"])}}}
        for line in order["items"]
    ]
    item: Item = {
        "order_id": {"S": order["order_id"]},
        "state": {"S": "reserved"},
        "lines": {"L": lines},
    }
    put: dict[str, Any] = {
        "TableName": os.environ["RESERVATIONS_TABLE"],
        "Item": item,
        "ConditionExpression": "attribute_not_exists(order_id)",
    }
    if not lines:
        dynamodb.put_item(**put)
        return
    actions: list[Any] = [{"Put": put}, *(_take(line) for line in order["items"])]
    dynamodb.transact_write_items(TransactItems=actions)


def _take(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": os.environ["STOCK_TABLE"],
            "Key": {"sku": {"S": line["sku"]}},
            "UpdateExpression": "SET available = available - :quantity",
            "ConditionExpression": "available >= :quantity",
            "ExpressionAttributeValues": {":quantity": {"N": str(line["quantity"])}},
        }
    }


def record_handler(record: SQSRecord) -> None:
    """Handle one message."""
    order: Order = parse(event=record.json_body, model=OrderPlaced).detail
    logger.info("Processing reservation", extra={"order_id": order.order_id})
    reserve(order=order.model_dump(mode="json"))
    metrics.add_metric(name="OrdersReserved", unit=MetricUnit.Count, value=1)
    logger.info("Stock reserved", extra={"order_id": order.order_id, "lines": len(order.items)})


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401 - Powertools' own
    """Handle one SQS event."""
    config.register_lambda_context(context)
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
