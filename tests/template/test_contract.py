"""Names and defaults that deployments and documents rely on."""

import re

import pytest
from template import ROOT, SOURCES, default, template

SHARED = {
    "PollRate": "rate(5 minutes)",
    "ScanRate": "rate(1 hour)",
    "SweepRate": "rate(1 day)",
    "OverlapSeconds": 120,
    "StaleAfterSeconds": 900,
    "DeletedRetentionDays": "30",
    "PoisonPolicy": "block",
    "MaxConcurrency": 2,
    "FetcherTimeoutSeconds": 120,
    "VisibilityTimeoutSeconds": 720,
    "AlarmEmail": "",
    "PageTopicArn": "",
    "KmsKeyArn": "",
    "ProtectTables": "false",
    "ScheduleState": "ENABLED",
    "Architecture": "arm64",
}
PER_SOURCE = {"SecretArn": "", "SecretKmsKeyArn": "", "Streams": "all", "Settings": "{}", "RequestsPerSecond": 2}


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


def accepts(parameter, value):
    about = template()["Parameters"][parameter]
    return len(value) <= about.get("MaxLength", 4096) and re.fullmatch(about["AllowedPattern"], value) is not None


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ("{}", True),
        ("{ }", True),
        ('{"fields":{"assets":["id"]}}', True),
        ('{\n  "timezone": "Europe/Berlin"\n}', True),
        # What a shell makes of a value that is not quoted.
        ("{", False),
        ("{timezone:Europe/Berlin}", False),
        ('["jobs"]', False),
        ("", False),
        ('{"a":"' + "x" * 1600 + '"}', False),
    ],
)
def test_settings_are_a_json_object_that_fits(source, settings, accepted):
    assert accepts(f"{source}Settings", settings) is accepted


@pytest.mark.parametrize("parameter", ["PollRate", "ScanRate", "SweepRate"])
@pytest.mark.parametrize(
    ("rate", "accepted"),
    [
        ("rate(5 minutes)", True),
        ("rate(1 minute)", True),
        ("rate(12 hours)", True),
        ("cron(0/15 6-20 ? * MON-FRI *)", True),
        ("rate(10 days)", True),
        ("rate(0 minutes)", False),
        ("rate(1 minutes)", False),
        ("rate(5 minute)", False),
        ("rate(30 seconds)", False),
        ("rate(5minutes)", False),
        ("cron(0 6 * * *)", False),
        ("cron(...)", False),
        ("at(2030-01-01T00:00:00)", False),
        ("5 minutes", False),
    ],
)
def test_rates_are_those_of_the_scheduler(parameter, rate, accepted):
    assert accepts(parameter, rate) is accepted


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("arn", "accepted"),
    [
        ("", True),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:tidemark/fieldmotion-AbC12f", True),
        ("arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a-AbC12f", True),
        # Without the characters that Secrets Manager adds, the role's permission would not match.
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:tidemark/fieldmotion", False),
        ("tidemark/fieldmotion", False),
        ('{"api_key":"..."}', False),
    ],
)
def test_a_secret_is_named_by_its_whole_arn(source, arn, accepted):
    assert accepts(f"{source}SecretArn", arn) is accepted
