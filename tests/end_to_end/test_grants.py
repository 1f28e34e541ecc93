"""Each role has just the grants that its function calls: the calls of all tests here against the policies as deployed.

It runs last. Limits on keys and attributes count as grants of their own, so that none is wider than what is called.
"""

from fnmatch import fnmatchcase

import pytest
from local.cloud import FUNCTIONS
from stack import TRIAL

# What Lambda does in a function's role by itself, which is no call of the function's.
# Sources: AWS Lambda Developer Guide, "Sending Lambda function logs to CloudWatch Logs" and "Creating and configuring an
# Amazon SQS event source mapping" (read 2026-11-27).
BY_LAMBDA = {f"logs:{each}" for each in ("CreateLogStream", "PutLogEvents")}
BY_LAMBDA |= {f"sqs:{each}" for each in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}


def listed(value):
    """One or many, as many."""
    return value if isinstance(value, list) else [value]


def limits(statement):
    """What limits the keys and the attributes of a statement."""
    conditions = statement.get("Condition", {})
    keys = conditions.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
    return listed(keys), listed(conditions.get("ForAllValues:StringEquals", {}).get("dynamodb:Attributes", []))


def statements(cloud, role):
    """The statements of a role, as deployed, by name."""
    iam = cloud.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=role, PolicyName=each)["PolicyDocument"] for each in names]
    return {each["Sid"]: each for document in documents for each in document["Statement"]}


def granted(found):
    """The grants of statements: each action with each limit."""
    for sid, statement in found.items():
        keys, attributes = limits(statement)
        for action in {*listed(statement["Action"])} - BY_LAMBDA:
            yield from ((sid, action, limit) for limit in [*keys, *attributes] or [""])


def used(found, calls):
    """The grants that calls made use of."""
    for call in calls:
        keys, attributes = limits(found[call["statement"]])
        asked = {name: call["keys"].get(name, []) for name in ("leadingkeys", "attributes")}
        limited = [each for each in keys if any(fnmatchcase(key, each) for key in asked["leadingkeys"])]
        limited += [each for each in attributes if each in asked["attributes"]]
        yield from ((call["statement"], call["action"], limit) for limit in limited or [""])


def roles(cloud, kind):
    """The sources and the names of the roles of the functions of a kind."""
    for function, output in FUNCTIONS.items():
        if function.endswith(kind):
            found = cloud.client("lambda").get_function_configuration(FunctionName=cloud.outputs()[output])
            yield function.removesuffix(kind).rstrip("-"), found["Role"].split("/")[-1]


def functions_calls(cloud):
    """The calls that functions made themselves."""
    return [each for each in cloud.calls() if each["session"] != TRIAL]


@pytest.mark.parametrize("kind", ["poller", "fetcher", "watcher"])
def test_no_grant_is_left_that_nothing_calls(stack, kind):
    """Of the four sources together, whose roles are of one template."""
    grants, uses = set(), set()
    for source, role in roles(stack.cloud, kind):
        found = statements(stack.cloud, role)
        calls = [each for each in functions_calls(stack.cloud) if each["role"] == role and each["statement"]]
        for into, each in ((grants, granted(found)), (uses, used(found, calls))):
            into |= {(sid, action, limit.replace(source, "SOURCE") if source else limit) for sid, action, limit in each}
    assert grants - uses == set()


def test_no_call_of_a_function_is_refused(stack):
    assert [each for each in functions_calls(stack.cloud) if each["statement"] is None] == []
