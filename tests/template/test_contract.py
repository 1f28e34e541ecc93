"""Names and defaults that deployments and documents rely on."""

import re

import pytest
from template import ROOT, SOURCES, default, template

SHARED = {
    "PollRate": "rate(5 minutes)",
    "ScanRate": "rate(1 hour)",
    "OverlapSeconds": 120,
    "StaleAfterSeconds": 900,
    "PoisonPolicy": "block",
    "MaxConcurrency": 2,
    "FetcherTimeoutSeconds": 120,
    "VisibilityTimeoutSeconds": 720,
    "AlarmEmail": "",
    "KmsKeyArn": "",
    "ScheduleState": "ENABLED",
    "Architecture": "arm64",
}
PER_SOURCE = {"SecretArn": "", "Streams": "all", "Settings": "{}", "RequestsPerSecond": 2}


def test_parameters_and_their_defaults():
    expected = dict(SHARED)
    for source in SOURCES:
        expected |= {f"{source}{name}": value for name, value in PER_SOURCE.items()}
        expected[f"{source}BaseUrl"] = default(f"{source}BaseUrl")
    assert {name: default(name) for name in template()["Parameters"]} == expected


def test_the_address_of_fieldmotion_differs_per_account_and_has_no_default():
    assert default("FieldMotionBaseUrl") == ""
    rule = template()["Rules"]["FieldMotionNeedsAnAddress"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "FieldMotionSecretArn"}, ""]}]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "FieldMotionBaseUrl"}, ""]}]}


def test_an_address_that_is_the_same_for_every_account_is_the_default():
    assert default("FieldAwareBaseUrl") == "https://api.fieldaware.net"
    assert default("FsmNavigatorBaseUrl") == "https://fsmnavigator.com/api/v1"
    assert default("FieldlyBaseUrl") == "https://api.fieldly.com/api/public/v1"
    patterns = {source: template()["Parameters"][f"{source}BaseUrl"]["AllowedPattern"] for source in SOURCES}
    assert [source for source, pattern in patterns.items() if re.fullmatch(pattern, "")] == ["FieldMotion"]


def test_outputs():
    expected = {
        "CheckpointsTable", "LedgerTable", "RecordsTable", "RecordsStreamArn", "WatcherFunction", "AlarmTopicArn",
        "DashboardUrl",
    }  # fmt: skip
    for source in SOURCES:
        names = ("QueueUrl", "DeadLetterQueueUrl", "PollerFunction", "FetcherFunction")
        expected |= {f"{source}{name}" for name in names}
    assert set(template()["Outputs"]) == expected


def test_every_parameter_is_described_and_grouped():
    parameters = template()["Parameters"]
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert all(each["Description"] for each in parameters.values())
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)


def test_limits_of_numbers():
    parameters = template()["Parameters"]
    assert parameters["MaxConcurrency"]["MinValue"] == 2
    code = "".join(each.read_text() for each in ROOT.glob("shared/engine/src/**/*.rs"))
    (smallest,) = re.findall(r"OVERLAP_MIN: Duration = Duration::from_secs\((\d+)\)", code)
    assert parameters["OverlapSeconds"]["MinValue"] == int(smallest)
    assert parameters["PoisonPolicy"]["AllowedValues"] == ["block", "advance"]
    assert parameters["ScheduleState"]["AllowedValues"] == ["ENABLED", "DISABLED"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("https://cp13.fieldmotion.com", True),
        ("https://cp13.fieldmotion.com/a", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080/a", True),
        ("http://cp13.fieldmotion.com", False),
        ("https://user:password@cp13.fieldmotion.com", False),
        ("https://cp13.fieldmotion.com?key=1", False),
        ("ftp://cp13.fieldmotion.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost:8080@example.com", False),
    ],
)
def test_addresses_are_https_or_loopback(source, address, accepted):
    pattern = template()["Parameters"][f"{source}BaseUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, address)) is accepted


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_without_a_secret_is_off(source):
    assert template()["Conditions"][f"{source}On"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": f"{source}SecretArn"}, ""]}]}
    block = {name: each for name, each in template()["Resources"].items() if name.startswith(source)}
    assert block and all(each["Condition"].startswith(source) for each in block.values())
    outputs = {name: each for name, each in template()["Outputs"].items() if name.startswith(source)}
    assert all(each["Condition"] == f"{source}On" for each in outputs.values())
