"""What is measured: the functions, their textbook versions, and the tables both of them use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import boto3

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

OURS: Final = "ours"
TEXTBOOK: Final = "textbook"
VERSIONS: Final = (OURS, TEXTBOOK)

BUS: Final = "order-events"
TOPIC: Final = "order-updates.fifo"
TOPIC_ARN: Final = f"arn:aws:sns:us-east-1:000000000000:{TOPIC}"

_TABLES: Final = {
    "orders": "order_id",
    "payments": "order_id",
    "reservations": "order_id",
    "stock": "sku",
}
KEYS: Final = {
    **_TABLES,
    **{f"textbook-{table}": key for table, key in _TABLES.items()},
    "textbook-idempotency": "id",
}
"""The key attribute by table."""

INDEXED: Final = {"orders": ("unfinished", "placed_at")}
"""The attributes of a table's index; an item that lacks one is not in it."""


@dataclass(frozen=True, slots=True)
class Function:
    """One of the functions."""

    name: str
    room: str
    """The package of ours that it is in, and the textbook's module."""
    clients: tuple[str, ...]
    """What AWS services every invocation of it calls."""
    events_of_an_order: int
    """How many events of one order it handles, when all goes well; none if a schedule runs it."""
    in_batches: bool = True

    @property
    def versions(self) -> tuple[str, ...]:
        """Ours, and the textbook's if there is one: nothing in a textbook looks after orders."""
        return VERSIONS if self.events_of_an_order else (OURS,)

    def handler(self, version: str) -> str:
        """The module of its handler."""
        return f"orders.{self.room}.handler" if version == OURS else f"bench.textbook.{self.room}"


ON_THE_WAY: Final = (
    Function("order-api", "order_api", ("dynamodb", "events"), 1, in_batches=False),
    Function("payments-processor", "payments", ("dynamodb", "events"), 1),
    Function("inventory-processor", "inventory", ("dynamodb", "events"), 1),
    Function("order-tracker", "tracker", ("dynamodb", "events"), 2),
    Function("notifications", "notifications", ("sns",), 2, in_batches=False),
)
"""The functions on the way of an order."""

FUNCTIONS: Final = (
    *ON_THE_WAY,
    Function("caretaker", "caretaker", ("dynamodb", "events", "sqs"), 0, in_batches=False),
)
BY_NAME: Final = {function.name: function for function in FUNCTIONS}


def environment(function: Function, version: str, endpoint: str = "") -> dict[str, str]:
    """The environment variables of a function, as the template sets them.

    Args:
        function: which.
        version: ours or the textbook's, which has tables of its own.
        endpoint: where AWS is; the real addresses when empty, which a cold start never calls.
    """
    prefix = "" if version == OURS else "textbook-"
    return {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        **({"AWS_ENDPOINT_URL": endpoint} if endpoint else {}),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "EVENT_BUS": BUS,
        "API_AUTHORIZATION": "NONE",
        "STAFF_GROUP": "staff",
        "ORDERS_TABLE": f"{prefix}orders",
        "PAYMENTS_TABLE": f"{prefix}payments",
        "RESERVATIONS_TABLE": f"{prefix}reservations",
        "STOCK_TABLE": f"{prefix}stock",
        "IDEMPOTENCY_TABLE": "textbook-idempotency",
        "ORDER_UPDATES_TOPIC": TOPIC_ARN,
        "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/queue",
        "RETRY_DELAY_SECONDS": "1",
        "STUCK_AFTER_MINUTES": "15",
        "CHARGE_FAILURE_RATE": "0",
        "CHARGE_DECLINE_RATE": "0",
    }


def session() -> boto3.Session:
    """A session with the credentials of the emulator."""
    return boto3.Session(
        aws_access_key_id="bench", aws_secret_access_key="bench", region_name="us-east-1"
    )


def prepare(endpoint: str, stock: dict[str, int]) -> None:
    """Make the tables, the bus and the topic.

    Args:
        endpoint: where AWS is.
        stock: how much there is of each SKU, in the tables of both versions.
    """
    dynamodb = session().client("dynamodb", endpoint_url=endpoint)
    for table in KEYS:
        dynamodb.create_table(**_table(table))
    for table in ("stock", "textbook-stock"):
        for sku, available in stock.items():
            item = {"sku": {"S": sku}, "available": {"N": str(available)}}
            dynamodb.put_item(TableName=table, Item=item)
    session().client("events", endpoint_url=endpoint).create_event_bus(Name=BUS)
    session().client("sns", endpoint_url=endpoint).create_topic(
        Name=TOPIC, Attributes={"FifoTopic": "true"}
    )


def _table(name: str) -> CreateTableInputTypeDef:
    indexed = INDEXED.get(name, ())
    made: CreateTableInputTypeDef = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": KEYS[name], "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in (KEYS[name], *indexed)
        ],
    }
    if indexed:
        made["GlobalSecondaryIndexes"] = [
            {
                "IndexName": indexed[0],
                "KeySchema": [
                    {"AttributeName": indexed[0], "KeyType": "HASH"},
                    {"AttributeName": indexed[1], "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ]
    return made
