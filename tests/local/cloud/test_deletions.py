"""What SQS and EventBridge keep for a while of what was deleted."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from .account import Account, wait_for


def test_the_name_of_a_deleted_queue_is_not_given_away_at_once(account: Account, name: str) -> None:
    account.sqs.delete_queue(QueueUrl=account.queue(name))
    with pytest.raises(account.sqs.exceptions.QueueDeletedRecently, match="wait 60 seconds"):
        account.queue(name)
    assert account.queue(f"{name}-other")


def test_a_bus_is_deleted_only_without_rules_and_its_archive_is_one(
    account: Account, name: str
) -> None:
    bus = account.events.create_event_bus(Name=name)["EventBusArn"]
    account.events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["a"]}')
    account.events.create_archive(ArchiveName=name, EventSourceArn=bus)

    def deleted() -> bool:
        try:
            account.events.delete_event_bus(Name=name)
        except ClientError as error:
            assert "since it has rules" in str(error)
            return False
        return True

    assert not deleted()
    account.events.delete_rule(Name=name, EventBusName=name)
    assert not deleted()
    account.events.delete_archive(ArchiveName=name)
    assert not deleted(), "the archive's rule is still there"
    wait_for(deleted)
