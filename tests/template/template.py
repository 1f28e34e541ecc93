"""The template as data, and what design and code say must be in it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

# The name of each source in the template, and the code's name for it.
NAMES = {
    "FieldMotion": "fieldmotion",
    "FieldAware": "fieldaware",
    "FsmNavigator": "fsmnavigator",
    "Fieldly": "fieldly",
}
# The streams that are polled: those of the records, but for a feed, which covers all of them.
POLLED = {"fieldaware": ("changes",)}
# Those whose list has to be read whole, because it takes no lower bound.
SCANNED = {
    "fsmnavigator": ("customers", "assets", "technicians", "inventory", "customer_locations", "service_records"),
}
TABLES = ("CheckpointsTable", "LedgerTable", "RecordsTable")


def streams_in_code(kind: str) -> tuple[str, ...]:
    """The streams that the source's code declares."""
    code = "".join(each.read_text() for each in sorted((ROOT / "shared/sources/src" / kind).glob("*.rs")))
    found = re.findall(r'(?:^ +|ObjectType \{ )stream: StreamName::known\("([a-z_]+)"\)', code, re.MULTILINE)
    assert found, f"no streams found in the code of {kind}"
    return tuple(found)


# Every source with its kind and its streams.
SOURCES = {name: (kind, POLLED.get(kind) or streams_in_code(kind)) for name, kind in NAMES.items()}


@cache
def template() -> dict[str, Any]:
    """The template as written, with short tags spelt out."""
    return yaml_parse((ROOT / "infra" / "template.yaml").read_text())


def conditions(**given: bool) -> dict[str, bool]:
    """Every condition of a deployment in AWS with all sources on, or as given."""
    usual = {name: True for name in template()["Conditions"]}
    return {**usual, "HasKey": False, "LocalCloud": False, **given}


def resolved(**given: bool) -> dict[str, Any]:
    """The resources that exist under these conditions, with every `Fn::If` decided."""
    truth = conditions(**given)
    return {
        name: decide(resource, truth)
        for name, resource in template()["Resources"].items()
        if "Condition" not in resource or truth[resource["Condition"]]
    }


NOTHING = object()


def decide(node: Any, truth: dict[str, bool]) -> Any:
    """Takes the branch of every `Fn::If` and drops what becomes `AWS::NoValue`."""
    if isinstance(node, dict):
        if set(node) == {"Fn::If"}:
            name, yes, no = node["Fn::If"]
            return decide(yes if truth[name] else no, truth)
        if node == {"Ref": "AWS::NoValue"}:
            return NOTHING
        decided = {key: decide(value, truth) for key, value in node.items()}
        return {key: value for key, value in decided.items() if value is not NOTHING}
    if isinstance(node, list):
        decided = [decide(each, truth) for each in node]
        return [each for each in decided if each is not NOTHING]
    return node


def of_type(kind: str, **given: bool) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by name."""
    return {name: each["Properties"] for name, each in resolved(**given).items() if each["Type"] == kind}


def functions() -> dict[str, dict[str, Any]]:
    """The properties of every function, by name."""
    return of_type("AWS::Serverless::Function")


def statements(role: str, **given: bool) -> list[dict[str, Any]]:
    """The permissions of a role, with actions and resources as lists."""
    policies = of_type("AWS::IAM::Role", **given)[role]["Policies"]
    return [
        {**each, "Action": listed(each["Action"]), "Resource": listed(each["Resource"])}
        for policy in policies
        for each in policy["PolicyDocument"]["Statement"]
    ]


def actions_on(role: str, resource: str, **given: bool) -> set[str]:
    """What a role may do to a resource of the template."""
    target = {"Fn::GetAtt": [resource, "Arn"]}
    return {
        action for each in statements(role, **given) if target in each["Resource"] for action in each["Action"]
    }


def listed(value: Any) -> list[Any]:
    """One or many, as many."""
    return value if isinstance(value, list) else [value]


def text_of(node: Any) -> str:
    """A dashboard body or another text built of `Fn::Join` and `Fn::Sub`, with 1 in place of every reference."""
    if isinstance(node, dict) and "Fn::Join" in node:
        separator, parts = node["Fn::Join"]
        return separator.join(text_of(part) for part in parts)
    if isinstance(node, dict) and "Fn::Sub" in node:
        return re.sub(r"\$\{[^}]+\}", "1", node["Fn::Sub"])
    assert isinstance(node, str), node
    return node


def local_parameters() -> dict[str, Any]:
    """The parameters of the local cloud."""
    return yaml_parse((ROOT / "local" / "parameters.yaml").read_text())


def default(parameter: str) -> Any:
    """The default of a parameter."""
    return template()["Parameters"][parameter]["Default"]


def dashboard(**given: bool) -> dict[str, Any]:
    """The dashboard's body."""
    return json.loads(text_of(resolved(**given)["Dashboard"]["Properties"]["DashboardBody"]))
