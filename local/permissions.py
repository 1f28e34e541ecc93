"""What AWS looks at to allow a call and the emulator does not: `install` makes the emulator look at it, too.

| AWS | MiniStack 1.5.33 |
|---|---|
| the partition keys of a request are `dynamodb:LeadingKeys` | does not know them |
| each table of a batch read has its own attributes and `dynamodb:Select` | takes every batch for one of all attributes |
| a statement needs the permission of its verb, such as `dynamodb:PartiQLUpdate` | checks the call that carries it |
| batches of SQS have the permission of one message | have actions of their own |
| `PutMetricData` of the Rust SDK is checked, with its namespace | is checked against no role |
| the calls about a table's stream have the stream as their resource | checks them for all resources |
| `DescribeAlarms` is checked, for all alarms of the account | is checked against no role |
| `GetAccountSettings` of Lambda is checked | is checked against no role |

Every call of a role is noted in the file that `TIDEMARK_CALLS` names: one line of JSON for each that differs, with the
statement that allowed it, or none. So tests see which grants are used, and which calls have none.

Sources: Amazon DynamoDB Developer Guide, "Using IAM policy conditions for fine-grained access control" and "IAM security
policies with PartiQL for DynamoDB"; Service Authorization Reference (read 2026-11-27).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import cbor2
from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb, dynamodb_streams

SINGLE = {f"sqs:{action}Batch": f"sqs:{action}" for action in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")}
ACCOUNT = "/account-settings"
METRICS = "/service/GraniteServiceVersion20100801/operation/"
ALARMS = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:*"

action_of = iam_actions.extract_iam_action
resource_of = iam_actions.extract_resource_arn
context_of = iam_actions.dynamodb_service_context
checks_of = iam_actions.dynamodb_transaction_checks
tags_of = iam_actions.request_tag_context
enforce = iam_evaluator.enforce
evaluate = iam_evaluator.evaluate
# Whether the next policies that are evaluated are those of the caller's role; those of a resource come after them.
is_of_role = ContextVar("is_of_role", default=False)
noted: set[str] = set()


def install() -> None:
    """Puts all of it into the emulator that runs in this process."""
    iam_actions.extract_iam_action = checked_action
    iam_actions.extract_resource_arn = checked_resource
    iam_actions.dynamodb_service_context = checked_context
    iam_actions.dynamodb_transaction_checks = checked_parts
    iam_actions.request_tag_context = checked_namespace
    iam_evaluator.enforce = enforcing
    iam_evaluator.evaluate = noting


def checked_action(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> str | None:
    """The action that a role needs for a call."""
    if service == "monitoring" and path.startswith(METRICS):
        return f"cloudwatch:{path.removeprefix(METRICS)}"
    if service == "lambda" and path.rstrip("/").endswith(ACCOUNT):
        return "lambda:GetAccountSettings"
    found = action_of(service, method, path, headers, body, query)
    return SINGLE.get(found, found)


def checked_resource(service: str, method: str, path: str, *request: Any) -> str:
    """The resource that a role needs the action on."""
    if path == f"{METRICS}DescribeAlarms":
        return ALARMS
    if path.startswith(METRICS) or path.rstrip("/").endswith(ACCOUNT):
        return "*"
    if service == "dynamodbstreams" and (stream := stream_of(request[1])):
        return stream
    return resource_of(service, method, path, *request)


def stream_of(body: bytes) -> str | None:
    """The stream of a table that a call names, by itself or in its iterator."""
    asked = json.loads(body or b"{}")
    iterator = asked.get("ShardIterator")
    if iterator is None:
        return asked.get("StreamArn")
    decoded = dynamodb_streams._decode_iterator(iterator)
    return decoded and decoded.get("arn")


def checked_namespace(service: str, action: str, body: bytes, query: dict[str, Any]) -> dict[str, Any]:
    """The condition keys of a call to publish metrics, and those of tags."""
    found = tags_of(service, action, body, query)
    if action == "cloudwatch:PutMetricData":
        is_json = body.startswith(b"{")
        asked = query if "Namespace" in query else json.loads(body) if is_json else cbor2.loads(body)
        found["cloudwatch:namespace"] = asked["Namespace"]
    return found


def checked_context(body: bytes) -> dict[str, Any]:
    """The condition keys of a call to DynamoDB."""
    request = json.loads(body or b"{}")
    found = {**context_of(body), "dynamodb:ReturnValues": request.get("ReturnValues", "NONE")}
    keys = {next(iter(key.values())) for key in leading_keys(request)}
    if keys:
        found["dynamodb:LeadingKeys"] = sorted(keys)
    reads = [each for each in request.get("RequestItems", {}).values() if isinstance(each, dict)]
    if reads:
        each = [context_of(json.dumps(read).encode()) for read in reads]
        attributes = {name for one in each for name in one.get("dynamodb:Attributes", ())}
        if attributes:
            found["dynamodb:Attributes"] = sorted(attributes)
        # One that asks for everything makes the call one that does.
        found["dynamodb:Select"] = min(one["dynamodb:Select"] for one in each)
    returning = [each for each in texts(request) if " RETURNING " in each.upper()]
    if returning:
        found["dynamodb:ReturnValues"] = re.split(r"\sRETURNING\s", returning[0], flags=re.IGNORECASE)[1]
    return found


def checked_parts(action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
    """The permissions that a call needs by its parts, each with the table: of transactions and of statements."""
    if action not in ("dynamodb:BatchExecuteStatement", "dynamodb:ExecuteStatement"):
        return checks_of(action, body, region, account)
    needed = {(each["op"].capitalize(), each["table"]) for each in parsed(json.loads(body))}
    table = iam_actions._dynamodb_table_arn
    return sorted((f"dynamodb:PartiQL{verb}", table(name, region, account)) for verb, name in needed)


def leading_keys(request: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The partition keys that a request names."""

    def of(table: str, item: Any) -> Iterator[dict[str, str]]:
        name = (dynamodb._tables.get(table) or {}).get("pk_name")
        if isinstance(item, dict) and name in item:
            yield item[name]

    for table, parts in request.get("RequestItems", {}).items():
        for part in parts.get("Keys", ()) if isinstance(parts, dict) else parts:
            yield from of(table, part.get("PutRequest", {}).get("Item") or part.get("DeleteRequest", {}).get("Key") or part)
    for statement in parsed(request):
        item = statement.get("item") or {}
        yield from of(statement["table"], item.get("M", item))
        yield from of(statement["table"], {name: value for name, how, value in statement["conditions"] if how == "="})
    table = request.get("TableName", "")
    yield from of(table, request.get("Key"))
    yield from of(table, request.get("Item"))
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    for name, value in re.findall(r"([#\w]+)\s*=\s*(:\w+)", request.get("KeyConditionExpression", "")):
        yield from of(table, {names.get(name, name): values.get(value)})


