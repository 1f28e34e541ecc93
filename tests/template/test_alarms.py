"""Every alarm reaches the topic, says what it means, and rings for the right reason."""

import re

import pytest
from template import ROOT, SOURCES, dashboard, functions, of_type, resolved, template

ALARMS = of_type("AWS::CloudWatch::Alarm")
PER_SOURCE = {
    "Stale": ("Tidemark", "StalenessSeconds"),
    "Lag": ("Tidemark", "LagSeconds"),
    "Quarantine": ("Tidemark", "QuarantineCount"),
    "Attention": ("Tidemark", "AttentionCount"),
    "DeadLetter": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    "OldestMessage": ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
    "PollerErrors": ("AWS/Lambda", "Errors"),
    "FetcherErrors": ("AWS/Lambda", "Errors"),
}


def test_the_set_is_complete():
    expected = {"HeartbeatAlarm", "WatcherErrorsAlarm"}
    expected |= {f"{source}{name}Alarm" for source in SOURCES for name in PER_SOURCE}
    assert set(ALARMS) == expected


def test_the_runbook_has_every_section_that_an_alarm_names():
    named = {re.search(r"runbook\.md#([a-z-]+)$", each["AlarmDescription"]).group(1) for each in ALARMS.values()}
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    sections = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", runbook, re.MULTILINE)}
    assert named <= sections


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_rings_explains_itself_and_can_be_silenced(name):
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    # The end of a ring for attention is not the end of its cause.
    assert alarm.get("OKActions") == (None if name.endswith("AttentionAlarm") else alarm["AlarmActions"])
    assert re.search(r"See docs/runbook\.md#[a-z-]+$", alarm["AlarmDescription"])
    assert len(alarm["AlarmDescription"]) <= 1024
    assert "TreatMissingData" in alarm
    switch = template()["Resources"][name]["Properties"]["ActionsEnabled"]
    assert switch == {"Fn::If": ["SchedulesOn", True, False]}


def test_the_code_publishes_every_metric_that_an_alarm_or_the_dashboard_waits_for():
    waited_for = {alarm["MetricName"] for alarm in ALARMS.values() if alarm["Namespace"] == "Tidemark"}
    waited_for |= {
        metric[1]
        for widget in dashboard()["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Tidemark"
    }
    files = [*ROOT.glob("shared/aws/src/**/*.rs"), *ROOT.glob("functions/*/src/**/*.rs")]
    code = "".join(each.read_text() for each in files)
    assert [name for name in sorted(waited_for) if f'"{name}"' not in code] == []


@pytest.mark.parametrize("alarm", PER_SOURCE)
@pytest.mark.parametrize(("source", "kind"), [(source, kind) for source, (kind, _) in SOURCES.items()])
def test_what_a_source_is_watched_by(source, kind, alarm):
    found = ALARMS[f"{source}{alarm}Alarm"]
    assert (found["Namespace"], found["MetricName"]) == PER_SOURCE[alarm]
    if found["Namespace"] == "Tidemark":
        assert found["Dimensions"] == [{"Name": "Source", "Value": kind}]


def test_silence_of_the_watcher_is_a_failure():
    heartbeat = ALARMS["HeartbeatAlarm"]
    assert (heartbeat["Namespace"], heartbeat["MetricName"]) == ("Tidemark", "Heartbeat")
    assert heartbeat["TreatMissingData"] == "breaching"
    assert (heartbeat["Statistic"], heartbeat["ComparisonOperator"], heartbeat["Threshold"]) == (
        "SampleCount", "LessThanThreshold", 1,
    )  # fmt: skip
    assert "Dimensions" not in heartbeat


@pytest.mark.parametrize("source", SOURCES)
def test_thresholds(source):
    def rule(alarm):
        found = ALARMS[f"{source}{alarm}Alarm"]
        return found["Statistic"], found["ComparisonOperator"], found["Threshold"]

    assert rule("Stale") == ("Maximum", "GreaterThanThreshold", {"Ref": "StaleAfterSeconds"})
    assert rule("Lag") == ("Maximum", "GreaterThanThreshold", 24 * 3600)
    assert rule("Quarantine") == ("Maximum", "GreaterThanThreshold", 0)
    assert rule("Attention") == ("Sum", "GreaterThanThreshold", 0)
    assert rule("DeadLetter") == ("Maximum", "GreaterThanThreshold", 0)
    # At a deployment the watcher may come before the first poll.
    assert ALARMS[f"{source}StaleAlarm"]["EvaluationPeriods"] == 2
    # A cause that stands must not keep this alarm from ringing for the next one.
    attention = ALARMS[f"{source}AttentionAlarm"]
    assert (attention["Period"], attention["EvaluationPeriods"]) == (300, 1)
    dimension = {"Name": "QueueName", "Value": {"Fn::GetAtt": [f"{source}DeadLetterQueue", "QueueName"]}}
    assert ALARMS[f"{source}DeadLetterAlarm"]["Dimensions"] == [dimension]


def test_every_function_has_an_alarm_on_its_errors():
    watched = [
        alarm["Dimensions"][0]["Value"]["Ref"] for alarm in ALARMS.values() if alarm["Namespace"] == "AWS/Lambda"
    ]
    assert sorted(watched) == sorted(functions())


def test_the_topic_lets_cloudwatch_publish_and_is_not_under_the_managed_key():
    topic = resolved()["AlarmTopic"]
    assert "KmsMasterKeyId" not in topic.get("Properties", {})
    (statement,) = of_type("AWS::SNS::TopicPolicy")["AlarmTopicPolicy"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_mail_address_is_optional():
    assert of_type("AWS::SNS::Subscription")["AlarmMail"]["Endpoint"] == {"Ref": "AlarmEmail"}
    assert "AlarmMail" not in resolved(HasEmail=False)


def test_the_dashboard_is_json_with_every_source_on_or_off():
    off = dashboard(**{f"{source}On": False for source in SOURCES})
    everything = dashboard()
    assert len(everything["widgets"]) > len(off["widgets"]) > 0
    titles = {widget["properties"].get("title") for widget in everything["widgets"]}
    assert {"Per stream", "Staleness and lag (s)", "Function errors and throttles"} <= titles
