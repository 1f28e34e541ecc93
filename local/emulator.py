"""Runs the emulator, as strict as AWS where our code depends on it, and with three repairs: `python -m local.emulator`.

When MiniStack 1.5.33 updates a nested stack, resources of it that do not change lose their attributes, and every
`Fn::GetAtt` on them fails from then on. Stacks that are not nested keep them. Here nested ones do, too.

It writes every change to a table's stream but those that a PartiQL statement makes. Here it writes these, too.

Of a table that CloudFormation has made, it describes deletion protection as a text. Here it is a truth value.
"""

from __future__ import annotations

import sys
from typing import Any

from ministack import app
from ministack.services import cloudformation, dynamodb
from ministack.services.cloudformation import provisioners

from local import permissions, rules

update = provisioners._update_resource
execute_statement = dynamodb._execute_statement
describe_table = dynamodb._describe_table
set_item = dynamodb._set_item
# What the statement that runs has changed: tables, the items before, and after. Requests to DynamoDB take turns.
changes: list[tuple[dict[str, Any], Any, Any]] | None = None


def update_keeping_attributes(
    kind: str, physical_id: str, old: Any, new: Any, stack: str, name: str | None = None, attributes: Any = None
) -> tuple[str, dict[str, Any]]:
    """Updates a resource. Attributes that are not given are those that the stack has of it."""
    if attributes is None:
        held = cloudformation._stacks.get(stack, {}).get("_resources", {}).get(name, {})
        attributes = held.get("Attributes")
    return update(kind, physical_id, old, new, stack, name, attributes)


def set_item_noting_it(table: dict[str, Any], partition: Any, sort: Any, item: Any) -> Any:
    """Stores an item."""
    before = set_item(table, partition, sort, item)
    if changes is not None:
        changes.append((table, before, item))
    return before


def execute_statement_streaming(request: dict[str, Any]) -> Any:
    """Runs a statement, and writes what it changed to the stream of its table."""
    global changes  # noqa: PLW0603
    changes = []
    try:
        answer = execute_statement(request)
        for table, before, item in changes:
            kind = "INSERT" if before is None else "MODIFY"
            dynamodb._emit_stream_event(table["TableName"], kind, before, item)
        return answer
    finally:
        changes = None


def describe_table_with_truth_values(request: dict[str, Any]) -> Any:
    """Describes a table."""
    table = dynamodb._tables.get(request.get("TableName"))
    protected = table and table.get("DeletionProtectionEnabled")
    if isinstance(protected, str):
        table["DeletionProtectionEnabled"] = protected == "true"
    return describe_table(request)


if __name__ == "__main__":
    provisioners._update_resource = update_keeping_attributes
    dynamodb._set_item = set_item_noting_it
    dynamodb._execute_statement = execute_statement_streaming
    dynamodb._describe_table = describe_table_with_truth_values
    permissions.install()
    rules.install()
    sys.exit(app.main())
