"""Makes the retained tables of a deleted stack the tables of a new one, so that nothing is imported from the vendors again.

    .venv/bin/python infra/adopt.py tidemark \\
      CheckpointsTable=<name> LedgerTable=<name> RecordsTable=<name> [KmsKeyArn=<arn>]

creates the stack `tidemark` with the three tables and nothing else; `sam deploy` with the same stack name then adds
the rest. CloudFormation changes no item of a table that it takes over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from samcli.yamlhelper import yaml_parse

TABLES = ("CheckpointsTable", "LedgerTable", "RecordsTable")
# What the tables' properties refer to.
PARAMETERS = ("KmsKeyArn", "ProtectTables")
CONDITIONS = ("HasKey",)
CHANGE_SET = "adopt"


def tables_alone() -> dict[str, Any]:
    """The template of a stack that holds the tables and nothing else, as an import wants it."""
    whole = yaml_parse((Path(__file__).parent / "template.yaml").read_text())
    return {
        "AWSTemplateFormatVersion": whole["AWSTemplateFormatVersion"],
        "Parameters": {name: whole["Parameters"][name] for name in PARAMETERS},
        "Conditions": {name: whole["Conditions"][name] for name in CONDITIONS},
        "Resources": {name: whole["Resources"][name] for name in TABLES},
    }


def adopt(cloudformation: Any, stack: str, given: dict[str, str]) -> None:
    """Creates the stack of these tables. Raises what CloudFormation answers when one is not there or taken already."""
    template = tables_alone()
    cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName=CHANGE_SET,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": given[key]} for key in PARAMETERS if key in given],
        ResourcesToImport=[
            {
                "ResourceType": "AWS::DynamoDB::Table",
                "LogicalResourceId": table,
                "ResourceIdentifier": {"TableName": given[table]},
            }
            for table in TABLES
        ],
    )
    named = {"StackName": stack, "ChangeSetName": CHANGE_SET}
    cloudformation.get_waiter("change_set_create_complete").wait(**named, WaiterConfig={"Delay": 2})
    cloudformation.execute_change_set(**named)
    cloudformation.get_waiter("stack_import_complete").wait(StackName=stack, WaiterConfig={"Delay": 2})


def main(arguments: list[str]) -> int:
    """Reads the command line."""
    stack, *pairs = arguments or [""]
    given = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if not stack or len(given) < len(pairs) or not set(TABLES) <= set(given) <= {*TABLES, *PARAMETERS}:
        print(__doc__, file=sys.stderr)
        return 2
    adopt(boto3.client("cloudformation"), stack, given)
    print(f"The stack {stack} has its tables. Deploy the rest: sam build && sam deploy --guided --stack-name {stack}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
