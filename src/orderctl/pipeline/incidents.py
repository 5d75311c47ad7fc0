"""Incidents that are made on purpose, and undone: to practise, and to see what the pipeline does.

Each is made as it happens in life, by the same means on AWS and on the local cloud. What must be
undone is noted first, in tags of the event bus. So an incident whose maker was killed is undone by
whoever calls next, wherever that is.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from orderctl.errors import OrderctlError
from orderctl.pipeline.feed import pattern
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import TagTypeDef
    from mypy_boto3_lambda import LambdaClient

    from orderctl.pipeline.feed import Feed
    from orderctl.pipeline.pipeline import Pipeline

_TAG: Final = "orderctl-incident/"
_MARK: Final = "orderctl incident"
_RATE: Final = "CHARGE_FAILURE_RATE"
_POLICY: Final = "orderctl-incident"
_LOOK_SECONDS = 1.0
_MESSAGES = 3
_PARKED_WITHIN_SECONDS = 240.0
_SETTLED_WITHIN_SECONDS = 60.0


class Incident(ABC):
    """Something that goes wrong, and goes right again."""

    name: ClassVar[str]
    happens: ClassVar[str]
    """What is done, in a sentence."""
    expect: ClassVar[Sequence[str]]
    """What the pipeline does then."""
    ends: ClassVar[str]
    """How it ends."""
    undone_once: ClassVar[bool] = False
    """Whether to undo it twice does harm: then rather not at all, if whoever undoes it dies."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take the pipeline that it happens to."""
        self.pipeline = pipeline

    def note(self) -> str:
        """What must be known to undo it, such as what was there before; at most 150 characters."""
        return "-"

    @abstractmethod
    def begin(self, note: str) -> str | None:
        """Make it happen.

        Args:
            note: what `note` has said.

        Returns:
            Another note, if that is to be known from now on.
        """

    @abstractmethod
    def undo(self, note: str) -> None:
        """Put everything back. It may have been put back already, or not even have begun."""

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """What is open while it goes on."""
        yield

    def go_on(self) -> None:
        """Do what is to be done again and again, and take a second or so for it."""
        time.sleep(_LOOK_SECONDS)


class CardOutage(Incident):
    """The card processor does not answer."""

    name = "card-outage"
    happens = "Every charge fails: payments-processor gets a failure rate of 1."
    expect = (
        "orders wait: their payment is tried again and again, and none is lost",
        "after 20 failed tries the circuit opens, and payments is paused: orderctl status",
        "after five minutes the alarm payments-circuit rings; the alarm payments-age may, too",
    )
    ends = (
        "The old failure rate comes back. Within a minute or two the circuit breaker lets five "
        "orders try, the circuit closes, and all orders go on by themselves."
    )

    def note(self) -> str:
        """The failure rate before."""
        return self._variables()[_RATE]

    def begin(self, note: str) -> None:
        """Have every charge fail."""
        self._set("1")

    def undo(self, note: str) -> None:
        """Have as many fail as before."""
        self._set(note)

    def _set(self, rate: str) -> None:
        function = self._function
        self._lambda.get_waiter("function_updated_v2").wait(FunctionName=function)
        variables = {**self._variables(), _RATE: rate}
        self._lambda.update_function_configuration(
            FunctionName=function, Environment={"Variables": variables}
        )

    def _variables(self) -> dict[str, str]:
        found = self._lambda.get_function_configuration(FunctionName=self._function)
        return dict(found["Environment"]["Variables"])

    @property
    def _lambda(self) -> LambdaClient:
        return self.pipeline.session.client("lambda")

    @property
    def _function(self) -> str:
        return self.pipeline.stack.physical_id("PaymentsFunction")


class StockOut(Incident):
    """The best-stocked article is gone."""

    name = "stock-out"
    happens = "The article of which most is available is sold out at once: its stock is set to 0."
    expect = (
        "new orders with it are cancelled: out of stock; who has paid gets the money back",
        "other articles are sold as before, and no alarm rings",
        "orderctl orders --reason stock --since 10m lists the orders that were cancelled for it",
    )
    ends = "What was taken is put back; what orders gave back meanwhile stays."
    undone_once = True

    def note(self) -> str:
        """The article."""
        levels = self.pipeline.stock.available()
        sku, available = max(levels.items(), key=lambda each: each[1], default=("", 0))
        if not available:
            raise OrderctlError(
                "Nothing is in stock. Put something there: orderctl stock set mug=100"
            )
        return urlsafe_b64encode(sku.encode()).decode()

    def begin(self, note: str) -> str:
        """Take all of it, and note how much that was."""
        return f"{note} {self.pipeline.stock.put(urlsafe_b64decode(note).decode(), 0)}"

    def undo(self, note: str) -> None:
        """Put back what was taken; nothing if that was not noted: stock is never made up."""
        sku, _, taken = note.partition(" ")
        if taken:
            self.pipeline.stock.add(urlsafe_b64decode(sku).decode(), int(taken))


