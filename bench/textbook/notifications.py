"""``notifications`` by the book."""

from __future__ import annotations

import json
import os

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from bench.textbook.models import Milestone

logger = Logger(service="notifications")
metrics = Metrics(namespace="Textbook", service="notifications")
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="id")
sns = boto3.client("sns")


@logger.inject_lambda_context
@metrics.log_metrics
@idempotent(persistence_store=persistence, config=config)
@event_parser(model=Milestone)
def handler(event: Milestone, context: LambdaContext) -> dict[str, str]:
    """Handle one event of the bus."""
    order_id, status = event.detail.order_id, event.detail_type.partition(".")[2]
    logger.info("Sending notification", extra={"order_id": order_id})
    sns.publish(
        TopicArn=os.environ["ORDER_UPDATES_TOPIC"],
        Message=json.dumps({"order_id": order_id, "status": status}),
        MessageGroupId=order_id,
        MessageDeduplicationId=f"{order_id}:{status}",
    )
    metrics.add_metric(name="NotificationsSent", unit=MetricUnit.Count, value=1)
    logger.info("Notification sent", extra={"order_id": order_id, "status": status})
    return {"order_id": order_id, "status": status}
