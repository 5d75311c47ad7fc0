"""Queues that are there only while somebody follows something.

A queue's tag says until when it is followed at least, and is renewed meanwhile. So what a crash has
left behind is known by its name and its tag, and is removed by the next one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orderctl.pipeline import reading
from orderctl.pipeline.queues import Message, Queue
from orderctl.pipeline.times import format_time

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_FOLLOWED_UNTIL: Final = "followed-until"
_FOLLOWED_FOR = timedelta(minutes=15)
_RENEW_EVERY = timedelta(minutes=5)
_RETENTION_SECONDS = 300
_MOST_SECONDS_OF_A_RECEIVE = 20


class TemporaryQueue(Queue):
    """A queue of our own: what is received from it is taken from nobody."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        """Take the queue's URL."""
        super().__init__(sqs, url)
        self._renewed = datetime.now(UTC)

    def next(self, wait_seconds: float = _MOST_SECONDS_OF_A_RECEIVE) -> list[Message]:
        """Take the messages that are there, up to ten, or wait for the first.

        Args:
            wait_seconds: how long to wait, at most 20.
        """
        messages = self.receive(int(wait_seconds))
        self.delete(messages)
        now = datetime.now(UTC)
        if now - self._renewed >= _RENEW_EVERY:
            self._sqs.tag_queue(QueueUrl=self._url, Tags=_tags(now))
            self._renewed = now
        return messages


class TemporaryQueues:
    """The temporary queues whose names start alike."""

    def __init__(self, sqs: SQSClient, prefix: str, suffix: str = "") -> None:
        """Take how the queues' names start and end."""
        self._sqs = sqs
        self._prefix = prefix
        self._suffix = suffix

    def new_name(self) -> str:
        """A name that nobody has."""
        now = datetime.now(UTC)
        return f"{self._prefix}{now:%Y%m%dt%H%M%S}-{secrets.token_hex(3)}{self._suffix}"

    def create(
        self, name: str, policy: str, more: Mapping[QueueAttributeNameType, str]
    ) -> TemporaryQueue:
        """Create a queue whose messages are kept for five minutes.

        Args:
            name: its name.
            policy: who may send to it.
            more: other attributes.
        """
        attributes: dict[QueueAttributeNameType, str] = {
            "MessageRetentionPeriod": str(_RETENTION_SECONDS),
            "SqsManagedSseEnabled": "true",
            "Policy": policy,
            **more,
        }
        url = self._sqs.create_queue(
            QueueName=name, Attributes=attributes, tags=_tags(datetime.now(UTC))
        )["QueueUrl"]
        return TemporaryQueue(self._sqs, url)

    def names(self, *, followed_too: bool) -> list[str]:
        """The names of those that nobody follows any more; or of all."""
        pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=self._prefix)
        urls = [url for page in pages for url in page.get("QueueUrls", [])]
        now = format_time(datetime.now(UTC))
        return [
            url.rsplit("/", 1)[1] for url in urls if followed_too or self._followed_until(url) < now
        ]

    def delete(self, name: str) -> None:
        """Delete a queue, if it is still there."""
        with suppress(self._sqs.exceptions.QueueDoesNotExist):
            self._sqs.delete_queue(QueueUrl=self._sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def _followed_until(self, url: str) -> str:
        with suppress(self._sqs.exceptions.QueueDoesNotExist):  # it is just being deleted
            return self._sqs.list_queue_tags(QueueUrl=url).get("Tags", {}).get(_FOLLOWED_UNTIL, "")
        return format_time(reading.LAST)


def _tags(now: datetime) -> dict[str, str]:
    return {_FOLLOWED_UNTIL: format_time(now + _FOLLOWED_FOR)}
