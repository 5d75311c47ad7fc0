"""Tables that a destroyed stack has left behind, and their import into a new stack.

CloudFormation does not create a table whose name is taken. It imports existing resources with a
change set of its own, before anything is created ("Import AWS resources into a CloudFormation
stack", CloudFormation user guide). Its ImportExistingResources takes
literal names only, and ours have the prefix in front.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orderctl.deploying import change_sets
from orderctl.deploying.deployment import describe, explain_errors, is_to_be_created
from orderctl.deploying.errors import StackError
from orderctl.deploying.events import Observer
from orderctl.deploying.template import Template

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

_TABLE = "AWS::DynamoDB::Table"
_PARAMETER = re.compile(r"\$\{(\w+)\}")


class LeftTables:
    """Existing tables that a new stack would otherwise have to create.

    Attributes:
        names: The tables' names, by logical id.
    """

    def __init__(
        self,
        session: boto3.Session,
        template: Template,
        parameters: Mapping[str, str],
        stack_name: str,
        poll_seconds: float = 2.0,
    ) -> None:
        """Look for them; where the stack exists already, there are none.

        Raises:
            StackError: A call to AWS failed, or a table differs from the template, so that it
                must belong to something else.
        """
        self._client = session.client("cloudformation")
        self._template = template
        self._parameters = parameters
        self._stack_name = stack_name
        self._poll = poll_seconds
        self.names: dict[str, str] = {}
        self._properties: dict[str, Mapping[str, Any]] = {}
        with explain_errors(stack_name, "read"):
            if is_to_be_created(describe(self._client, stack_name)):
                self.names = self._existing(session.client("dynamodb"))

    def adopt(self, observer: Observer) -> None:
        """Create the stack with these tables alone in it.

        Raises:
            StackError: CloudFormation did not import them.
        """
        with explain_errors(self._stack_name, "created from its tables"):
            change_set = change_sets.create(
                self._client, self._stack_name, "IMPORT", self._arguments(), self._poll
            )
            if change_set["Status"] == "FAILED":
                reason = change_sets.failure_reason(self._client, change_set)
                self._client.delete_stack(StackName=self._stack_name)
                raise StackError(
                    f"The tables {', '.join(self.names.values())} cannot be imported into stack "
                    f"{self._stack_name}: {reason}"
                )
            change_sets.execute(self._client, change_set, observer, self._poll)

    def _existing(self, dynamodb: DynamoDBClient) -> dict[str, str]:
        """The names of the template's tables that exist, by logical id."""
        values = {**self._template.defaults(), **self._parameters}
        resources = self._template.resources()
        names = {
            logical_id: _resolve(resource["Properties"]["TableName"], values)
            for logical_id, resource in resources.items()
            if resource["Type"] == _TABLE
        }
        found = {}
        for logical_id, name in names.items():
            if name and (table := _describe_table(dynamodb, name)):
                properties = _without_new_indexes(resources[logical_id]["Properties"], table)
                if differences := _differences(properties, table):
                    raise StackError(
                        f"The table {name} exists already and is not this pipeline's. "
                        f"{'; '.join(differences)}. Use another --prefix."
                    )
                found[logical_id] = name
                self._properties[logical_id] = properties
        return found

    def _arguments(self) -> dict[str, Any]:
        resources = self._template.resources()
        tables = {
            logical_id: {**resources[logical_id], "Properties": self._properties[logical_id]}
            for logical_id in self.names
        }
        declared = {n: it for n, it in self._template.parameters.items() if "Default" in it}
        conditions = self._template.conditions()
        body = {"Parameters": declared, "Conditions": conditions, "Resources": tables}
        return {
            "TemplateBody": json.dumps(body),
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in self._parameters.items()
            ],
            "ResourcesToImport": [
                {
                    "ResourceType": _TABLE,
                    "LogicalResourceId": logical_id,
                    "ResourceIdentifier": {"TableName": name},
                }
                for logical_id, name in self.names.items()
            ],
        }


def _resolve(name: Any, values: Mapping[str, str]) -> str:  # noqa: ANN401 - a template's value
    """A name with the parameters' values put in."""
    text = name.get("Fn::Sub", "") if isinstance(name, dict) else str(name)
    return _PARAMETER.sub(lambda match: values.get(match[1], ""), text)


def _describe_table(dynamodb: DynamoDBClient, name: str) -> TableDescriptionTypeDef | None:
    """The table; None when there is none of this name."""
    try:
        return dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return None


def _without_new_indexes(
    declared: Mapping[str, Any], table: TableDescriptionTypeDef
) -> Mapping[str, Any]:
    """What the template says of a table, without the indexes that are newer than the table.

    The deployment after the import makes them.
    """
    there = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
    indexes = [it for it in declared.get("GlobalSecondaryIndexes", []) if it["IndexName"] in there]
    schemas = [declared["KeySchema"], *(index["KeySchema"] for index in indexes)]
    keys = {key["AttributeName"] for schema in schemas for key in schema}
    attributes = [it for it in declared["AttributeDefinitions"] if it["AttributeName"] in keys]
    changed = {"AttributeDefinitions": attributes}
    if "GlobalSecondaryIndexes" in declared:
        changed["GlobalSecondaryIndexes"] = indexes
    return {**declared, **changed}


def _differences(declared: Mapping[str, Any], table: TableDescriptionTypeDef) -> list[str]:
    """How a table differs from the template in what is not changed later."""
    expected, found = _schema(declared), _schema(table)
    return [
        f"{what}: {found[what] or 'none'} instead of {expected[what] or 'none'}"
        for what in expected
        if found[what] != expected[what]
    ]


def _schema(table: Mapping[str, Any]) -> dict[str, str]:
    """A table's keys, attributes and indexes as text, from a template or from DynamoDB."""
    keys = (f"{key['AttributeName']} {key['KeyType']}" for key in table["KeySchema"])
    attributes = (
        f"{attribute['AttributeName']} {attribute['AttributeType']}"
        for attribute in table["AttributeDefinitions"]
    )
    indexes = (index["IndexName"] for index in table.get("GlobalSecondaryIndexes", []))
    return {
        "KeySchema": ", ".join(sorted(keys)),
        "AttributeDefinitions": ", ".join(sorted(attributes)),
        "GlobalSecondaryIndexes": ", ".join(sorted(indexes)),
    }
