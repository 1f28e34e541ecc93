"""The emulator refuses what DynamoDB refuses, so that every suite that runs on it holds the adapters to AWS's rules.

Sources: Amazon DynamoDB Developer Guide, "Expressions" and "Quotas"; API Reference, the page of each operation
(read 2026-11-27).
"""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from local.cloud import REGION, ROOT_KEY

TABLE = "records"
KEY = {"partition": {"S": "a#b"}, "id": {"S": "1"}}
ITEM = {**KEY, "body": {"S": "{}"}}
X, Y = {"S": "x"}, {"N": "1"}


def keys(count):
    return [{"partition": {"S": "a#b"}, "id": {"S": str(number)}} for number in range(count)]


def update(expression, names, values=None, **more):
    asked = {"TableName": TABLE, "Key": KEY, "UpdateExpression": expression, "ExpressionAttributeNames": names, **more}
    return {**asked, **({"ExpressionAttributeValues": values} if values else {})}


def put(item, **more):
    return {"TableName": TABLE, "Item": item, **more}


def query(**more):
    asked = {
        "TableName": TABLE,
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "partition"},
        "ExpressionAttributeValues": {":p": {"S": "a#b"}},
    }
    return {**asked, **more}


def many(count):
    """An update of so many attributes."""
    names = {f"#n{number}": f"n{number}" for number in range(count)}
    return update("SET " + ", ".join(f"{alias} = :x" for alias in names), names, {":x": X})


def batch_get(wanted):
    return {"RequestItems": {TABLE: wanted}}


def batch_put(items):
    return {"RequestItems": {TABLE: [{"PutRequest": {"Item": item}} for item in items]}}


def statements(*texts, parameters=(X,)):
    return {"Statements": [{"Statement": text, "Parameters": list(parameters)} for text in texts]}


