"""What must not leave the records table: credentials, signatures, and what customers' records say.

The last file of this folder, so that it looks through what all the others have left behind.
"""

import json
import re

from boto3.dynamodb.types import Binary
from local.sources import zstd

# The vendor's generated customers have these in every e-mail address and mobile number; the rest are the tests' keys.
SECRETS = re.compile(
    r"0123456789abcdef0123456789abcdef|fedcba9876543210fedcba9876543210|api_key|_api_md5|_api_id"
    r"|@example\.com|4477009\d{5}|canary",
    re.I,
)
# What compressed values begin with.
ZSTD = bytes.fromhex("28b52ffd")


def shown(texts):
    """What of the secrets is found in the texts, with what is around it."""
    return [text[max(0, found.start() - 80) : found.end() + 20] for text in texts for found in SECRETS.finditer(text)]


def plain(value):
    """As text what JSON has no form for: of a compressed value what is in it."""
    if isinstance(value, Binary):
        packed = bytes(value)
        return zstd.decompress(packed).decode() if packed.startswith(ZSTD) else packed.hex()
    return [plain(each) for each in value] if isinstance(value, set) else str(value)


def test_no_log_ledger_checkpoint_or_message_shows_a_secret_or_a_record(stack):
    identity = stack.ids("customers")[70]
    stack.edit("customers", identity, email="canary@nowhere.test", notes="canary")
    with stack.deliveries_paused():
        stack.source.poll("customers")
        bodies = stack.take(1)
    for body in bodies:
        stack.send(body)
    stack.settle("customers")
    stack.cloud.watch()

    stored = [each["body"] for each in stack.source.records("customers").values()]
    assert len(shown(stored)) > 100, "the records themselves hold what is looked for"
    for function in ("fieldmotion-poller", "fieldmotion-fetcher", "watcher"):
        lines = stack.cloud.log(function)
        assert any('"level"' in line for line in lines), f"the log of the {function} is empty"
        assert shown(lines) == [], f"log of the {function}"
    assert shown(stack.messages) == [], "queue messages"
    for table in ("ledger", "checkpoints"):
        items = [json.dumps(each, default=plain) for each in stack.cloud.scan(table)]
        assert items, f"the {table} table is empty"
        assert shown(items) == [], f"items of the {table} table"
