"""The template as data, and what design and code say must be in it.

`resolved` shows what a deployment would make: the shared resources, and those of every source that is on, which get the
source's name in front of theirs and the values that template.yaml gives their parameters.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from local.sources import KINDS, REGISTRY
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

# The name of each source in the template, and the code's name for it.
NAMES = {kind.prefix: kind.name for kind in KINDS.values()}
TABLES = ("CheckpointsTable", "LedgerTable", "RecordsTable")
# Every source with its kind and the names of its streams.
SOURCES = {name: (kind, tuple(each["name"] for each in REGISTRY[kind]["streams"])) for name, kind in NAMES.items()}


@cache
def template() -> dict[str, Any]:
    """The shared template as written, with short tags spelt out."""
    return yaml_parse((ROOT / "infra" / "template.yaml").read_text())


@cache
def source_template() -> dict[str, Any]:
    """The template of one source as written."""
    return yaml_parse((ROOT / "infra" / "source.yaml").read_text())


def conditions(**given: bool) -> dict[str, bool]:
    """Every condition of a deployment in AWS with all sources on, or as given."""
    usual = {name: True for name in (*template()["Conditions"], *source_template()["Conditions"])}
    # Streams are named, so that each has its schedule.
    off = {f"{name}All": False for name in NAMES}
    off |= {"HasKey": False, "HasSecretKey": False, "HasPageTopic": False, "LocalCloud": False}
    truth = {**usual, **off, **given}
    return {**truth, "NotLocal": not truth["LocalCloud"]}


@cache
def resolved(**given: bool) -> dict[str, Any]:
    """The resources that exist under these conditions, with every `Fn::If` decided."""
    truth = conditions(**given)
    resources = existing(template()["Resources"], truth)
    for name in NAMES:
        if resources.pop(name, None) is not None:
            resources |= of_source(name, truth)
    return resources


def existing(resources: dict[str, Any], truth: dict[str, bool]) -> dict[str, Any]:
    """Those whose condition holds."""
    return {
        name: decide(resource, truth)
        for name, resource in resources.items()
        if "Condition" not in resource or truth[resource["Condition"]]
    }


def of_source(name: str, truth: dict[str, bool]) -> dict[str, Any]:
    """The resources of a source, as its nested stack makes them."""
    given = decide(values(name), truth)
    has_schedules = {f"HasSchedule{n}": bool(given[f"Schedule{n}"]) for n in range(2, 10)}
    there = existing(source_template()["Resources"], {**truth, **has_schedules})
    return {f"{name}{each}": fill(resource, name, given) for each, resource in there.items()}


def values(name: str) -> dict[str, Any]:
    """What the parameters of a source's nested stack are given."""
    declared = {each: about.get("Default") for each, about in source_template()["Parameters"].items()}
    return {**declared, **template()["Resources"][name]["Properties"]["Parameters"]}


def fill(node: Any, name: str, given: dict[str, Any]) -> Any:
    """Puts the values of parameters and the source's name in front of resources into a part of the source's template."""
    own = source_template()["Resources"]
    if isinstance(node, list):
        return [fill(each, name, given) for each in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Ref"}:
        found = node["Ref"]
        return given[found] if found in given else {"Ref": f"{name}{found}" if found in own else found}
    if set(node) == {"Fn::GetAtt"}:
        resource, attribute = node["Fn::GetAtt"]
        return {"Fn::GetAtt": [f"{name}{resource}", attribute]}
    if set(node) == {"Fn::Sub"}:
        return substituted(node["Fn::Sub"], name, given)
    if set(node) == {"Fn::Split"}:
        separator, text = fill(node["Fn::Split"], name, given)
        return (text["Fn::Sub"] if isinstance(text, dict) else text).split(separator)
    if set(node) == {"Fn::Select"}:
        index, items = fill(node["Fn::Select"], name, given)
        reference = re.fullmatch(r"\$\{(\w+)\}", items[int(index)])
        return {"Ref": reference[1]} if reference else items[int(index)]
    return {key: fill(value, name, given) for key, value in node.items()}


TABLE_ARN = re.compile(r"arn:\$\{AWS::Partition\}:dynamodb:\$\{AWS::Region\}:\$\{AWS::AccountId\}:table/\$\{(\w+)\}")


def substituted(node: Any, name: str, given: dict[str, Any]) -> Any:
    """The text of an `Fn::Sub`, as far as it is known; the ARN of a table becomes its attribute."""
    text, more = node if isinstance(node, list) else (node, {})
    own = source_template()["Resources"]

    def put(found: re.Match[str]) -> str:
        word = found[1].split(".")[0]
        value = fill(more[word], name, given) if word in more else given.get(word)
        if value is None:
            return f"${{{name}{found[1]}}}" if word in own else found[0]
        return f"${{{value['Ref']}}}" if isinstance(value, dict) else str(value)

    text = re.sub(r"\$\{([^}]+)\}", put, text)
    if (arn := TABLE_ARN.fullmatch(text)) is not None:
        return {"Fn::GetAtt": [arn[1], "Arn"]}
    return {"Fn::Sub": text} if "${" in text else text


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
    return {name: each.get("Properties", {}) for name, each in resolved(**given).items() if each["Type"] == kind}


def functions() -> dict[str, dict[str, Any]]:
    """The properties of every function, by name."""
    return of_type("AWS::Lambda::Function")


def schedules(function: str, **given: bool) -> list[dict[str, Any]]:
    """The properties of every schedule that starts a function."""
    target = {"Fn::GetAtt": [function, "Arn"]}
    return [each for each in of_type("AWS::Scheduler::Schedule", **given).values() if each["Target"]["Arn"] == target]


def statements(role: str, **given: bool) -> list[dict[str, Any]]:
    """The permissions of a role, its own and those attached to it, with actions and resources as lists."""
    policies = [*of_type("AWS::IAM::Role", **given)[role].get("Policies", [])]
    attached = of_type("AWS::IAM::Policy", **given).values()
    policies += [policy for policy in attached if {"Ref": role} in policy["Roles"]]
    return [
        {**each, "Action": listed(each["Action"]), "Resource": listed(each["Resource"])}
        for policy in policies
        for each in policy["PolicyDocument"]["Statement"]
    ]


def actions_on(role: str, resource: str, **given: bool) -> set[str]:
    """What a role may do to a resource of the template."""
    target = {"Fn::GetAtt": [resource, "Arn"]}
    return {action for each in statements(role, **given) if target in each["Resource"] for action in each["Action"]}


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


def dashboards(**given: bool) -> dict[str, dict[str, Any]]:
    """The body of every dashboard."""
    found = of_type("AWS::CloudWatch::Dashboard", **given)
    return {name: json.loads(text_of(each["DashboardBody"])) for name, each in found.items()}
