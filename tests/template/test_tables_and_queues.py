"""What keeps the data: encrypted, recoverable, retained, and patient enough."""

import re

import pytest
from template import SOURCES, TABLES, default, local_parameters, of_type, resolved, template

FOURTEEN_DAYS = 14 * 24 * 3600


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_on_demand_recoverable_and_retained(table):
    resource = resolved()[table]
    # Of a first deployment that failed nothing is left.
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert resource["Properties"]["DeletionProtectionEnabled"] == {"Ref": "ProtectTables"}
    # No name: it would be the same in every stack of an account, and a table could not be replaced.
    assert "TableName" not in resource["Properties"]
    assert resource["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert resource["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_encrypted_with_the_given_key_or_one_that_aws_owns(table):
    with_key = of_type("AWS::DynamoDB::Table", HasKey=True)[table]["SSESpecification"]
    assert with_key == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KmsKeyArn"}}
    assert of_type("AWS::DynamoDB::Table")[table]["SSESpecification"] == {"SSEEnabled": False}


def test_keys_and_stream():
    tables = of_type("AWS::DynamoDB::Table")
    keys = {
        name: [(key["AttributeName"], key["KeyType"]) for key in each["KeySchema"]] for name, each in tables.items()
    }
    assert keys == {
        "CheckpointsTable": [("stream_key", "HASH")],
        "LedgerTable": [("partition", "HASH"), ("item", "RANGE")],
        "RecordsTable": [("partition", "HASH"), ("id", "RANGE")],
    }
    # Acts of operators and tombstones expire. What is owed does not: no chunk and no retry entry has the attribute.
    expiring = {name: each["TimeToLiveSpecification"] for name, each in tables.items() if "TimeToLiveSpecification" in each}
    expires = {"AttributeName": "expires_at", "Enabled": True}
    assert expiring == {"LedgerTable": expires, "RecordsTable": expires}
    assert tables["RecordsTable"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert not any("GlobalSecondaryIndexes" in each for each in tables.values())


@pytest.mark.parametrize("source", SOURCES)
def test_a_message_has_fourteen_days_and_eight_deliveries(source):
    queues = of_type("AWS::SQS::Queue")
    changes, dead = queues[f"{source}ChangeQueue"], queues[f"{source}DeadLetterQueue"]
    assert changes["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == FOURTEEN_DAYS
    assert changes["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [f"{source}DeadLetterQueue", "Arn"]},
        "maxReceiveCount": 8,
    }


def test_queues_are_encrypted():
    for queue in of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True and "KmsMasterKeyId" not in queue
    for queue in of_type("AWS::SQS::Queue", HasKey=True).values():
        assert queue["KmsMasterKeyId"] == {"Ref": "KmsKeyArn"} and "SqsManagedSseEnabled" not in queue


@pytest.mark.parametrize("source", SOURCES)
def test_queues_refuse_plain_http_everywhere_but_on_the_local_cloud(source):
    for queue in (f"{source}ChangeQueue", f"{source}DeadLetterQueue"):
        policy = of_type("AWS::SQS::QueuePolicy")[f"{queue}Policy"]
        assert policy["Queues"] == [{"Ref": queue}]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        # SQS refuses the policy of one queue that names another.
        assert statement["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}
        assert {"sqs:SendMessage", "sqs:ReceiveMessage"} <= set(statement["Action"])
    assert of_type("AWS::SQS::QueuePolicy", LocalCloud=True) == {}


@pytest.mark.parametrize("figures", [{}, local_parameters()], ids=["defaults", "local"])
def test_a_chunk_is_delivered_again_only_after_six_times_the_timeout(figures):
    def figure(name):
        return figures.get(name, default(name))

    assert figure("VisibilityTimeoutSeconds") >= 6 * figure("FetcherTimeoutSeconds")


def test_a_tombstone_lasts_longer_than_any_message():
    allowed = re.compile(template()["Parameters"]["DeletedRetentionDays"]["AllowedPattern"])
    days = [number for number in range(0, 10_001) if allowed.search(str(number))]
    assert days == [0, *range(15, 10_000)] and (days[1] - 1) * 24 * 3600 == FOURTEEN_DAYS
    assert int(default("DeletedRetentionDays")) == 30


@pytest.mark.parametrize("source", SOURCES)
def test_the_visibility_timeout_is_the_queues_own(source):
    queue = of_type("AWS::SQS::Queue")[f"{source}ChangeQueue"]
    assert queue["VisibilityTimeout"] == {"Ref": "VisibilityTimeoutSeconds"}
