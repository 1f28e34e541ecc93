"""Least privilege: what no role may ever do to a table, a queue or a secret.

That a role has no grant that its function does not call, and every grant that it calls, is held by the calls themselves:
`tests/end_to_end/test_grants.py`.
"""

import pytest
from template import SOURCES, actions_on, functions, of_type, source_template, statements, template

# The most that each function's role may do to each table. What writes records cannot read a body; what moves checkpoints
# cannot delete what is owed.
LIMITS = {
    "PollerRole": {
        "CheckpointsTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "LedgerTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"},
        "RecordsTable": {"dynamodb:BatchGetItem", "dynamodb:Query"},
    },
    "FetcherRole": {
        "CheckpointsTable": set(),
        "LedgerTable": {"dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"},
        "RecordsTable": {f"dynamodb:{each}" for each in ("BatchGetItem", "UpdateItem", "PartiQLInsert", "PartiQLUpdate")},
    },
    "WatcherRole": {
        "CheckpointsTable": {"dynamodb:GetItem"},
        "LedgerTable": {"dynamodb:GetItem", "dynamodb:Query"},
        "RecordsTable": set(),
    },
    "ScheduleRole": {"CheckpointsTable": set(), "LedgerTable": set(), "RecordsTable": set()},
}
# What tells versions of a record apart. The body is not among it.
VERSION = ["partition", "id", "last_edited", "fetched_at_ms", "seen_at_ms", "hash", "deleted"]
ROLES = sorted(of_type("AWS::IAM::Role"))


def kind_of(role):
    """Whose role it is."""
    (kind,) = [each for each in LIMITS if role.endswith(each)]
    return kind


@pytest.mark.parametrize("role", ROLES)
def test_no_role_goes_beyond_its_limits(role):
    for table, limit in LIMITS[kind_of(role)].items():
        assert actions_on(role, table) <= limit


@pytest.mark.parametrize("source", SOURCES)
def test_no_write_of_a_record_answers_with_it(source):
    records = {"Fn::GetAtt": ["RecordsTable", "Arn"]}
    for statement in (each for each in statements(f"{source}FetcherRole") if records in each["Resource"]):
        # An insert never answers with what was there.
        if set(statement["Action"]) - {"dynamodb:BatchGetItem", "dynamodb:PartiQLInsert"}:
            assert statement["Condition"]["StringEqualsIfExists"] == {"dynamodb:ReturnValues": "NONE"}


@pytest.mark.parametrize("given", [{}, {"HasKey": True}, {"LocalCloud": True}], ids=str)
@pytest.mark.parametrize("role", ROLES)
def test_no_wildcards(role, given):
    for statement in statements(role, **given):
        assert not any("*" in action for action in statement["Action"]), statement
        if "*" in statement["Resource"]:
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
                allowed = set(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
                # What a source's functions share is not deleted, nor put in place of what is there.
                shared = {"dynamodb:GetItem", "dynamodb:UpdateItem"} >= set(statement["Action"])
                assert allowed <= set(keys if shared else keys[:1])


@pytest.mark.parametrize("role", ["PollerRole", "FetcherRole"])
@pytest.mark.parametrize("source", SOURCES)
def test_of_a_record_only_what_tells_its_versions_apart_is_read(source, role):
    (statement,) = [each for each in statements(f"{source}{role}") if "dynamodb:BatchGetItem" in each["Action"]]
    sweeps = ["dynamodb:Query"] if role == "PollerRole" else []
    assert statement["Action"] == ["dynamodb:BatchGetItem", *sweeps]
    assert statement["Condition"]["ForAllValues:StringEquals"] == {"dynamodb:Attributes": VERSION}
    assert statement["Condition"]["StringEqualsIfExists"] == {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}
    # A read that names no attributes has all of them, and "all values" holds for none, too.
    assert statement["Condition"]["Null"] == {"dynamodb:Attributes": "false"}


@pytest.mark.parametrize("source", SOURCES)
def test_queue_and_secret(source):
    queue, secret = f"{source}ChangeQueue", {"Ref": f"{source}SecretArn"}
    assert actions_on(f"{source}PollerRole", queue) == {"sqs:SendMessage"}
    # A fetcher that could send would be stopped by Lambda's guard against recursion.
    assert actions_on(f"{source}FetcherRole", queue) == {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
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
    assert keyed is not role.endswith("ScheduleRole")
    assert not any(action.startswith("kms:") for each in statements(role) for action in each["Action"])


def test_what_the_local_cloud_loosens_is_loosened_nowhere_else():
    assert template()["Conditions"]["LocalCloud"] == {
        "Fn::Or": [
            {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "000000000000"]},
            {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "AWS::AccountId"]},
        ]
    }
    for role in ROLES:
        assert statements(role, LocalCloud=True) == statements(role)
    assert source_template()["Conditions"]["NotLocal"] == {"Fn::Not": [{"Condition": "LocalCloud"}]}
