"""Rules of DynamoDB that MiniStack 1.5.33 does not know: `install` makes the emulator refuse what breaks them.

`tests/emulator` has a request for each rule, these and those that the emulator knows by itself.

Sources: Amazon DynamoDB Developer Guide, "Expressions" and "Quotas"; API Reference, the page of each operation
(read 2026-11-27).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ministack import app
from ministack.core.responses import error_response_json
from ministack.services import dynamodb

handle = app.SERVICE_HANDLERS["dynamodb"]
EXPRESSIONS = [f"{kind}Expression" for kind in ("Update", "Condition", "KeyCondition", "Filter", "Projection")]
OPERATORS_MAX = 300
STATEMENT_CHARACTERS_MAX = 8_192


def install() -> None:
    """Puts all of it into the emulator that runs in this process."""
    app.SERVICE_HANDLERS["dynamodb"] = checked


async def checked(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
    """Answers a request, if it keeps the rules."""
    if (broken := next(broken_rules(json.loads(body or b"{}")), None)) is not None:
        return error_response_json("ValidationException", broken, 400)
    return await handle(method, path, headers, body, query)


def broken_rules(request: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a request."""
    parts = request.get("RequestItems", {}).values()
    for part in (request, *(each for each in parts if isinstance(each, dict))):
        yield from placeholders(part)
    yield from update(request)
    names = request.get("ExpressionAttributeNames", {})
    table = dynamodb._tables.get(request.get("TableName", "")) or {}
    filtered = {names.get(word, word) for word in re.findall(r"[#\w]+", request.get("FilterExpression", ""))}
    if "KeyConditionExpression" in request and filtered & {table.get("pk_name"), table.get("sk_name")}:
        yield "Filter Expression can only contain non-primary key attributes"
    if any(holds_empty_set(each) for each in request.get("ExpressionAttributeValues", {}).values()):
        yield "One or more parameter values were invalid: An string set may not be empty"
    if any(not (each["Keys"] if isinstance(each, dict) else each) for each in parts):
        yield "The batch write request list for a table cannot be null or empty"
    statements = [each.get("Statement", "") for each in request.get("Statements", ())]
    if any(len(each) > STATEMENT_CHARACTERS_MAX for each in statements):
        yield f"Member must have length less than or equal to {STATEMENT_CHARACTERS_MAX}"


def placeholders(part: dict[str, Any]) -> Iterator[str]:
    """Names and values, all of which must be used and all of whose uses must be given."""
    used = {word for each in EXPRESSIONS for word in re.findall(r"[#:]\w+", part.get(each, ""))}
    given = {*part.get("ExpressionAttributeNames", ()), *part.get("ExpressionAttributeValues", ())}
    if used - given:
        yield f"An expression attribute name or value used is not defined: {sorted(used - given)}"
    if given - used:
        yield f"Value provided in ExpressionAttributeNames or Values unused in expressions: {sorted(given - used)}"


def update(request: dict[str, Any]) -> Iterator[str]:
    """An update's paths, none of which may be another or within another, and its operators."""
    expression = request.get("UpdateExpression", "")
    names = request.get("ExpressionAttributeNames", {})
    # The arguments of functions are values, as deep as they go.
    flat = expression
    while (outer := re.sub(r"\([^()]*\)", "", flat)) != flat:
        flat = outer
    clauses = re.split(r"(?<![#:\w])(?:SET|REMOVE|ADD|DELETE)\b", flat, flags=re.IGNORECASE)
    actions = [action for clause in clauses for action in clause.split(",") if action.strip()]
    targets = [re.findall(r"[#\w]+", re.split(r"\s", action.strip().replace("=", " "))[0]) for action in actions]
    paths = sorted([names.get(word, word) for word in target] for target in targets)
    for path, other in zip(paths, paths[1:], strict=False):
        if other[: len(path)] == path:
            yield f"Invalid UpdateExpression: Two document paths overlap with each other: {path}, {other}"
    if len(re.findall(r"[-+=(]", expression)) > OPERATORS_MAX:
        yield "Invalid UpdateExpression: The expression contains too many operators"


def holds_empty_set(value: dict[str, Any]) -> bool:
    """Whether a value is an empty set or has one in it."""
    ((kind, held),) = value.items()
    if kind in ("SS", "NS", "BS"):
        return not held
    parts = held.values() if kind == "M" else held if kind == "L" else ()
    return any(holds_empty_set(each) for each in parts)
