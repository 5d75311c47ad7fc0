"""What is wired to what, read from ``template.yaml``: the simulation follows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from orderctl.deploying.template import parse

_TEMPLATE: Final = Path(__file__).parents[2] / "template.yaml"
_ACCOUNT: Final = "123456789012"
_REGION: Final = "us-east-1"
_PSEUDO_PARAMETERS: Final = {
    "AWS::AccountId": _ACCOUNT,
    "AWS::Region": _REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
_SMALLER: Final = {"OrderDeadlineMinutes": "300", "BreakerTries": "3"}
"""Parameters that are not their defaults: a run has few orders, and its end comes sooner."""
_OF_A_TABLE: Final = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
"""What the template says of a table that matters to those who read and write it."""
_PATTERN_KEYS: Final = {"source", "detail-type"}


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A standard queue and where its messages go after so many receives."""

    name: str
    url: str
    visibility_timeout: float
    max_receive_count: int | None
    dead_letter_queue: str | None


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function, and how it is called."""

    name: str
    handler: str
    timeout: float
    environment: dict[str, str]
    queue: str | None
    """The queue it reads, by an event source mapping."""
    batch_size: int
    retries: int
    """How often Lambda tries again what it was handed by EventBridge."""
    failure_queue: str | None
    """Where such an event goes in the end."""


@dataclass(frozen=True, slots=True)
class Route:
    """From the bus to a queue or a function, for some events."""

    sources: tuple[str, ...]
    detail_types: tuple[str, ...]
    target: str
    """The name of a queue or of a function."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The part of the template that the simulation plays."""

    tables: dict[str, str]
    """The key attribute by table name."""
    indexes: dict[str, dict[str, Any]]
    """What a table's creation has for its indexes, by table name."""
    queues: dict[str, QueueSpec]
    functions: dict[str, FunctionSpec]
    routes: tuple[Route, ...]
    bus: str
    topic: str
    """The ARN of the FIFO topic."""


@cache
def topology() -> Topology:
    """Read the template, with the defaults of its parameters."""
    return _Reader(_template()).topology()


