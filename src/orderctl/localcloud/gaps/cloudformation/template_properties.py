"""What a template says and MiniStack's CloudFormation passes over.

MiniStack 1.5.33 takes these properties without a word and does nothing with them, or something
else: the point-in-time recovery and the encryption of a table; its deletion protection, when the
stack deletes it; the access logs of a stage; the permissions boundary of a role; the numbers of
an event source mapping, which stay text where they come from parameters, so that its poller stops
with a TypeError; its provisioned pollers. It refuses a stack with an `AWS::XRay::SamplingRule` or
an `AWS::WAFv2::WebACLAssociation`.

AWS does what the template says. A table under deletion protection stays, and its deletion fails
("DeletionProtectionEnabled", AWS::DynamoDB::Table, CloudFormation user guide). A mapping with a
BatchSize above 10 needs a window of a second or more ("MaximumBatchingWindowInSeconds",
CreateEventSourceMapping, Lambda API reference), and has either a maximum concurrency or provisioned
pollers ("Configuring scaling behavior for SQS event source mappings", Lambda developer guide). A
stage with access
logs is refused until the account has a role for them ("Set up CloudWatch logging for REST APIs",
API Gateway developer guide).

The seams are MiniStack's handlers of these resource types, which the engine finds in a table by
the type's name. There is no X-Ray here and no WAF: a sampling rule and the association of a web ACL
are accepted, and the log says that nothing is traced or filtered.
"""

import logging
from collections.abc import Callable
from typing import Any

from ministack.services import apigateway_v1, dynamodb, iam, lambda_svc
from ministack.services.cloudformation import provisioners

from orderctl.localcloud import seams

Properties = dict[str, Any]
_TABLE = "AWS::DynamoDB::Table"
_STAGE = "AWS::ApiGateway::Stage"
_ROLE = "AWS::IAM::Role"
_MAPPING = "AWS::Lambda::EventSourceMapping"
_SAMPLING_RULE = "AWS::XRay::SamplingRule"
_WEB_ACL_ASSOCIATION = "AWS::WAFv2::WebACLAssociation"
_MAPPING_LIMITS = ("ScalingConfig", "ProvisionedPollerConfig")
_UNWINDOWED_BATCH = 10
_NO_LOG_ROLE = "CloudWatch Logs role ARN must be set in account settings to enable logging"

_log = logging.getLogger(__name__)


def install() -> None:
    """Make the handlers of these resource types do what the template says."""
    _after(_TABLE, _finish_table)
    _after(_STAGE, _finish_stage)
    _after(_ROLE, _finish_role)
    _after(_MAPPING, _finish_mapping)
    _with_numbers(_MAPPING)
    _refuse_to_delete_protected(_TABLE)
    _handlers()[_SAMPLING_RULE] = {"create": _accept_rule, "delete": lambda *_: None}
    _handlers()[_WEB_ACL_ASSOCIATION] = {"create": _accept_web_acl, "delete": lambda *_: None}


def _handlers() -> dict[str, dict[str, Callable[..., Any]]]:
    handlers: Any = seams.original(provisioners, "_RESOURCE_HANDLERS")
    found: dict[str, dict[str, Callable[..., Any]]] = handlers
    return found


def _original(resource_type: str, step: str) -> Callable[..., Any]:
    """What MiniStack does in one step of a resource's life.

    Raises:
        RuntimeError: It has no such handler (any more).
    """
    try:
        return _handlers()[resource_type][step]
    except KeyError:
        raise RuntimeError(
            f"MiniStack has no handler to {step} {resource_type}: the local cloud's supplements "
            "do not fit this version"
        ) from None


def _after(resource_type: str, finish: Callable[[str, Properties], None]) -> None:
    """Do something more after MiniStack has created or updated a resource."""
    create, update = _original(resource_type, "create"), _original(resource_type, "update")

    def create_whole(logical_id: str, properties: Properties, stack: str) -> object:
        created = create(logical_id, properties, stack)
        finish(created[0], properties)
        return created

    def update_whole(physical_id: str, old: Properties, new: Properties, *more: object) -> object:
        updated = update(physical_id, old, new, *more)
        finish(updated[0], new)
        return updated

    _handlers()[resource_type] |= {"create": create_whole, "update": update_whole}


