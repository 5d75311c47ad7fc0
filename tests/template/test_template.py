"""The rules of AWS and of the design that cfn-lint does not know."""

from __future__ import annotations

import hashlib
import json
import re
from math import ceil
from typing import Any

import pytest

from orderctl.pipeline.capacity import load_counted
from orderctl.pipeline.capacity.bill import PROVISIONED_USE
from orders.aws import clients

Resources = dict[str, dict[str, Any]]
# API Gateway writes all logs of an account and region with it, under a policy of AWS.
ACCOUNT_ROLE = "ApiGatewayAccountLogRole"
# Actions that know no resources.
WITHOUT_RESOURCES = frozenset({"xray:PutTraceSegments", "xray:PutTelemetryRecords"})
API_TYPES = (
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Authorizer",
)


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: r for name, r in resources.items() if r["Type"] == kind}


def properties(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in of_type(resources, kind).items()}


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["Statement"]
    return found


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - policies hold one thing or a list
    return value if isinstance(value, list) else [value]


def test_the_rule_for_placed_orders_has_its_exact_pattern_and_targets(resources: Resources) -> None:
    rule = resources["OrderRule"]["Properties"]
    assert rule["EventPattern"] == {
        "source": ["com.myapp.orders"],
        "detail-type": ["order.placed"],
    }
    assert {t["Id"]: t["Arn"]["Fn::GetAtt"][0] for t in rule["Targets"]} == {
        "payments": "PaymentsQueue",
        "inventory": "InventoryQueue",
        "notifications": "NotificationFunction",
    }


def test_every_rule_target_has_a_retry_policy_and_a_dead_letter_queue(resources: Resources) -> None:
    rules = properties(resources, "AWS::Events::Rule").values()
    for rule in (rule for rule in rules if "EventPattern" in rule):
        for target in rule["Targets"]:
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
            assert target["DeadLetterConfig"]["Arn"] == {
                "Fn::GetAtt": ["UndeliverableEventsDLQ", "Arn"]
            }


def test_every_event_of_the_bus_is_archived_for_a_replay(resources: Resources) -> None:
    (archive,) = properties(resources, "AWS::Events::Archive").values()
    assert archive["SourceArn"] == {"Fn::GetAtt": ["OrderEventBus", "Arn"]}
    assert archive["RetentionDays"] == {"Ref": "ArchiveRetentionDays"}
    assert "EventPattern" not in archive


def test_payments_are_parked_after_three_receives(resources: Resources) -> None:
    policy = resources["PaymentsQueue"]["Properties"]["RedrivePolicy"]
    assert policy["maxReceiveCount"] == 3
    assert policy["deadLetterTargetArn"] == {"Fn::GetAtt": ["PaymentsDLQ", "Arn"]}


def test_every_queue_is_encrypted_in_a_way_eventbridge_can_write_to(resources: Resources) -> None:
    for name, queue in properties(resources, "AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"] is True, name
        assert "KmsMasterKeyId" not in queue, name


def test_a_dead_letter_queue_keeps_messages_longer_than_its_source(resources: Resources) -> None:
    queues = properties(resources, "AWS::SQS::Queue")
    for name, queue in queues.items():
        if "RedrivePolicy" in queue:
            parked = queues[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
            assert parked["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"], name


def test_every_queue_has_a_dead_letter_queue_or_is_one(resources: Resources) -> None:
    for name, queue in properties(resources, "AWS::SQS::Queue").items():
        assert name.endswith("DLQ") != ("RedrivePolicy" in queue), name


def test_every_dead_letter_queue_has_an_alarm_that_tells_people(resources: Resources) -> None:
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]: alarm
        for alarm in properties(resources, "AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert set(watched) == {n for n in of_type(resources, "AWS::SQS::Queue") if n.endswith("DLQ")}
    for alarm in watched.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "PipelineAlarmsTopic"}]
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_a_message_stays_hidden_for_six_timeouts_and_the_window_by_default(
    template: dict[str, Any],
) -> None:
    defaults = {name: p.get("Default") for name, p in template["Parameters"].items()}
    needed = 6 * int(defaults["ConsumerTimeoutSeconds"]) + int(defaults["BatchingWindowSeconds"])
    assert int(defaults["VisibilityTimeoutSeconds"]) >= needed