@cache
def tables() -> list[dict[str, Any]]:
    """What the template's tables are made with."""
    return [
        {
            "TableName": properties["TableName"]["Fn::Sub"].removeprefix("${NamePrefix}"),
            "BillingMode": "PAY_PER_REQUEST",  # by default
            **{name: _plain(properties[name]) for name in _OF_A_TABLE if name in properties},
        }
        for resource in _template()["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
        for properties in [resource["Properties"]]
    ]


def _plain(value: Any) -> Any:  # noqa: ANN401 - a template's value
    """What the template says, without what is there on a condition: how much a table takes."""
    if not isinstance(value, list):
        return value
    return [{n: each for n, each in it.items() if not _is_conditional(each)} for it in value]


def _is_conditional(value: object) -> bool:
    return isinstance(value, dict) and "Fn::If" in value


@cache
def _template() -> dict[str, Any]:
    return dict(parse(_TEMPLATE.read_text(encoding="utf-8")))


class _Reader:
    def __init__(self, template: dict[str, Any]) -> None:
        self._defaults = {
            name: declared.get("Default", "") for name, declared in template["Parameters"].items()
        } | _SMALLER
        self._resources: dict[str, dict[str, Any]] = template["Resources"]

    def topology(self) -> Topology:
        queues = [
            self._queue(properties)
            for properties in self._all("SQS::Queue")
            if not properties.get("FifoQueue")
        ]
        (bus,) = self._all("Events::EventBus")
        (topic,) = (name for name in self._ids("SNS::Topic") if self._get(name).get("FifoTopic"))
        return Topology(
            indexes={
                self._value(properties["TableName"]): {
                    name: properties[name]
                    for name in ("AttributeDefinitions", "GlobalSecondaryIndexes")
                }
                for properties in self._all("DynamoDB::Table")
                if "GlobalSecondaryIndexes" in properties
            },
            tables={
                self._value(properties["TableName"]): properties["KeySchema"][0]["AttributeName"]
                for properties in self._all("DynamoDB::Table")
            },
            queues={queue.name: queue for queue in queues},
            functions={
                function.name: function
                for function in map(self._function, self._ids("Lambda::Function"))
            },
            routes=tuple(self._routes()),
            bus=self._value(bus["Name"]),
            topic=self._value({"Ref": topic}),
        )

    def _queue(self, properties: dict[str, Any]) -> QueueSpec:
        redrive = properties.get("RedrivePolicy")
        name = self._value(properties["QueueName"])
        return QueueSpec(
            name=name,
            url=_queue_url(name),
            visibility_timeout=float(self._value(properties.get("VisibilityTimeout", 30))),
            max_receive_count=redrive["maxReceiveCount"] if redrive else None,
            dead_letter_queue=self._name_of(redrive["deadLetterTargetArn"]) if redrive else None,
        )

    def _function(self, logical_id: str) -> FunctionSpec:
        properties = self._get(logical_id)
        name = self._value(properties["FunctionName"])
        mappings = [
            mapping
            for mapping in self._all("Lambda::EventSourceMapping")
            if self._name_of(mapping["FunctionName"]) == name
        ]
        for mapping in mappings:
            assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        asynchronous = [
            config
            for config in self._all("Lambda::EventInvokeConfig")
            if self._name_of(config["FunctionName"]) == name
        ]
        environment = properties.get("Environment", {}).get("Variables", {})
        return FunctionSpec(
            name=name,
            handler=properties["Handler"],
            timeout=float(self._value(properties["Timeout"])),
            environment={key: self._value(value) for key, value in environment.items()},
            queue=self._name_of(mappings[0]["EventSourceArn"]) if mappings else None,
            batch_size=int(self._value(mappings[0]["BatchSize"])) if mappings else 0,
            retries=asynchronous[0]["MaximumRetryAttempts"] if asynchronous else 0,
            failure_queue=self._name_of(
                asynchronous[0]["DestinationConfig"]["OnFailure"]["Destination"]
            )
            if asynchronous
            else None,
        )

    def _routes(self) -> list[Route]:
        routes = []
        for rule in self._all("Events::Rule"):
            if "ScheduleExpression" in rule:
                continue
            pattern = rule["EventPattern"]
            for either in pattern.get("$or", [pattern]):
                assert set(either) == _PATTERN_KEYS, f"the model knows no other patterns: {either}"
                sources, types = tuple(either["source"]), tuple(either["detail-type"])
                routes += [
                    Route(sources, types, self._name_of(target["Arn"]))
                    for target in rule["Targets"]
                ]
        return routes

    def _ids(self, kind: str) -> list[str]:
        return [name for name, found in self._resources.items() if found["Type"] == f"AWS::{kind}"]

    def _all(self, kind: str) -> list[dict[str, Any]]:
        return [self._get(logical_id) for logical_id in self._ids(kind)]

    def _get(self, logical_id: str) -> dict[str, Any]:
        properties: dict[str, Any] = self._resources[logical_id].get("Properties", {})
        return properties

    def _name_of(self, reference: dict[str, Any]) -> str:
        """The name of the queue or function that a reference leads to."""
        (target,) = reference.values()
        properties = self._get(target[0] if isinstance(target, list) else target)
        return self._value(properties.get("QueueName") or properties["FunctionName"])

    def _value(self, value: object) -> str:
        """What a property comes to, as text."""
        if isinstance(value, dict):
            ((function, argument),) = value.items()
            if function == "Ref":
                return self._ref(argument)
            assert function == "Fn::Sub", f"the model does not know {function}"
            return re.sub(r"\$\{([\w:]+)\}", lambda found: self._ref(found[1]), argument)
        return str(value)

    def _ref(self, name: str) -> str:
        parameters = _PSEUDO_PARAMETERS | self._defaults
        if name in parameters:
            return str(parameters[name])
        properties = self._get(name)
        match self._resources[name]["Type"]:
            case "AWS::SQS::Queue":
                return _queue_url(self._value(properties["QueueName"]))
            case "AWS::Logs::LogGroup":
                return self._value(properties["LogGroupName"])
            case "AWS::Lambda::EventSourceMapping":
                return f"mapping-of-{self._name_of(properties['EventSourceArn'])}"
            case "AWS::SNS::Topic":
                topic = self._value(properties["TopicName"])
                return f"arn:aws:sns:{_REGION}:{_ACCOUNT}:{topic}"
            case kind:
                known = {"TableName", "FunctionName", "Name"} & set(properties)
                assert len(known) == 1, f"the model does not know what Ref gives for a {kind}"
                return self._value(properties[known.pop()])


def _queue_url(name: str) -> str:
    return f"https://sqs.{_REGION}.amazonaws.com/{_ACCOUNT}/{name}"
