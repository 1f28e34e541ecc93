"""Each function can do its own work and nothing else: a test that takes its role is refused the rest."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from local.cloud import FUNCTIONS, REGION
from stack import TRIAL

TRUST_ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def as_function(stack):
    """Clients that act in a function's role. Lambda alone may take these roles, so tests first let themselves in."""
    iam, sts, functions = (stack.cloud.client(name) for name in ("iam", "sts", "lambda"))
    credentials = {}

    def client(function, service):
        if function not in credentials:
            known = FUNCTIONS[function if function == "watcher" else f"fieldmotion-{function}"]
            found = functions.get_function_configuration(FunctionName=stack.cloud.outputs()[known])
            arn = found["Role"]
            iam.update_assume_role_policy(RoleName=arn.split("/")[-1], PolicyDocument=json.dumps(TRUST_ANYBODY))
            credentials[function] = sts.assume_role(RoleArn=arn, RoleSessionName=TRIAL)["Credentials"]
        taken = credentials[function]
        return boto3.client(
            service,
            endpoint_url=stack.cloud.url,
            region_name=REGION,
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
            config=Config(retries={"max_attempts": 0}, proxies={}),
        )

    return client


def outcome(call, **arguments):
    """`allowed`, or the code of the refusal."""
    try:
        call(**arguments)
    except ClientError as refused:
        return refused.response["Error"]["Code"]
    return "allowed"


REFUSED = ("AccessDeniedException", "AccessDenied")


def test_the_fetcher_cannot_touch_a_checkpoint(stack, as_function):
    tables, dynamodb = stack.cloud.outputs(), as_function("fetcher", "dynamodb")
    ledger = {"TableName": tables["LedgerTable"]}
    own = {"partition": {"S": "work#fieldmotion#customers"}, "item": {"S": "retry#nobody"}}
    assert outcome(dynamodb.get_item, **ledger, Key=own) == "allowed"

    checkpoints = {"TableName": tables["CheckpointsTable"]}
    key = {"stream_key": {"S": "fieldmotion#customers"}}
    before = stack.checkpoint("customers")
    assert outcome(dynamodb.put_item, **checkpoints, Item=key) in REFUSED
    assert outcome(dynamodb.delete_item, **checkpoints, Key=key) in REFUSED
    move = {"UpdateExpression": "SET version = :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    assert outcome(dynamodb.update_item, **checkpoints, Key=key, **move) in REFUSED
    assert outcome(dynamodb.scan, TableName=tables["RecordsTable"]) in REFUSED
    assert stack.checkpoint("customers") == before

    # Of its own table it may touch its own source's keys, and delete what is owed alone.
    foreign = {**own, "partition": {"S": "work#fieldly#clients"}}
    shared = {"partition": {"S": "source#fieldmotion"}, "item": {"S": "-"}}
    assert outcome(dynamodb.get_item, **ledger, Key=foreign) in REFUSED
    assert outcome(dynamodb.get_item, **ledger, Key=shared) == "allowed"
    assert outcome(dynamodb.delete_item, **ledger, Key=own) == "allowed"
    assert outcome(dynamodb.delete_item, **ledger, Key=shared) in REFUSED

    sqs = as_function("fetcher", "sqs")
    assert outcome(sqs.send_message, QueueUrl=stack.queue(), MessageBody="forged") in REFUSED


def test_the_fetcher_writes_records_without_reading_them(stack, as_function):
    records, dynamodb = stack.cloud.outputs()["RecordsTable"], as_function("fetcher", "dynamodb")
    before = stack.source.records("customers")
    identity = next(iter(before))
    key = {"partition": {"S": "fieldmotion#customers"}, "id": {"S": identity}}
    same = {"UpdateExpression": "SET body = body", "TableName": records, "Key": key}
    assert outcome(dynamodb.update_item, **same) == "allowed"
    assert outcome(dynamodb.update_item, **same, ReturnValues="ALL_OLD") in REFUSED
    assert outcome(dynamodb.update_item, **same | {"Key": {**key, "partition": {"S": "fieldly#clients"}}}) in REFUSED
    assert outcome(dynamodb.get_item, TableName=records, Key=key) in REFUSED

    batch = dynamodb.batch_execute_statement
    where = f"WHERE \"partition\"='fieldmotion#customers' AND id='{identity}'"
    assert outcome(batch, Statements=[{"Statement": f'UPDATE "{records}" SET body=body {where}'}]) == "allowed"
    returning = f'UPDATE "{records}" SET body=body {where} RETURNING ALL OLD *'
    for statement in (f'DELETE FROM "{records}" {where}', f'SELECT * FROM "{records}" {where}', returning):
        assert outcome(batch, Statements=[{"Statement": statement}]) in REFUSED
    foreign = f"INSERT INTO \"{records}\" VALUE {{'partition': 'fieldly#clients', 'id': 'forged'}}"
    assert outcome(batch, Statements=[{"Statement": foreign}]) in REFUSED
    assert stack.source.records("customers") == before


def test_the_poller_cannot_write_a_record_or_read_a_body(stack, as_function):
    records, dynamodb = stack.cloud.outputs()["RecordsTable"], as_function("poller", "dynamodb")
    before = stack.source.records("customers")
    key = {"partition": {"S": "fieldmotion#customers"}, "id": {"S": next(iter(before))}}
    assert outcome(dynamodb.put_item, TableName=records, Item=key) in REFUSED
    assert outcome(dynamodb.delete_item, TableName=records, Key=key) in REFUSED

    asked = {"ProjectionExpression": "#partition, id, deleted", "ExpressionAttributeNames": {"#partition": "partition"}}
    versions = {records: {"Keys": [key], **asked}}
    assert outcome(dynamodb.batch_get_item, RequestItems=versions) == "allowed"
    bodies = {records: {"Keys": [key], "ProjectionExpression": "id, body"}}
    assert outcome(dynamodb.batch_get_item, RequestItems=bodies) in REFUSED
    assert outcome(dynamodb.batch_get_item, RequestItems={records: {"Keys": [key]}}) in REFUSED
    assert outcome(dynamodb.get_item, TableName=records, Key=key) in REFUSED
    assert outcome(dynamodb.scan, TableName=records) in REFUSED
    forged = f"UPDATE \"{records}\" SET deleted=true WHERE \"partition\"='fieldmotion#customers' AND id='{next(iter(before))}'"
    assert outcome(dynamodb.batch_execute_statement, Statements=[{"Statement": forged}]) in REFUSED
    assert stack.source.records("customers") == before


def test_the_watcher_only_reads_progress(stack, as_function):
    tables, dynamodb = stack.cloud.outputs(), as_function("watcher", "dynamodb")
    key = {"stream_key": {"S": "fieldmotion#customers"}}
    assert outcome(dynamodb.get_item, TableName=tables["CheckpointsTable"], Key=key) == "allowed"
    assert outcome(dynamodb.put_item, TableName=tables["CheckpointsTable"], Item=key) in REFUSED
    assert outcome(dynamodb.scan, TableName=tables["RecordsTable"]) in REFUSED
    secrets = as_function("watcher", "secretsmanager")
    assert outcome(secrets.get_secret_value, SecretId="tidemark/fieldmotion") in REFUSED
    metrics, values = as_function("watcher", "cloudwatch"), [{"MetricName": "m", "Value": 1}]
    assert outcome(metrics.put_metric_data, Namespace="Tidemark", MetricData=values) == "allowed"
    assert outcome(metrics.put_metric_data, Namespace="Other", MetricData=values) in REFUSED
