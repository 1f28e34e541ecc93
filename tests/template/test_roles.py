"""Least privilege: who may do what to which table, queue and secret."""

import re

import pytest
from template import ROOT, SOURCES, TABLES, actions_on, functions, of_type, source_template, statements, template

# What each role may do to each table, whole.
POLLER = {
    "CheckpointsTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
    "LedgerTable": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchWriteItem", "dynamodb:UpdateItem"},
    "RecordsTable": {"dynamodb:BatchGetItem"},
}
FETCHER = {
    "CheckpointsTable": set(),
    "LedgerTable": {"dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"},
    "RecordsTable": {
        "dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
    },
}  # fmt: skip
WATCHER = {
    "CheckpointsTable": {"dynamodb:GetItem"},
    "LedgerTable": {"dynamodb:GetItem", "dynamodb:Query"},
    "RecordsTable": set(),
}
# What tells versions of a record apart. The body is not among it.
VERSION = ["partition", "id", "last_edited", "fetched_at_ms", "seen_at_ms", "hash", "deleted"]
MATRIX = {"WatcherRole": WATCHER} | {
    f"{source}{role}": rights
    for source in SOURCES
    for role, rights in (("PollerRole", POLLER), ("FetcherRole", FETCHER))
}
ROLES = sorted(of_type("AWS::IAM::Role"))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", ROLES)
def test_role_by_table(role, table):
    assert actions_on(role, table) == MATRIX.get(role, {}).get(table, set())


@pytest.mark.parametrize("given", [{}, {"HasKey": True}, {"LocalCloud": True}], ids=str)
@pytest.mark.parametrize("role", ROLES)
def test_no_wildcards(role, given):
    for statement in statements(role, **given):
        assert not any("*" in action for action in statement["Action"]), statement
        if "*" in statement["Resource"] and statement.get("Sid") == "BatchesOfStatements":
            assert given == {"LocalCloud": True} and role.endswith("FetcherRole")
            assert statement["Action"] == ["dynamodb:BatchExecuteStatement"]
        elif "*" in statement["Resource"]:
            # CloudWatch knows no resources for this call.
            assert statement["Action"] == ["cloudwatch:PutMetricData"], statement
            assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Tidemark"}}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_only_the_policies_written_here_and_one_service_to_assume_it(role):
    properties = of_type("AWS::IAM::Role")[role]
    assert set(properties) == {"AssumeRolePolicyDocument", "Policies"}
    # Those that are attached to several roles are for keys alone.
    assert of_type("AWS::IAM::Policy") == {} == of_type("AWS::IAM::ManagedPolicy")
    (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
    if role.endswith("ScheduleRole"):
        assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    else:
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_every_function_has_a_role_of_its_own():
    roles = [each["Role"]["Fn::GetAtt"][0] for each in functions().values()]
    assert len(set(roles)) == len(roles)
    assert not any("Policies" in each for each in functions().values())


@pytest.mark.parametrize("role", ["PollerRole", "FetcherRole"])
@pytest.mark.parametrize(("source", "kind"), [(source, kind) for source, (kind, _) in SOURCES.items()])
def test_a_source_reaches_only_its_own_keys(source, kind, role):
    expected = {
        "CheckpointsTable": [f"{kind}#*"],
        "LedgerTable": [f"work#{kind}#*", f"source#{kind}"],
        "RecordsTable": [f"{kind}#*"],
    }
    for statement in statements(f"{source}{role}"):
        for table, keys in expected.items():
            if {"Fn::GetAtt": [table, "Arn"]} in statement["Resource"]:
                assert statement["Condition"]["ForAllValues:StringLike"] == {"dynamodb:LeadingKeys": keys}


@pytest.mark.parametrize("role", ["PollerRole", "FetcherRole"])
@pytest.mark.parametrize("source", SOURCES)
def test_of_a_record_only_what_tells_its_versions_apart_is_read(source, role):
    (statement,) = [each for each in statements(f"{source}{role}") if "dynamodb:BatchGetItem" in each["Action"]]
    assert statement["Action"] == ["dynamodb:BatchGetItem"]
    assert statement["Condition"]["ForAllValues:StringEquals"] == {"dynamodb:Attributes": VERSION}
    assert statement["Condition"]["StringEqualsIfExists"] == {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}


def test_the_code_reads_just_what_the_roles_allow_of_a_record():
    code = (ROOT / "shared/aws/src/dynamodb/records/versions.rs").read_text()
    (asked,) = re.findall(r'VERSION_ATTRIBUTES: &str = "([^"]+)"', code)
    assert asked.replace("#", "").split(", ") == VERSION


@pytest.mark.parametrize("source", SOURCES)
def test_queue_and_secret(source):
    queue, secret = f"{source}ChangeQueue", {"Ref": f"{source}SecretArn"}
    assert actions_on(f"{source}PollerRole", queue) == {"sqs:SendMessage"}
    # A fetcher that could send would be stopped by Lambda's guard against recursion.
    assert actions_on(f"{source}FetcherRole", queue) == {
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes",
    }  # fmt: skip
    for role in ROLES:
        readable = [each["Resource"] for each in statements(role) if "secretsmanager:GetSecretValue" in each["Action"]]
        own = role in (f"{source}PollerRole", f"{source}FetcherRole")
        assert readable == [[secret]] if own else [secret] not in readable


def test_only_the_watcher_publishes_metrics():
    publishers = [r for r in ROLES if any("cloudwatch:PutMetricData" in each["Action"] for each in statements(r))]
    assert publishers == ["WatcherRole"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_secret_under_a_key_of_its_own_can_be_read_by_its_source_alone(source):
    for role in ROLES:
        before, after = statements(role), statements(role, HasSecretKey=True)
        added = [each for each in after if each not in before and {"Ref": f"{source}SecretKmsKeyArn"} in each["Resource"]]
        if role not in (f"{source}PollerRole", f"{source}FetcherRole"):
            assert added == []
            continue
        (statement,) = added
        assert statement["Action"] == ["kms:Decrypt"]
        assert statement["Condition"] == {
            "StringEquals": {"kms:ViaService": {"Fn::Sub": "secretsmanager.${AWS::Region}.amazonaws.com"}}
        }


@pytest.mark.parametrize("role", ROLES)
def test_the_customer_key_is_used_through_services_only(role):
    for statement in statements(role, HasKey=True):
        if statement["Action"][0].startswith("kms:"):
            assert statement["Resource"] == [{"Ref": "KmsKeyArn"}]
            assert "kms:ViaService" in statement["Condition"]["StringEquals"]
    keyed = any(action.startswith("kms:") for each in statements(role, HasKey=True) for action in each["Action"])
    assert keyed is (role in MATRIX)
    assert not any(action.startswith("kms:") for each in statements(role) for action in each["Action"])


def test_what_the_local_cloud_loosens_is_loosened_nowhere_else():
    assert template()["Conditions"]["LocalCloud"] == {
        "Fn::Or": [
            {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "000000000000"]},
            {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "AWS::AccountId"]},
        ]
    }
    for source in SOURCES:
        for role in ("PollerRole", "FetcherRole"):
            local = statements(f"{source}{role}", LocalCloud=True)
            (batch_read,) = [each for each in local if each["Sid"] == "WhatIsStored"]
            assert "StringEqualsIfExists" not in batch_read["Condition"]
        assert actions_on(f"{source}PollerRole", f"{source}ChangeQueue", LocalCloud=True) == {
            "sqs:SendMessage", "sqs:SendMessageBatch",
        }  # fmt: skip
    assert source_template()["Conditions"]["NotLocal"] == {"Fn::Not": [{"Condition": "LocalCloud"}]}