INSERT = f"INSERT INTO \"{TABLE}\" VALUE {{'partition': 'a#b', 'id': '%s', 'n': ?}}"
PATHS = {"#set": "n", "#m": "m", "#k": "k", "#l": "l"}
ACCEPTED = {
    "an update": ("update_item", update("SET #set = if_not_exists(#m.#k, :x) REMOVE #m.#k, #l[1]", PATHS, {":x": X})),
    "a put": ("put_item", put(ITEM)),
    "a query": ("query", query()),
    "a batch of 25 puts": ("batch_write_item", batch_put(keys(25))),
    "a batch of 100 keys": ("batch_get_item", batch_get({"Keys": keys(100)})),
}
REFUSED = {
    # Placeholders.
    "a value without a use": ("update_item", update("SET #n = :x", {"#n": "n"}, {":x": X, ":y": Y})),
    "a value whose name only begins another": ("update_item", update("SET #n = :xy", {"#n": "n"}, {":xy": X, ":x": X})),
    "a name without a use": ("update_item", update("SET #n = :x", {"#n": "n", "#m": "m"}, {":x": X})),
    "a name that only begins another": ("update_item", update("SET #nm = :x", {"#nm": "n", "#n": "m"}, {":x": X})),
    "a use without a value": ("update_item", update("SET #n = :y", {"#n": "n"}, {":x": X})),
    "a use without a name": ("update_item", update("SET #m = :x", {"#n": "n"}, {":x": X})),
    "values without an expression": ("put_item", put(ITEM, ExpressionAttributeValues={":x": X})),
    "a name of a projection without a use": (
        "batch_get_item",
        batch_get({"Keys": [KEY], "ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": "n", "#m": "m"}}),
    ),
    "a use in a projection without a name": (
        "batch_get_item",
        batch_get({"Keys": [KEY], "ProjectionExpression": "#m", "ExpressionAttributeNames": {"#n": "n"}}),
    ),
    "a reserved word as a name": ("update_item", update("SET hash = :x, #n = :x", {"#n": "n"}, {":x": X})),
    "a reserved word in a condition": (
        "put_item",
        put(ITEM, ConditionExpression="attribute_not_exists(partition)"),
    ),
    "a reserved word in a projection": ("query", query(ProjectionExpression="hash")),
    # Paths.
    "a path set twice": ("update_item", update("SET #n = :x, #n = :x", {"#n": "n"}, {":x": X})),
    "a path set and removed": ("update_item", update("SET #n = :x REMOVE #n", {"#n": "n"}, {":x": X})),
    "a path within another": ("update_item", update("SET #n = :x REMOVE #n.#m", {"#n": "n", "#m": "m"}, {":x": X})),
    "one attribute by two names": ("update_item", update("SET #n = :x REMOVE #m", {"#n": "n", "#m": "n"}, {":x": X})),
    "a key set by an update": ("update_item", update("SET #n = :x", {"#n": "id"}, {":x": X})),
    "a path projected twice": (
        "batch_get_item",
        batch_get({"Keys": [KEY], "ProjectionExpression": "#n, #n", "ExpressionAttributeNames": {"#n": "n"}}),
    ),
    "a filter on a key": ("query", query(FilterExpression="#p = :p")),
    # Values.
    "an empty set": ("put_item", put({**ITEM, "ids": {"SS": []}})),
    "an empty set in an expression": ("update_item", update("DELETE #n :x", {"#n": "n"}, {":x": {"SS": []}})),
    "an empty set in a batch": ("batch_write_item", batch_put([{**ITEM, "ids": {"SS": []}}])),
    "an empty set in a map": ("put_item", put({**ITEM, "m": {"M": {"ids": {"SS": []}}}})),
    "a set with one text twice": ("put_item", put({**ITEM, "ids": {"SS": ["1", "1"]}})),
    "an empty set in a statement": ("batch_execute_statement", statements(INSERT % 1, parameters=[{"SS": []}])),
    "an empty key": ("put_item", put({**ITEM, "id": {"S": ""}})),
    "a number of 39 digits": ("put_item", put({**ITEM, "n": {"N": "1" * 39}})),
    "a key without its second half": ("get_item", {"TableName": TABLE, "Key": {"partition": {"S": "a#b"}}}),
    "a key of another type": ("put_item", put({**ITEM, "id": {"N": "1"}})),
    # Sizes.
    "a partition key of 2,049 bytes": ("put_item", put({**ITEM, "partition": {"S": "x" * 2_049}})),
    "a sort key of 1,025 bytes": ("put_item", put({**ITEM, "id": {"S": "x" * 1_025}})),
    "an item of 400 KB and its key": ("put_item", put({**ITEM, "body": {"S": "x" * 400 * 1_024}})),
    "an update to 400 KB and more": ("update_item", update("SET #n = :x", {"#n": "n"}, {":x": {"S": "x" * 400 * 1_024}})),
    "an item of 400 KB in a batch": ("batch_write_item", batch_put([{**ITEM, "body": {"S": "x" * 400 * 1_024}}])),
    "an item of 400 KB in a statement": (
        "batch_execute_statement",
        statements(INSERT % 1, parameters=[{"S": "x" * 400 * 1_024}]),
    ),
    "an expression of more than 4 KB": ("update_item", many(400)),
    "a condition of more than 4 KB": ("put_item", put(ITEM, ConditionExpression=" OR ".join(["attribute_exists(n)"] * 200))),
    "a projection of more than 4 KB": ("query", query(ProjectionExpression=", ".join(f"n{each}" for each in range(900)))),
    "more than 300 operators in an expression": (
        "update_item",
        update("SET #n = :x" + " + :x" * 310, {"#n": "n"}, {":x": Y}),
    ),
    "a statement of more than 8,192 characters": ("batch_execute_statement", statements(INSERT % ("1" * 8_192))),
    # Batches.
    "a batch of 26 puts": ("batch_write_item", batch_put(keys(26))),
    "a batch of 101 keys": ("batch_get_item", batch_get({"Keys": keys(101)})),
    "a batch of 26 statements": ("batch_execute_statement", statements(*[INSERT % number for number in range(26)])),
    "an empty batch": ("batch_write_item", {"RequestItems": {TABLE: []}}),
    "a key twice in a batch of puts": ("batch_write_item", batch_put([ITEM, ITEM])),
    "a key twice in a batch of reads": ("batch_get_item", batch_get({"Keys": [KEY, KEY]})),
    # Answers.
    "a limit of nothing": ("query", query(Limit=0)),
    "new values of a delete": ("delete_item", {"TableName": TABLE, "Key": KEY, "ReturnValues": "ALL_NEW"}),
}


@pytest.fixture(scope="module")
def dynamodb(cloud):
    client = boto3.client(
        "dynamodb",
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_KEY,
        # The emulator is asked, not this client.
        config=Config(parameter_validation=False, retries={"max_attempts": 0}, proxies={}),
    )
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("partition", "id")],
        KeySchema=[{"AttributeName": "partition", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
    )
    client.put_item(**put({**ITEM, "m": {"M": {"k": X}}, "l": {"L": [X, X]}}))
    return client


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_dynamodb_takes_is_taken(dynamodb, case):
    operation, request = ACCEPTED[case]
    getattr(dynamodb, operation)(**request)


@pytest.mark.parametrize("case", REFUSED)
def test_what_dynamodb_refuses_is_refused(dynamodb, case):
    operation, request = REFUSED[case]
    try:
        answer = getattr(dynamodb, operation)(**request)
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "ValidationException"
    else:
        # A statement of a batch is refused by itself.
        assert answer.get("Responses") and all(each.get("Error") for each in answer["Responses"]), answer
