"""A policy that lets somebody write certain items only."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from .account import Account


def test_items_under_other_partition_keys_cannot_be_written(account: Account, name: str) -> None:
    account.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "sku", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "sku", "AttributeType": "S"}],
    )
    user = account.user(
        name,
        {
            "Action": ["dynamodb:PutItem", "dynamodb:DeleteItem"],
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": "smoke-*"},
                "Null": {"dynamodb:LeadingKeys": "false"},
            },
        },
    )
    dynamodb = user.client("dynamodb", endpoint_url=account.server.url)
    dynamodb.put_item(TableName=name, Item={"sku": {"S": "smoke-mug"}})
    dynamodb.delete_item(TableName=name, Key={"sku": {"S": "smoke-mug"}})
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.put_item(TableName=name, Item={"sku": {"S": "mug"}})
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.delete_item(TableName=name, Key={"sku": {"S": "mug"}})