class Duplicates(Incident):
    """EventBridge delivers every event twice."""

    name = "duplicates"
    happens = "Every event on the bus is put there a second time."
    expect = (
        "nothing: no order is charged twice, reserved twice or decided twice, and no alarm rings",
        "orderctl audit finds that the books balance",
    )
    ends = "It stops. Nothing has to be put back."

    def __init__(self, pipeline: Pipeline) -> None:
        """Take the pipeline that it happens to."""
        super().__init__(pipeline)
        self._feed: Feed | None = None
        self.repeated = 0
        """How many events were put on the bus again."""

    def begin(self, note: str) -> None:
        """Do nothing yet."""

    def undo(self, note: str) -> None:
        """Nothing has to be undone."""

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Follow the events of orders that were not repeated by us."""
        ours = json.dumps(
            {"detail": {"order_id": [{"exists": True}], _REPEATS: [{"exists": False}]}}
        )
        with self.pipeline.feeds.follow(pattern(given=ours)) as self._feed:
            yield

    def go_on(self) -> None:
        """Repeat what has passed, marked, so that it is not repeated for ever."""
        events = self._feed.next(_LOOK_SECONDS) if self._feed else []
        if not events:
            return
        client: EventBridgeClient = self.pipeline.session.client("events")
        client.put_events(
            Entries=[
                {
                    "EventBusName": self.pipeline.stack.outputs["EventBusName"],
                    "Source": event.source,
                    "DetailType": event.type,
                    "Detail": json.dumps({**event.detail, _REPEATS: event.id}),
                }
                for event in events
            ]
        )
        self.repeated += len(events)


_REPEATS: Final = "repeats_event"


class Poison(Incident):
    """A publisher puts something on the queue that no code can read."""

    name = "poison"
    happens = "Three messages that nobody can read are put on the queue of payments."
    expect = (
        "each fails alone, three times, and is parked; the orders beside them go on",
        "after five minutes the alarm payments-dlq rings: the caretaker leaves such messages alone",
        "orderctl dlq show payments tells why: message cannot be read",
    )
    ends = "The three messages are deleted, from the dead-letter queue or from wherever they are."

    def begin(self, note: str) -> None:
        """Send them."""
        sqs = self.pipeline.session.client("sqs")
        url = self.pipeline.stack.outputs["PaymentsQueueUrl"]
        for number in range(_MESSAGES):
            sqs.send_message(QueueUrl=url, MessageBody=f"{_MARK} {number}: this is no event")

    def undo(self, note: str) -> None:
        """Wait until they are parked, and delete them."""
        queue, deleted = self.pipeline.queue("PaymentsQueue"), 0

        def look() -> bool:
            nonlocal deleted
            is_empty = not queue.depth()  # looked at first: they go from there to the other
            deleted += self._delete_parked()
            return is_empty or deleted >= _MESSAGES

        wait_until(look, poll_seconds=_LOOK_SECONDS, patience_seconds=_PARKED_WITHIN_SECONDS)

    def _delete_parked(self) -> int:
        """Delete those that are parked by now, and leave all others."""
        queue = self.pipeline.dead_letters.queue("PaymentsDLQ")
        deleted = 0
        for messages in queue.receive_all():
            ours = [message for message in messages if message.body.startswith(_MARK)]
            queue.delete(ours)
            queue.put_back([message for message in messages if message not in ours])
            deleted += len(ours)
        return deleted


class PermissionLost(Incident):
    """Somebody takes a permission away from a function."""

    name = "permission-lost"
    happens = "inventory-processor loses its permissions on the table reservations."
    expect = (
        "orders that need stock wait; their messages fail three times and are parked",
        "after five minutes the alarm inventory-dlq rings: the caretaker leaves AccessDenied alone",
        "orderctl dlq show inventory names the refused call; orderctl orders --stuck the orders",
    )
    ends = "The permission comes back, what is parked is redriven, and the orders end."

    def begin(self, note: str) -> None:
        """Deny it."""
        table = self.pipeline.stack.outputs["ReservationsTableName"]
        self._iam.put_role_policy(
            RoleName=self._role,
            PolicyName=_POLICY,
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Action": "dynamodb:*",
                            "Resource": f"arn:*:dynamodb:*:*:table/{table}",
                        }
                    ],
                }
            ),
        )

    def undo(self, note: str) -> None:
        """Allow it again, and redrive, also what was parked by a try that was under way."""
        with suppress(self._iam.exceptions.NoSuchEntityException):
            self._iam.delete_role_policy(RoleName=self._role, PolicyName=_POLICY)
        queue = self.pipeline.queue("InventoryQueue")
        parked = self.pipeline.dead_letters.queue("InventoryDLQ")

        def look() -> bool:
            is_empty = not queue.depth()  # looked at first: they go from there to the other
            if parked.depth():
                parked.redrive()
                return False
            return is_empty

        wait_until(look, poll_seconds=_LOOK_SECONDS, patience_seconds=_SETTLED_WITHIN_SECONDS)

    @property
    def _iam(self) -> Any:  # noqa: ANN401 - IAM has no types here
        return self.pipeline.session.client("iam")

    @property
    def _role(self) -> str:
        return self.pipeline.stack.physical_id("InventoryRole")


class SlowTable(Incident):
    """A table takes almost no writes."""

    name = "slow-table"
    happens = "The table payments takes one write a second; DynamoDB throttles all others."
    expect = (
        "a function tries again within its invocation, then SQS does: orders take longer",
        "some payments are parked; the caretaker sends them back by itself, and no order is lost",
        "orderctl logs payments --since 5m has Throttling in its reasons",
    )
    ends = "The old limit comes back; what waits or is parked goes on by itself within minutes."

    def note(self) -> str:
        """The limit before; -1 for none.

        Raises:
            OrderctlError: the table is provisioned, and knows no limit.
        """
        table = self._dynamodb.describe_table(TableName=self._table)["Table"]
        if table.get("BillingModeSummary", {}).get("BillingMode") == "PROVISIONED":
            raise OrderctlError(
                f"The table {self._table} is provisioned, and DynamoDB limits only tables that are "
                "paid by the request. Deploy with ProvisionedOrdersPerSecond=0 first."
            )
        return str(table.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits", -1))

    def begin(self, note: str) -> None:
        """Limit it."""
        self._limit(1)

    def undo(self, note: str) -> None:
        """Take the limit away, or set the old one."""
        self._limit(int(note))

    def _limit(self, units: int) -> None:
        self._dynamodb.get_waiter("table_exists").wait(TableName=self._table)
        self._dynamodb.update_table(
            TableName=self._table, OnDemandThroughput={"MaxWriteRequestUnits": units}
        )

    @property
    def _dynamodb(self) -> DynamoDBClient:
        return self.pipeline.session.client("dynamodb")

    @property
    def _table(self) -> str:
        return self.pipeline.stack.outputs["PaymentsTableName"]


INCIDENTS: Final[dict[str, type[Incident]]] = {
    kind.name: kind
    for kind in (CardOutage, StockOut, Duplicates, Poison, SlowTable, PermissionLost)
}


class Incidents:
    """The incidents of one stack."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take the pipeline."""
        self._pipeline = pipeline
        self._events: EventBridgeClient = pipeline.session.client("events")

    @contextmanager
    def happening(self, name: str) -> Iterator[Incident]:
        """Have an incident happen during the block. It is undone after it, whatever happens.

        Args:
            name: one of INCIDENTS.

        Raises:
            OrderctlError: it cannot be made.
            ClientError, BotoCoreError: a call to AWS failed.
        """
        incident = INCIDENTS[name](self._pipeline)
        note = incident.note()
        self._write(name, note)
        try:
            with incident.going_on():
                # In a thread, so that Ctrl-C does not come between what is done and its note.
                with ThreadPoolExecutor(1) as worker:
                    worker.submit(self._begin, incident, note).result()
                yield incident
        finally:
            self._undo(incident)

    def undo_left(self) -> list[str]:
        """Undo what incidents have left whose makers were killed.

        Returns:
            Their names.
        """
        left = self._left()
        for name in left.keys() & INCIDENTS.keys():
            self._undo(INCIDENTS[name](self._pipeline))
        return sorted(left)

    def _left(self) -> dict[str, str]:
        """The notes of incidents that are not undone yet, by name."""
        tags = self._events.list_tags_for_resource(ResourceARN=self._bus)["Tags"]
        return {
            tag["Key"].removeprefix(_TAG): tag["Value"]
            for tag in tags
            if tag["Key"].startswith(_TAG)
        }

    def _begin(self, incident: Incident, note: str) -> None:
        if another := incident.begin(note):
            self._write(incident.name, another)

    def _write(self, name: str, note: str) -> None:
        tag: TagTypeDef = {"Key": f"{_TAG}{name}", "Value": note}
        self._events.tag_resource(ResourceARN=self._bus, Tags=[tag])

    def _undo(self, incident: Incident) -> None:
        """Undo an incident, unless somebody else has."""
        note = self._left().get(incident.name)
        if note is None:
            return
        forget = partial(
            self._events.untag_resource,
            ResourceARN=self._bus,
            TagKeys=[f"{_TAG}{incident.name}"],
        )
        if incident.undone_once:
            forget()
        incident.undo(note)
        if not incident.undone_once:
            forget()

    @property
    def _bus(self) -> str:
        name = self._pipeline.stack.outputs["EventBusName"]
        return self._events.describe_event_bus(Name=name)["Arn"]
