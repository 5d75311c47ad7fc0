"""Reads a deployed stack: its outputs, resources and parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    import boto3

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_EVENT_BUS = "order-events"


class NoStackError(OrderctlError):
    """There is no such stack, or it is not deployed yet."""


@dataclass(frozen=True, slots=True)
class StackResource:
    """A resource of the stack."""

    type: str
    physical_id: str


class Stack:
    """A deployed stack."""

    def __init__(self, session: boto3.Session, name: str) -> None:
        """Read the stack.

        Args:
            session: the account and region.
            name: the stack's name.

        Raises:
            NoStackError: there is no stack of this name.
        """
        self.name = name
        self._client = session.client("cloudformation")
        outputs = {it["OutputKey"]: it["OutputValue"] for it in self._describe().get("Outputs", ())}
        if not outputs:
            raise NoStackError(
                f"There is no stack {name} in {session.region_name}, or it is not deployed yet."
            )
        self.outputs = reachable(outputs, self._client.meta.endpoint_url)
        """The stack's outputs, with addresses that can be reached from here."""

    @property
    def endpoint(self) -> str:
        """The address at which AWS is called; a local cloud's is not one of AWS's own."""
        return self._client.meta.endpoint_url

    @property
    def prefix(self) -> str:
        """The prefix of every name in this stack: its parameter NamePrefix."""
        return self.outputs["EventBusName"].removesuffix(_EVENT_BUS)

    def parameters(self) -> dict[str, str]:
        """The present values of the stack's parameters."""
        found = self._describe().get("Parameters", ())
        return {it["ParameterKey"]: it["ParameterValue"] for it in found}

    def parameter(self, name: str) -> str:
        """The value of a parameter of the stack.

        Raises:
            OrderctlError: it has no such parameter.
        """
        values = self.parameters()
        if name not in values:
            raise OrderctlError(
                f"Stack {self.name} has no parameter {name}: it was deployed from an older "
                "template. Deploy the current one."
            )
        return values[name]

    @cached_property
    def resources(self) -> Mapping[str, StackResource]:
        """The stack's resources, by logical id."""
        pages = self._client.get_paginator("list_stack_resources")
        return {
            found["LogicalResourceId"]: StackResource(
                found["ResourceType"], found.get("PhysicalResourceId", "")
            )
            for page in pages.paginate(StackName=self.name)
            for found in page["StackResourceSummaries"]
        }

    def physical_id(self, logical_id: str) -> str:
        """The physical id of a resource, by its logical id.

        Raises:
            OrderctlError: the stack has no such resource.
        """
        if logical_id not in self.resources:
            raise OrderctlError(
                f"Stack {self.name} has no {logical_id}: it was deployed from an older "
                "template. Deploy the current one."
            )
        return self.resources[logical_id].physical_id

    def template(self) -> str:
        """The text of the template that it was deployed from."""
        body: Any = self._client.get_template(StackName=self.name)["TemplateBody"]
        return body if isinstance(body, str) else json.dumps(body)  # boto3 parses JSON

    def _describe(self) -> Mapping[str, Any]:
        try:
            return dict(self._client.describe_stacks(StackName=self.name)["Stacks"][0])
        except self._client.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return {}
            raise


def is_of_aws(endpoint: str) -> bool:
    """Whether an address is one of AWS's own; VPC endpoints have AWS's domain, too."""
    return (urlsplit(endpoint).hostname or "").endswith(_AWS_DOMAINS)


def reachable(outputs: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """A stack's outputs with addresses that can be reached from here.

    Args:
        outputs: as CloudFormation returns them.
        endpoint: the address at which AWS is called; not one of AWS's own for a local cloud.
    """
    if is_of_aws(endpoint):
        return dict(outputs)
    usable = {name: _at_endpoint(value, endpoint) for name, value in outputs.items()}
    if {"ApiId", "StageName"} <= outputs.keys():
        api, stage = outputs["ApiId"], outputs["StageName"]
        usable["ApiUrl"] = f"{endpoint}/_aws/execute-api/{api}/{stage}"
    return usable


def _at_endpoint(value: str, endpoint: str) -> str:
    """A URL with the endpoint's scheme and host; any other value unchanged."""
    if not value.startswith(("http://", "https://")):
        return value
    here = urlsplit(endpoint)
    return urlunsplit(urlsplit(value)._replace(scheme=here.scheme, netloc=here.netloc))
