"""Forwards the changes of one stream to an HTTP endpoint, from the DynamoDB stream of Tidemark's records table.

`PUT ENDPOINT/ID` with the record's JSON as the vendor sent it, `DELETE ENDPOINT/ID` when it is gone. Both can be repeated.
`Fetched-At`, milliseconds since 1970, orders two versions of one record: an endpoint that keeps the largest is safe
whatever arrives late. A `DELETE` of a record whose item is gone has none: that is the last word.

An endpoint that cannot be reached, fails or asks to wait ends the batch with an error, and Lambda brings it again. A
record that the endpoint refuses would be refused again: its key goes to the queue, and the others go on.
"""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request

import boto3

try:
    from compression import zstd
except ImportError:  # Python before 3.14
    from backports import zstd

ENDPOINT = os.environ["ENDPOINT"].rstrip("/")
REFUSED_QUEUE = os.environ["REFUSED_QUEUE"]
# Answers of the 400s that ask to come again.
COME_AGAIN = {408, 425, 429}

sqs = boto3.client("sqs")


def handler(event, _context):
    """Forwards one batch, in the order of the stream: that of a record's versions."""
    for each in event["Records"]:
        change = each["dynamodb"]
        if request := request_of(change):
            forward(request, change["Keys"])


def request_of(change):
    """The request that a change asks for; none where the record is as it was."""
    old, new = change.get("OldImage", {}), change.get("NewImage")
    url = f"{ENDPOINT}/{urllib.parse.quote(change['Keys']['id']['S'], safe='')}"
    if new is None:
        return urllib.request.Request(url, method="DELETE")
    if old and all(old.get(name) == new.get(name) for name in ("hash", "deleted")):
        return None
    headers = {"Content-Type": "application/json", "Fetched-At": new["fetched_at_ms"]["N"]}
    if "deleted" in new:
        return urllib.request.Request(url, headers=headers, method="DELETE")
    return urllib.request.Request(url, body_of(new), headers, method="PUT")


def body_of(item):
    """The record's JSON; a large one is compressed."""
    if "body" in item:
        return item["body"]["S"].encode()
    return zstd.decompress(base64.b64decode(item["body_zstd"]["B"]))


def forward(request, keys):
    """Sends one request. Raises where it is worth another try."""
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as answer:
        if request.method == "DELETE" and answer.code in (404, 410):
            return  # it is not there, as it should be
        if not 400 <= answer.code < 500 or answer.code in COME_AGAIN:
            raise
        refused = {"partition": keys["partition"]["S"], "id": keys["id"]["S"], "status": answer.code}
        sqs.send_message(QueueUrl=REFUSED_QUEUE, MessageBody=json.dumps(refused))
