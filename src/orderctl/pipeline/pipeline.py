"""A deployed pipeline in parts: its API, orders, stock, queues, consumers, logs and alarms."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from orderctl.pipeline import tokens
from orderctl.pipeline.alarms import Alarms
from orderctl.pipeline.api import ApiClient
from orderctl.pipeline.consumers import Consumer
from orderctl.pipeline.dead_letters import DeadLetters
from orderctl.pipeline.feed import Feeds
from orderctl.pipeline.functions import Functions
from orderctl.pipeline.order_list import OrderList
from orderctl.pipeline.orders import Orders
from orderctl.pipeline.queues import Queue
from orderctl.pipeline.replay import Archive
from orderctl.pipeline.stack import Stack
from orderctl.pipeline.steps import CONSUMERS, url_output
from orderctl.pipeline.stock import Stock
from orderctl.pipeline.updates import OrderUpdates, UpdateFeeds
from orders.card_books import SimulatedCardBooks
from orders.circuit_breaker.circuits import Circuits

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

    from orders.card_books import CardBooks


class Pipeline:
    """One stack, read and driven through AWS's public APIs.

    It never prints and never exits, so it works in a notebook, too:

        import boto3
        from orderctl.pipeline import Pipeline

        pipeline = Pipeline(boto3.Session(), "order-pipeline")
        pipeline.orders.find(["order-1"])
    """

    def __init__(self, session: boto3.Session, stack_name: str) -> None:
        """Look the stack up; each part is made when it is first asked for.

        Args:
            session: the account and region of the stack.
            stack_name: the stack's name.

        Raises:
            NoStackError: there is no such stack.
            ClientError, BotoCoreError: a call to AWS failed.
        """
        self.session = session
        """For services that have no part of their own here."""
        self.stack = Stack(session, stack_name)

    @cached_property
    def api(self) -> ApiClient:
        """The order API."""
        return self.api_client(connections=1)

    def api_client(self, connections: int) -> ApiClient:
        """A client of the order API with several connections, for many orders at once."""
        url = self.stack.outputs["ApiUrl"]
        return ApiClient(self.session, url, connections=connections, token=self._api_token)

    @cached_property
    def orders(self) -> Orders:
        """The tables of orders, payments and reservations."""
        return Orders(self._dynamodb, self.stack.outputs)

    @cached_property
    def order_list(self) -> OrderList:
        """The orders by time and by how they ended, in pages."""
        return OrderList(self._dynamodb, self.orders, self.stack)

    @cached_property
    def stock(self) -> Stock:
        """The stock of each SKU."""
        return Stock(self._dynamodb, self.stack.outputs)

    @cached_property
    def card_books(self) -> CardBooks:
        """The card processor's books, for an audit; here a real processor's client belongs."""
        return SimulatedCardBooks()

    def queue(self, logical_id: str) -> Queue:
        """A queue by its logical id, such as PaymentsQueue."""
        return Queue(self._sqs, self.stack.outputs[url_output(logical_id)])

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The dead-letter queues."""
        return DeadLetters(self.session, self.stack.outputs)

    @cached_property
    def updates(self) -> OrderUpdates:
        """The queue of the order updates."""
        return OrderUpdates(self._sqs, self.stack.outputs[url_output("OrderUpdatesQueue")])

    @cached_property
    def update_feeds(self) -> UpdateFeeds:
        """The order updates as they pass, beside the shop's own services."""
        return UpdateFeeds(self.session, self.stack)

    def consumer(self, name: str) -> Consumer:
        """A consumer by its name in `steps.CONSUMERS`."""
        step = CONSUMERS[name]
        return Consumer(
            self.session.client("lambda"),
            name,
            self.stack.physical_id(step.event_source),
            self.circuits if step.has_circuit else None,
        )

    @cached_property
    def circuits(self) -> Circuits | None:
        """The circuits of the consumers; None in a stack from before there were any."""
        table = self.stack.outputs.get("CircuitsTableName")
        return Circuits(self._dynamodb, table) if table else None

    @cached_property
    def functions(self) -> Functions:
        """The functions and their logs."""
        return Functions(self.session, self.stack)

    @cached_property
    def alarms(self) -> Alarms:
        """The alarms."""
        topic = self.stack.outputs["PipelineAlarmsTopicArn"]
        return Alarms(self.session.client("cloudwatch"), topic)

    @cached_property
    def feeds(self) -> Feeds:
        """The events of the bus, as they pass."""
        return Feeds(self.session, self.stack)

    @cached_property
    def archive(self) -> Archive:
        """The archive of the bus, for replays."""
        return Archive(self.session, self.stack)

    @cached_property
    def _api_token(self) -> str | None:
        """The token for the API; None when it does not take tokens."""
        if self.stack.outputs.get("ApiAuthorization") != tokens.JWT:
            return None
        url = self.stack.outputs["ApiUrl"]
        return tokens.issue_for_orderctl(self.session, url, self.stack.parameters())

    @cached_property
    def _dynamodb(self) -> DynamoDBClient:
        return self.session.client("dynamodb")

    @cached_property
    def _sqs(self) -> SQSClient:
        return self.session.client("sqs")