def test_every_consumer_reports_single_messages_as_failed(resources: Resources) -> None:
    for name, source in properties(resources, "AWS::Lambda::EventSourceMapping").items():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name


def test_every_function_logs_to_a_group_with_a_retention(resources: Resources) -> None:
    groups = properties(resources, "AWS::Logs::LogGroup")
    for name, function in properties(resources, "AWS::Lambda::Function").items():
        group = groups[function["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name
        assert function["LoggingConfig"]["SystemLogLevel"] == {"Ref": "SystemLogLevel"}, name


def test_every_function_has_the_client_that_was_chosen(
    template: dict[str, Any], resources: Resources
) -> None:
    declared = template["Parameters"]["AwsClient"]
    assert declared["AllowedValues"] == list(clients.CLIENTS)
    for function in properties(resources, "AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables["AWS_CLIENT"] == {"Ref": "AwsClient"}


def test_every_function_has_a_role_of_its_own(resources: Resources) -> None:
    roles = [
        function["Role"]["Fn::GetAtt"][0]
        for function in properties(resources, "AWS::Lambda::Function").values()
    ]
    assert sorted(roles) == sorted(set(of_type(resources, "AWS::IAM::Role")) - {ACCOUNT_ROLE})


def test_a_role_for_the_whole_account_is_asked_for_and_stays(
    template: dict[str, Any], resources: Resources
) -> None:
    """Other stacks' APIs may write their logs with it by then."""
    assert template["Parameters"]["ApiGatewayAccountRole"]["Default"] == "false"
    for name in (ACCOUNT_ROLE, "ApiGatewayAccount"):
        assert resources[name]["Condition"] == "HasApiGatewayAccountRole"
        assert resources[name]["DeletionPolicy"] == "Retain"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    assert template["Parameters"]["ApiAccessLogs"]["Default"] == "false"


def test_deletion_protection_of_every_table_is_a_parameter(
    template: dict[str, Any], resources: Resources
) -> None:
    """Off for a first deployment: CloudFormation could not clear away what it had made."""
    assert template["Parameters"]["DeletionProtection"]["Default"] == "false"
    for name, table in properties(resources, "AWS::DynamoDB::Table").items():
        expected = {"Fn::If": ["AreTablesProtected", True, False]}
        assert table["DeletionProtectionEnabled"] == expected, name


def test_every_method_of_the_api_is_throttled(resources: Resources) -> None:
    (setting,) = resources["ApiStage"]["Properties"]["MethodSettings"]
    assert (setting["ResourcePath"], setting["HttpMethod"]) == ("/*", "*")
    assert setting["ThrottlingRateLimit"] == {"Ref": "ApiRateLimit"}
    assert setting["ThrottlingBurstLimit"] == {"Ref": "ApiBurstLimit"}


def test_every_consumer_is_limited_and_batches_as_told(resources: Resources) -> None:
    for name, source in properties(resources, "AWS::Lambda::EventSourceMapping").items():
        assert source["ScalingConfig"]["Fn::If"] == [
            "HasPollers",
            {"Ref": "AWS::NoValue"},
            {"MaximumConcurrency": {"Ref": "ConsumerConcurrency"}},
        ], name
        condition, pollers, nothing = source["ProvisionedPollerConfig"]["Fn::If"]
        assert (condition, nothing) == ("HasPollers", {"Ref": "AWS::NoValue"}), name
        assert pollers == {
            "MinimumPollers": {"Ref": "ConsumerMinimumPollers"},
            "MaximumPollers": {"Ref": "ConsumerMaximumPollers"},
        }, name
        assert source["BatchSize"]["Ref"] in ("BatchSize", "PaymentsBatchSize"), name
        window = source["MaximumBatchingWindowInSeconds"]
        assert window == {"Ref": "BatchingWindowSeconds"}, name


def test_large_batches_need_a_window(template: dict[str, Any]) -> None:
    """Lambda refuses them without one, as late as in the middle of a deployment."""
    rule = template["Rules"]["LargeBatchesNeedAWindow"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "BatchingWindowSeconds"}, "0"]}
    small = [str(size) for size in range(1, 11)]
    assert [assertion["Assert"] for assertion in rule["Assertions"]] == [
        {"Fn::Contains": [small, {"Ref": name}]} for name in ("BatchSize", "PaymentsBatchSize")
    ]


def test_the_tables_of_orders_and_their_indexes_are_warmed_and_limited_together(
    resources: Resources,
) -> None:
    tables = properties(resources, "AWS::DynamoDB::Table")
    indexes = tables["OrdersTable"]["GlobalSecondaryIndexes"]
    grown = [tables[f"{name}Table"] for name in ("Orders", "Payments", "Reservations", "Stock")]
    for settings in (*grown, *indexes):
        warm, most = settings["WarmThroughput"], settings["OnDemandThroughput"]
        assert warm["Fn::If"] == [
            "AreTablesWarmed",
            {
                "ReadUnitsPerSecond": {"Ref": "WarmReadUnits"},
                "WriteUnitsPerSecond": {"Ref": "WarmWriteUnits"},
            },
            {"Ref": "AWS::NoValue"},
        ]
        assert most["Fn::If"][2] == {"Ref": "AWS::NoValue"}
        provisioned = "ProvisionedThroughput" in settings
        limited = "AreOrderTablesLimited" if provisioned else "AreTablesLimited"
        assert most["Fn::If"][0] == limited, "DynamoDB takes one or the other"


def test_the_tables_of_orders_are_provisioned_with_what_orders_take(
    template: dict[str, Any], resources: Resources
) -> None:
    """By what the bench has counted with full batches. The stock's depends on the shop."""
    units = units_of_an_order()
    given = {}
    for table in properties(resources, "AWS::DynamoDB::Table").values():
        name = table["TableName"]["Fn::Sub"].removeprefix("${NamePrefix}")
        if "ProvisionedThroughput" not in table:
            assert table["BillingMode"] == "PAY_PER_REQUEST", name
            continue
        assert table["BillingMode"]["Fn::If"] == [
            "AreTablesProvisioned",
            *("PROVISIONED", "PAY_PER_REQUEST"),
        ]
        given["read_units", name], given["write_units", name] = numbers_of_units(table)
        for index in table.get("GlobalSecondaryIndexes", []):
            reads, given["write_units", f"{name} (index {index['IndexName']})"] = numbers_of_units(
                index
            )
            assert reads == "Index"
    assert given == {of: _NUMBERS[number] for of, number in units.items() if of[1] != "stock"}
    levels = template["Mappings"]["ProvisionedUnits"]
    assert [*levels] == template["Parameters"]["ProvisionedOrdersPerSecond"]["AllowedValues"]
    for level, found in levels.items():
        each = {name: ceil(number * int(level) / PROVISIONED_USE) or 1 for number, name in _NAMES}
        assert found == {**each, "Index": max(int(level) // 10, 1)}


_NAMES = ((1, "One"), (2, "Two"), (3, "Three"), (4, "Four"))
_NUMBERS: dict[float, str] = dict(_NAMES)


def units_of_an_order() -> dict[tuple[str, str], float]:
    """Read and write units by table, also of the index of ended orders, which is on or not."""
    counted = load_counted()
    units: dict[tuple[str, str], float] = {("write_units", "orders (index ended)"): 1}
    for function in counted.functions:
        counts = counted.warm[function.name]["ours"]["counts"]
        (*_, full) = counts.values()
        for kind in ("read_units", "write_units"):
            for table, number in full["first"][kind].items():
                units[kind, table] = units.get((kind, table), 0) + number
    return units


def numbers_of_units(settings: dict[str, Any]) -> tuple[str, str]:
    """How many read and write units a table or an index has for each order, in words."""
    condition, units, otherwise = settings["ProvisionedThroughput"]["Fn::If"]
    assert (condition, otherwise) == ("AreTablesProvisioned", {"Ref": "AWS::NoValue"})
    writes = units["WriteCapacityUnits"]
    if "Fn::If" in writes:
        only, writes, none = writes["Fn::If"]
        assert (only, none) == ("AreEndedOrdersListed", 1)
    found = [units["ReadCapacityUnits"]["Fn::FindInMap"], writes["Fn::FindInMap"]]
    for names in found:
        assert names[:2] == ["ProvisionedUnits", {"Ref": "ProvisionedOrdersPerSecond"}]
    return found[0][2], found[1][2]


def test_every_fifo_of_updates_is_limited_by_its_message_groups(resources: Resources) -> None:
    """Else the whole topic or queue is limited, to 3,000 or 300 messages a second."""
    for topic in properties(resources, "AWS::SNS::Topic").values():
        if topic.get("FifoTopic"):
            assert topic["FifoThroughputScope"] == "MessageGroup"
    queue = resources["OrderUpdatesQueue"]["Properties"]
    assert queue["DeduplicationScope"] == "messageGroup"
    assert queue["FifoThroughputLimit"] == "perMessageGroupId"


def test_nothing_is_traced_or_may_write_traces_by_default(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Parameters"]["TracingRate"]["Default"] == 0
    assert resources["ApiStage"]["Properties"]["TracingEnabled"]["Fn::If"][0] == "IsTraced"
    functions = properties(resources, "AWS::Lambda::Function")
    for name, function in functions.items():
        mode = {"Fn::If": ["IsTraced", "Active", "PassThrough"]}
        assert function["TracingConfig"]["Mode"] == mode, name
    (statement,) = resources["TracingPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == {"Fn::If": ["IsTraced", "Allow", "Deny"]}
    traced = {role["Ref"] for role in resources["TracingPolicy"]["Properties"]["Roles"]}
    assert traced == {function["Role"]["Fn::GetAtt"][0] for function in functions.values()}
    for name in functions:
        assert "TracingPolicy" in resources[name]["DependsOn"], "Lambda looks at the role first"


def test_every_finding_of_checkov_that_is_left_has_its_reason(resources: Resources) -> None:
    for name, resource in resources.items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert skip["comment"].endswith("."), (name, skip)


def test_every_table_is_recoverable_encrypted_and_kept(resources: Resources) -> None:
    for name, table in of_type(resources, "AWS::DynamoDB::Table").items():
        assert table["Properties"]["PointInTimeRecoverySpecification"] == {
            "PointInTimeRecoveryEnabled": True
        }, name
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}, name
        assert table["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert table["UpdateReplacePolicy"] == "Retain", name


def test_no_role_may_do_more_than_named_actions_on_named_resources(resources: Resources) -> None:
    documents = [
        (name, policy["PolicyDocument"])
        for name, role in properties(resources, "AWS::IAM::Role").items()
        for policy in role.get("Policies", [])
    ]
    documents += [
        (name, policy["PolicyDocument"])
        for name, policy in properties(resources, "AWS::IAM::Policy").items()
    ]
    for name, document in documents:
        for statement in statements(document):
            actions = as_list(statement["Action"])
            assert not [action for action in actions if "*" in action], name
            if set(actions) <= WITHOUT_RESOURCES:
                assert statement["Resource"] == "*", name
                assert "Condition" not in statement, name
            else:
                for resource in as_list(statement["Resource"]):
                    assert "*" not in json.dumps(resource), (name, resource)
                    assert isinstance(resource, dict), (name, resource)


def test_no_role_of_a_function_has_a_policy_of_aws(resources: Resources) -> None:
    for name, role in properties(resources, "AWS::IAM::Role").items():
        assert ("ManagedPolicyArns" in role) == (name == ACCOUNT_ROLE), name


def test_no_policy_of_a_queue_or_topic_allows_by_a_wildcard(resources: Resources) -> None:
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for name, policy in properties(resources, kind).items():
            for statement in allowing(policy["PolicyDocument"]):
                assert "*" not in json.dumps(statement), name


def allowing(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for statement in statements(document) if statement["Effect"] == "Allow"]


@pytest.mark.parametrize(
    ("kind", "policies", "named", "action"),
    [
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
    ],
)
def test_every_queue_and_topic_denies_what_does_not_come_over_tls(
    resources: Resources, kind: str, policies: str, named: str, action: str
) -> None:
    """In a policy of its own: SQS and SNS take only statements about the one they belong to."""
    found = {
        name["Ref"]: policy["PolicyDocument"]
        for policy in properties(resources, policies).values()
        for name in policy[named]
    }
    assert found.keys() == of_type(resources, kind).keys()
    for name, document in found.items():
        (denied,) = [s for s in statements(document) if s["Effect"] == "Deny"]
        arn = {"Fn::GetAtt": [name, "Arn"]} if named == "Queues" else {"Ref": name}
        assert denied == {
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }


def test_only_this_account_s_functions_may_take_a_role(resources: Resources) -> None:
    """API Gateway does not say that it sends the key: with it, no API of the account could log."""
    for name, role in properties(resources, "AWS::IAM::Role").items():
        (trust,) = statements(role["AssumeRolePolicyDocument"])
        if name == ACCOUNT_ROLE:
            assert trust["Principal"] == {"Service": "apigateway.amazonaws.com"}
            assert "Condition" not in trust
        else:
            assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
            here = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
            assert trust["Condition"] == {"StringEquals": here}, name


def test_what_a_customer_writes_is_masked_should_it_be_logged(resources: Resources) -> None:
    """Both statements must name the same identifiers, and each policy needs both."""
    policy = resources["OrderApiLogGroup"]["Properties"]["DataProtectionPolicy"]
    audit, mask = policy["Statement"]
    assert audit["Operation"] == {"Audit": {"FindingsDestination": {}}}
    assert mask["Operation"] == {"Deidentify": {"MaskConfig": {}}}
    assert audit["DataIdentifier"] == mask["DataIdentifier"]
    named = {arn["Fn::Sub"].rpartition("/")[2] for arn in mask["DataIdentifier"]}
    assert named >= {"CreditCardNumber", "Name", "Address", "EmailAddress"}


def test_a_web_acl_stands_before_the_stage_if_one_is_given(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Parameters"]["WebAclArn"]["Default"] == ""
    acl = resources["ApiWebAcl"]
    assert acl["Condition"] == "HasWebAcl"
    assert acl["Properties"]["WebACLArn"] == {"Ref": "WebAclArn"}
    stage = acl["Properties"]["ResourceArn"]["Fn::Sub"]
    assert stage.endswith(":apigateway:${AWS::Region}::/restapis/${OrderApi}/stages/${ApiStage}")


def test_requests_are_counted_by_their_token_if_customers_have_a_limit(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Parameters"]["CustomerRateLimit"]["Default"] == "0"
    acl, association = resources["CustomerRateAcl"], resources["ApiCustomerRateAcl"]
    assert acl["Condition"] == association["Condition"] == "HasCustomerRateLimit"
    assert association["Properties"]["WebACLArn"] == {"Fn::GetAtt": ["CustomerRateAcl", "Arn"]}
    (rule,) = acl["Properties"]["Rules"]
    rate = rule["Statement"]["RateBasedStatement"]
    assert rate["Limit"] == {"Ref": "CustomerRateLimit"}
    (key,) = rate["CustomKeys"]
    assert key["Header"]["Name"] == "Authorization"
    shown = [
        each["VisibilityConfig"]["SampledRequestsEnabled"] for each in (acl["Properties"], rule)
    ]
    assert shown == [False, False], "a sample would show a token"


def test_what_becomes_of_a_queue_is_said(resources: Resources) -> None:
    """They go with the stack: a queue that stays would keep the next one from its name."""
    for name, queue in of_type(resources, "AWS::SQS::Queue").items():
        assert queue["DeletionPolicy"] == queue["UpdateReplacePolicy"] == "Delete", name


def test_a_new_revision_changes_every_policy(resources: Resources) -> None:
    """So that CloudFormation writes it anew: it only writes what changed in the template."""
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for name, policy in properties(resources, kind).items():
            assert policy["PolicyDocument"]["Id"] == {"Fn::Sub": "revision-${PolicyRevision}"}, name
    inline = [
        policy
        for role in properties(resources, "AWS::IAM::Role").values()
        for policy in role.get("Policies", [])
    ]
    for policy in [*inline, *properties(resources, "AWS::IAM::Policy").values()]:
        first = statements(policy["PolicyDocument"])[0]
        assert first["Sid"] == {"Fn::Sub": "Revision${PolicyRevision}"}, policy["PolicyName"]


def test_api_gateway_may_call_for_the_stage_and_for_tests_only(resources: Resources) -> None:
    callers = [
        permission["SourceArn"]["Fn::Sub"].partition(":${OrderApi}/")[2].partition("/")
        for permission in properties(resources, "AWS::Lambda::Permission").values()
        if permission["Principal"] == "apigateway.amazonaws.com"
    ]
    assert sorted((stage, path) for stage, _, path in callers) == [
        (stage, path)
        for stage in ("${ApiStage}", "test-invoke-stage")
        for path in ("DELETE/orders/*", "GET/orders/*", "POST/orders")
    ]


def test_only_a_named_source_may_send_to_a_queue(resources: Resources) -> None:
    for name, policy in properties(resources, "AWS::SQS::QueuePolicy").items():
        for statement in allowing(policy["PolicyDocument"]):
            assert statement["Action"] == "sqs:SendMessage", name
            assert "aws:SourceArn" in statement["Condition"]["ArnEquals"], name


def test_the_api_is_closed_to_the_internet_by_default(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Parameters"]["ApiAuthorization"]["Default"] == "AWS_IAM"
    for name, method in properties(resources, "AWS::ApiGateway::Method").items():
        own = {"Ref": "ApiAuthorization"}
        expected = {"Fn::If": ["IsApiForCustomers", "COGNITO_USER_POOLS", own]}
        assert method["AuthorizationType"] == expected, name


def test_every_method_for_customers_has_their_user_pool_verify_the_token(
    template: dict[str, Any], resources: Resources
) -> None:
    (authorizer,) = properties(resources, "AWS::ApiGateway::Authorizer").values()
    assert authorizer["Type"] == "COGNITO_USER_POOLS"
    assert authorizer["ProviderARNs"] == [{"Ref": "UserPoolArn"}]
    nothing = {"Ref": "AWS::NoValue"}
    for name, method in properties(resources, "AWS::ApiGateway::Method").items():
        known = {"Ref": "CustomerAuthorizer"}
        assert method["AuthorizerId"] == {"Fn::If": ["IsApiForCustomers", known, nothing]}, name
        scopes = [{"Ref": "ApiScope"}]
        assert method["AuthorizationScopes"] == {"Fn::If": ["IsApiScoped", scopes, nothing]}, name
    rule = template["Rules"]["CustomersComeFromAUserPool"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "ApiAuthorization"}, "JWT"]}
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "UserPoolArn"}, ""]}]}


def test_the_function_knows_of_customers_before_the_stage_lets_them_in(
    resources: Resources,
) -> None:
    """A stage that takes tokens in front of a function that knows no customers shows all orders."""
    methods = set(properties(resources, "AWS::ApiGateway::Method"))
    for name, method in properties(resources, "AWS::ApiGateway::Method").items():
        assert "${OrderApiFunction.Arn}" in method["Integration"]["Uri"]["Fn::Sub"], name
    for name, deployment in of_type(resources, "AWS::ApiGateway::Deployment").items():
        assert set(deployment["DependsOn"]) == methods, name
    environment = resources["OrderApiFunction"]["Properties"]["Environment"]["Variables"]
    assert environment["API_AUTHORIZATION"] == {"Ref": "ApiAuthorization"}
    assert environment["STAFF_GROUP"] == {"Ref": "StaffGroup"}


@pytest.mark.parametrize(
    ("kind", "name_property"),
    [
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::SNS::Topic", "TopicName"),
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::Lambda::Function", "FunctionName"),
        ("AWS::Events::EventBus", "Name"),
        ("AWS::Events::Rule", "Name"),
        ("AWS::CloudWatch::Alarm", "AlarmName"),
        ("AWS::Logs::LogGroup", "LogGroupName"),
        ("AWS::ApiGateway::RestApi", "Name"),
    ],
)
def test_every_name_takes_the_prefix(resources: Resources, kind: str, name_property: str) -> None:
    found = properties(resources, kind)
    assert found
    for name, resource in found.items():
        assert "${NamePrefix}" in resource[name_property]["Fn::Sub"], name


def test_a_changed_api_gets_a_new_deployment(resources: Resources) -> None:
    api = {name: r for name, r in resources.items() if r["Type"] in API_TYPES}
    digest = hashlib.sha256(json.dumps(api, sort_keys=True).encode()).hexdigest()[:8]
    expected = {f"{kind}ApiDeployment{digest}" for kind in ("Closed", "Customer", "Open")}
    found = set(of_type(resources, "AWS::ApiGateway::Deployment"))
    assert found == expected, (
        f"the API's resources changed: rename {found} to {expected} in template.yaml, "
        "or the change does not reach the stage"
    )


def test_the_stage_serves_each_deployment_for_its_kind_of_authorization(
    resources: Resources,
) -> None:
    served = re.findall(r"'Ref': '(\w+)'", str(resources["ApiStage"]["Properties"]["DeploymentId"]))
    assert sorted(served) == sorted(of_type(resources, "AWS::ApiGateway::Deployment"))