def texts(request: dict[str, Any]) -> list[str]:
    """The statements of a request."""
    return [each["Statement"] for each in (*request.get("Statements", ()), request) if "Statement" in each]


def parsed(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements of a request that can be read; DynamoDB refuses the others."""
    for each in (*request.get("Statements", ()), request):
        try:
            if "Statement" in each:
                yield dynamodb._parse_partiql(each["Statement"], each.get("Parameters", []))
        except ValueError:
            continue


def enforcing(*args: Any, **named: Any) -> Any:
    """Decides whether a call is allowed: first by the policies of the caller's role."""
    is_of_role.set(True)
    return enforce(*args, **named)


def noting(ctx: iam_evaluator.EvalContext, policies: list[Any], *limits: list[Any]) -> iam_evaluator.EvalResult:
    """Decides whether policies allow a call, and notes what a role's own say."""
    result = evaluate(ctx, policies, *limits)
    if is_of_role.get() and ctx.principal_type == "AssumedRole":
        role, session = ctx.principal_arn.split("/")[-2:]
        keys = {name.removeprefix("dynamodb:"): value for name, value in ctx.service_context.items() if value}
        line = json.dumps(
            {
                "role": role,
                "session": session,
                "action": ctx.action,
                "resource": ctx.resource_arn,
                "statement": result.matched_sid if result.decision == "Allow" else None,
                "keys": keys,
            },
            sort_keys=True,
        )
        if line not in noted:
            noted.add(line)
            with Path(os.environ["TIDEMARK_CALLS"]).open("a") as file:
                file.write(f"{line}\n")
    is_of_role.set(False)
    return result