def _finish_table(name: str, properties: Properties) -> None:
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    dynamodb._update_continuous_backups(
        {
            "TableName": name,
            "PointInTimeRecoverySpecification": {
                "PointInTimeRecoveryEnabled": recovery.get("PointInTimeRecoveryEnabled", False)
            },
        }
    )
    encryption = properties.get("SSESpecification") or {}
    dynamodb._tables[name]["SSEDescription"] = dynamodb._sse_description_from_spec(
        {**encryption, "Enabled": encryption.get("SSEEnabled", False)} if encryption else None
    )


def _finish_stage(name: str, properties: Properties) -> None:
    settings = properties.get("AccessLogSetting") or {}
    account = apigateway_v1._account_settings.get("settings") or {}
    if settings and not account.get("cloudwatchRoleArn"):
        raise ValueError(_NO_LOG_ROLE)
    stage = apigateway_v1._stages_v1[properties["RestApiId"]][name]
    stage["accessLogSettings"] = {
        key: settings[given]
        for key, given in (("destinationArn", "DestinationArn"), ("format", "Format"))
        if given in settings
    }


def _finish_role(name: str, properties: Properties) -> None:
    boundary = properties.get("PermissionsBoundary")
    if boundary and iam._boundary_policy_error(boundary):
        raise ValueError(f"Policy {boundary} does not exist or is not attachable.")
    iam._roles[name]["PermissionsBoundary"] = boundary


def _finish_mapping(mapping_id: str, properties: Properties) -> None:
    """Keep what limits a mapping, and nothing that limited it before."""
    mapping = lambda_svc._esms[mapping_id]
    for name in _MAPPING_LIMITS:
        mapping.pop(name, None)
        if name in properties:
            mapping[name] = _all_numbers(properties[name])


def _with_numbers(resource_type: str) -> None:
    """Give MiniStack's handlers of event source mappings numbers where it reckons with them."""
    create, update = _original(resource_type, "create"), _original(resource_type, "update")
    _handlers()[resource_type] |= {
        "create": lambda logical_id, properties, *more: create(
            logical_id, _numbered(properties), *more
        ),
        "update": lambda physical_id, old, new, *more: update(
            physical_id, _numbered(old), _numbered(new), *more
        ),
    }


def _numbered(properties: Properties) -> Properties:
    numbered = dict(properties)
    for name in ("BatchSize", "MaximumBatchingWindowInSeconds"):
        if name in properties:
            numbered[name] = int(properties[name])
    for name in _MAPPING_LIMITS:
        if name in properties:
            numbered[name] = _all_numbers(properties[name])
    _check_mapping(numbered)
    return numbered


def _all_numbers(values: Properties) -> dict[str, int]:
    return {name: int(value) for name, value in values.items()}


def _check_mapping(properties: Properties) -> None:
    """Refuse what Lambda refuses.

    Raises:
        ValueError: With the reason.
    """
    size = properties.get("BatchSize", _UNWINDOWED_BATCH)
    if size > _UNWINDOWED_BATCH and not properties.get("MaximumBatchingWindowInSeconds"):
        raise ValueError(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            f"greater than {_UNWINDOWED_BATCH}"
        )
    pollers = properties.get("ProvisionedPollerConfig")
    if pollers and "ScalingConfig" in properties:
        raise ValueError("ScalingConfig and ProvisionedPollerConfig exclude each other")
    if pollers and pollers["MinimumPollers"] > pollers["MaximumPollers"]:
        raise ValueError("MinimumPollers must not be greater than MaximumPollers")


def _refuse_to_delete_protected(resource_type: str) -> None:
    delete = _original(resource_type, "delete")

    def delete_if_allowed(name: str, properties: Properties) -> None:
        if dynamodb._tables.get(name, {}).get("DeletionProtectionEnabled"):
            raise ValueError(
                "Resource cannot be deleted as it is currently protected against deletion. "
                f"Disable deletion protection first. (Table: {name})"
            )
        delete(name, properties)

    _handlers()[resource_type] |= {"delete": delete_if_allowed}


def _accept_rule(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    name = properties["SamplingRule"]["RuleName"]
    _log.warning("the local cloud has no X-Ray: the sampling rule %s traces nothing", name)
    return name, {"RuleARN": f"arn:aws:xray:::sampling-rule/{name}"}


def _accept_web_acl(
    _logical_id: str, properties: Properties, _stack: str
) -> tuple[str, Properties]:
    web_acl, resource = properties["WebACLArn"], properties["ResourceArn"]
    _log.warning("the local cloud has no WAF: the web ACL %s filters nothing", web_acl)
    return f"{web_acl}|{resource}", {}
