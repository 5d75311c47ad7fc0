"""What is measured: the functions, their textbook versions, and the tables both of them use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3

from orderctl.deploying import Template
from orders.aws import clients

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

OURS: Final = "ours"
SDK: Final = "sdk"
"""Ours, with the SDK in place of the lean client."""
TEXTBOOK: Final = "textbook"
FLOOR: Final = "floor"
"""The least that can be: of a cold start, and of dollars."""
VERSIONS: Final = (OURS, TEXTBOOK)
"""Those that differ in what they ask of AWS, and so in dollars."""
TIMED: Final = (OURS, SDK, TEXTBOOK)
"""Those whose CPU is measured."""
BILLED: Final = (OURS, FLOOR, TEXTBOOK)
"""Those whose price is told."""

BUS: Final = "order-events"
TOPIC: Final = "order-updates.fifo"
TOPIC_ARN: Final = f"arn:aws:sns:us-east-1:000000000000:{TOPIC}"

_LOADED: Final = Template.load()
_TEMPLATE: Final = _LOADED.resources()


def _declared(kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The logical id and the properties of each resource of a type, such as Lambda::Function."""
    for logical_id, resource in _TEMPLATE.items():
        if resource["Type"] == f"AWS::{kind}":
            yield logical_id, resource["Properties"]


def _plain(name: Mapping[str, str]) -> str:
    """A name without the stack's prefix."""
    return name["Fn::Sub"].removeprefix("${NamePrefix}")


_TABLE_NAMES: Final = {
    logical_id: _plain(table["TableName"]) for logical_id, table in _declared("DynamoDB::Table")
}
_TABLES: Final = {
    _plain(table["TableName"]): table["KeySchema"][0]["AttributeName"]
    for _, table in _declared("DynamoDB::Table")
}
KEYS: Final = {
    **_TABLES,
    **{f"textbook-{table}": key for table, key in _TABLES.items()},
    "textbook-idempotency": "id",
}
"""The key attribute by table."""

INDEXED: Final = {"orders": (("unfinished", "placed_at"), ("ended", "placed_at"))}
"""The attributes of a table's indexes; an item that lacks one is not in it."""


@dataclass(frozen=True, slots=True)
class Function:
    """One of the functions."""

    name: str
    room: str
    """The package of ours that it is in, and the textbook's module."""
    clients: tuple[str, ...]
    """What AWS services every invocation of it calls."""
    events_of_an_order: int
    """How many events of one order it handles, when all goes well; 0 if that is not measured."""
    in_batches: bool = True

    @property
    def versions(self) -> tuple[str, ...]:
        """Ours with either client, and the textbook's if there is one."""
        return TIMED if self.events_of_an_order else (OURS, SDK)

    def handler(self, version: str) -> str:
        """The module of its handler."""
        if version == TEXTBOOK:
            return f"bench.textbook.{self.room}"
        return f"orders.{self.room}.handler"


ON_THE_WAY: Final = (
    Function("order-api", "order_api", ("dynamodb", "events"), 1, in_batches=False),
    Function("payments-processor", "payments", ("dynamodb", "events"), 1),
    Function("inventory-processor", "inventory", ("dynamodb", "events"), 1),
    Function("order-tracker", "tracker", ("dynamodb", "events"), 2),
    Function("notifications", "notifications", ("dynamodb", "sns"), 2, in_batches=False),
)
"""The functions on the way of an order."""

_CLIENTS: Final = ("dynamodb", "events", "sns", "sqs")
"""The services of which a handler may make a client when it is imported."""


def _others() -> Iterator[Function]:
    """The functions that have no textbook version: only their cold start is measured."""
    measured = {function.name for function in ON_THE_WAY}
    consumers = {
        mapping["FunctionName"]["Fn::GetAtt"][0]
        for _, mapping in _declared("Lambda::EventSourceMapping")
    }
    for logical_id, declared in _declared("Lambda::Function"):
        name = _plain(declared["FunctionName"])
        if name not in measured:
            role = _TEMPLATE[declared["Role"]["Fn::GetAtt"][0]]["Properties"]
            actions = str(role["Policies"])
            clients = tuple(
                service
                for service in _CLIENTS
                # A consumer makes its client of SQS only after a failure.
                if f"'{service}:" in actions and not (service == "sqs" and logical_id in consumers)
            )
            room = declared["Handler"].split(".")[1]
            yield Function(name, room, clients, 0, in_batches=False)


FUNCTIONS: Final = (*ON_THE_WAY, *_others())
BY_NAME: Final = {function.name: function for function in FUNCTIONS}


def _variables() -> Iterator[tuple[str, str]]:
    """The environment variables of all functions: parameters as they are by default.

    Of a table it has the name, of any other resource the logical id.
    """
    for _, function in _declared("Lambda::Function"):
        for variable, value in function["Environment"]["Variables"].items():
            named = next(iter(value.values())) if isinstance(value, dict) else value
            parameter = _LOADED.parameters.get(str(named), {})
            yield variable, str(parameter.get("Default", _TABLE_NAMES.get(named, named)))


_VARIABLES: Final = dict(_variables())
_TABLE_VARIABLES: Final = {
    variable: table for variable, table in _VARIABLES.items() if table in _TABLES
}
"""The table's name by the variable that tells it to functions."""


def environment(function: Function, version: str, endpoint: str = "") -> dict[str, str]:
    """The environment variables of a function, as the template sets them.

    Args:
        function: which.
        version: ours with either client, or the textbook's, which has tables of its own.
        endpoint: where AWS is; the real addresses when empty, which a cold start never calls.
    """
    prefix = "textbook-" if version == TEXTBOOK else ""
    return {
        **_VARIABLES,
        "AWS_CLIENT": clients.SDK if version == SDK else clients.LEAN,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        **({"AWS_ENDPOINT_URL": endpoint} if endpoint else {}),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "EVENT_BUS": BUS,
        "API_AUTHORIZATION": "NONE",
        **{variable: f"{prefix}{table}" for variable, table in _TABLE_VARIABLES.items()},
        "IDEMPOTENCY_TABLE": "textbook-idempotency",
        "ORDER_UPDATES_TOPIC": TOPIC_ARN,
        "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/queue",
        "RETRY_DELAY_SECONDS": "1",
        "CHARGE_FAILURE_RATE": "0",
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
    indexes = INDEXED.get(name, ())
    attributes = dict.fromkeys((KEYS[name], *(each for index in indexes for each in index)))
    made: CreateTableInputTypeDef = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": KEYS[name], "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in attributes
        ],
    }
    if indexes:
        made["GlobalSecondaryIndexes"] = [
            {
                "IndexName": key,
                "KeySchema": [
                    {"AttributeName": key, "KeyType": "HASH"},
                    {"AttributeName": sorted_by, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for key, sorted_by in indexes
        ]
    return made
