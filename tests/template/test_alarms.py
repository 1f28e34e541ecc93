"""Every alarm reaches the topic, says what it means, and rings for the right reason."""

import json
import re

import pytest
from template import (
    NAMES, REGISTRY, ROOT, SOURCES, dashboards, functions, of_type, resolved, source_template, template, text_of,
)  # fmt: skip

ALARMS = of_type("AWS::CloudWatch::Alarm")
PAGED = of_type("AWS::CloudWatch::CompositeAlarm", HasPageTopic=True)
PER_SOURCE = {
    "Stale": ("Tidemark", "StalenessSeconds"),
    "Lag": ("Tidemark", "LagSeconds"),
    "Quarantine": ("Tidemark", "QuarantineCount"),
    "Attention": ("Tidemark", "AttentionCount"),
    "DeadLetter": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    "OldestMessage": ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
    "PollerErrors": ("AWS/Lambda", "Errors"),
    "FetcherErrors": ("AWS/Lambda", "Errors"),
    "PollerThrottles": ("AWS/Lambda", "Throttles"),
    "FetcherThrottles": ("AWS/Lambda", "Throttles"),
    "PollerDropped": ("AWS/Lambda", "AsyncEventsDropped"),
    "Sweep": ("Tidemark", "SweepProblems"),
}
SHARED = {"HeartbeatAlarm", "WatcherErrorsAlarm", "WatcherThrottlesAlarm", "WatcherDroppedAlarm"}
STACK = {"Name": "Stack", "Value": {"Ref": "AWS::StackName"}}


def runbook():
    """The quotation that each section of the runbook begins with, by the section's anchor."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = re.findall(r"^## (.+)\n\n((?:> .+\n)*)", text, re.MULTILINE)
    joined = lambda quoted: " ".join(line.removeprefix("> ") for line in quoted.splitlines())  # noqa: E731
    return {title.lower().replace(" ", "-"): joined(quoted) for title, quoted in sections}


def test_the_set_is_complete():
    assert set(ALARMS) == SHARED | {f"{source}{name}Alarm" for source in SOURCES for name in PER_SOURCE}


@pytest.mark.parametrize("name", [*ALARMS, *PAGED])
def test_an_alarm_says_what_its_section_of_the_runbook_begins_with(name):
    described = text_of(resolved(HasPageTopic=True)[name]["Properties"]["AlarmDescription"])
    text, anchor = re.fullmatch(r"(.+) See docs/runbook\.md#([a-z-]+)", described).groups()
    titles = "|".join(re.escape(known["title"]) for known in REGISTRY.values())
    who = re.match(rf"(?:(?:{titles})(?: poller| fetcher)?|Watcher): ", text)
    assert text.removeprefix(who[0] if who else "") == runbook()[anchor]
    assert bool(who) is (name != "HeartbeatAlarm")
    assert len(described) <= 1024


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_rings_and_can_be_silenced(name):
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    # The end of a ring for attention is not the end of its cause.
    assert alarm.get("OKActions") == (None if name.endswith("AttentionAlarm") else alarm["AlarmActions"])
    assert "TreatMissingData" in alarm
    assert alarm["ActionsEnabled"] is True
    assert of_type("AWS::CloudWatch::Alarm", SchedulesOn=False)[name]["ActionsEnabled"] is False


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_is_that_of_its_stack(name):
    assert ALARMS[name]["AlarmName"]["Fn::Sub"].startswith("${AWS::StackName}-")
    if ALARMS[name]["Namespace"] == "Tidemark":
        assert STACK in ALARMS[name]["Dimensions"]


def test_the_code_publishes_every_metric_that_an_alarm_or_a_dashboard_waits_for():
    waited_for = {alarm["MetricName"] for alarm in ALARMS.values() if alarm["Namespace"] == "Tidemark"}
    metrics = [
        metric
        for dashboard in dashboards().values()
        for widget in dashboard["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Tidemark"
    ]
    assert metrics and all(metric[2] == "Stack" for metric in metrics)
    waited_for |= {metric[1] for metric in metrics}
    files = [*ROOT.glob("shared/aws/src/**/*.rs"), *ROOT.glob("functions/*/src/**/*.rs")]
    code = "".join(each.read_text() for each in files)
    assert [name for name in sorted(waited_for) if f'"{name}"' not in code] == []


@pytest.mark.parametrize("alarm", PER_SOURCE)
@pytest.mark.parametrize(("source", "kind"), NAMES.items())
def test_what_a_source_is_watched_by(source, kind, alarm):
    found = ALARMS[f"{source}{alarm}Alarm"]
    assert (found["Namespace"], found["MetricName"]) == PER_SOURCE[alarm]
    if found["Namespace"] == "Tidemark":
        assert found["Dimensions"] == [STACK, {"Name": "Source", "Value": kind}]


@pytest.mark.parametrize("name", ALARMS)
def test_what_a_missing_metric_means(name):
    alarm = ALARMS[name]
    # Of our own the heartbeat says whether they are missing; attention has to end by itself. AWS's are there only with traffic.
    ours = {"Heartbeat": "breaching", "AttentionCount": "notBreaching"}.get(alarm["MetricName"], "ignore")
    assert alarm["TreatMissingData"] == (ours if alarm["Namespace"] == "Tidemark" else "notBreaching")


def test_silence_of_the_watcher_is_a_failure():
    heartbeat = ALARMS["HeartbeatAlarm"]
    assert (heartbeat["Namespace"], heartbeat["MetricName"]) == ("Tidemark", "Heartbeat")
    assert heartbeat["TreatMissingData"] == "breaching"
    assert (heartbeat["Statistic"], heartbeat["ComparisonOperator"], heartbeat["Threshold"]) == (
        "SampleCount", "LessThanThreshold", 1,
    )  # fmt: skip
    assert heartbeat["Dimensions"] == [STACK]
    # It would ring at a first deployment if it came before the watcher's first run, or be lost before the policy.
    assert template()["Resources"]["HeartbeatAlarm"]["DependsOn"] == ["AlarmTopicPolicy", "WatcherSchedule", "Dashboard"]
    body = str(template()["Resources"]["Dashboard"])
    assert all(f"${{{source}.Outputs.Dashboard}}" in body for source in SOURCES), "it comes after every source"


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


@pytest.mark.parametrize("metric", ["Errors", "Throttles", "AsyncEventsDropped"])
def test_every_function_has_its_alarms(metric):
    watched = [
        alarm["Dimensions"][0]["Value"]["Ref"]
        for alarm in ALARMS.values()
        if (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", metric)
    ]
    # Lambda reads the fetcher's queue itself: it is not started asynchronously, and no start of it can be dropped.
    expected = [each for each in functions() if metric != "AsyncEventsDropped" or not each.endswith("FetcherFunction")]
    assert sorted(watched) == sorted(expected)


@pytest.mark.parametrize("source", SOURCES)
def test_a_pager_hears_of_every_alarm_of_a_source(source):
    alarm = PAGED[f"{source}NeedsPersonAlarm"]
    expected = " OR ".join(f'ALARM("${{{source}{name}Alarm}}")' for name in PER_SOURCE)
    assert alarm["AlarmRule"] == {"Fn::Sub": expected}
    # Mails come from the single alarms.
    assert (alarm["AlarmActions"], "OKActions" in alarm) == ([{"Ref": "PageTopicArn"}], False)
    assert alarm["ActionsEnabled"] is True
    silenced = of_type("AWS::CloudWatch::CompositeAlarm", HasPageTopic=True, SchedulesOn=False)
    assert silenced[f"{source}NeedsPersonAlarm"]["ActionsEnabled"] is False


@pytest.mark.parametrize("name", ["HeartbeatAlarm", "WatcherErrorsAlarm"])
def test_a_pager_hears_of_a_watcher_that_is_silent_or_fails(name):
    alarm = of_type("AWS::CloudWatch::Alarm", HasPageTopic=True)[name]
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}, {"Ref": "PageTopicArn"}]


def test_a_run_that_was_given_up_is_not_said_to_be_throttled():
    texts = {name: alarm["AlarmDescription"] for name, alarm in ALARMS.items() if alarm["MetricName"] == "AsyncEventsDropped"}
    assert texts and all("runbook.md#dropped" in str(text) for text in texts.values())


def test_without_a_pager_nothing_is_paid_for_one():
    assert of_type("AWS::CloudWatch::CompositeAlarm") == {}


def test_the_bench_counts_what_is_paid_for_by_the_month():
    code = (ROOT / "shared" / "aws" / "src" / "prices.rs").read_text()

    def counted(name):
        """What a source has, and what all share."""
        found = re.search(rf"pub const {name}: \(f64, f64\) = \((\d+)\.0, (\d+)\.0\);", code)
        return int(found[1]), int(found[2])

    ours = [(each["MetricName"], len(each["Dimensions"])) for each in ALARMS.values() if each["Namespace"] == "Tidemark"]
    shown = [metric for each in dashboards().values() for widget in each["widgets"] for metric in widget["properties"].get("metrics", [])]
    ours += [(metric[1], 2 if "Source" in metric else 1) for metric in shown if metric[0] == "Tidemark"]
    assert counted("METRICS") == tuple(len({name for name, count in ours if count == wanted}) for wanted in (2, 1))
    assert counted("ALARMS") == (len(PER_SOURCE), len(SHARED))
    memory = {name: float(found) for name, found in re.findall(r"const (POLLER|FETCHER|WATCHER)_GB: f64 = ([0-9.]+);", code)}
    functions = of_type("AWS::Serverless::Function") | of_type("AWS::Lambda::Function")
    assert len(memory) == 3 and functions
    for name, function in functions.items():
        (kind,) = [kind for kind in memory if kind.lower() in name.lower()]
        assert function["MemorySize"] == memory[kind] * 1024, name
    assert counted("DASHBOARDS") == (1, len(dashboards()) - len(SOURCES))


def test_the_topic_lets_cloudwatch_publish_and_is_under_your_own_key_or_none():
    # Under the key that AWS manages CloudWatch could not publish.
    assert "KmsMasterKeyId" not in of_type("AWS::SNS::Topic")["AlarmTopic"]
    assert of_type("AWS::SNS::Topic", HasKey=True)["AlarmTopic"] == {"KmsMasterKeyId": {"Ref": "KmsKeyArn"}}
    (statement,) = of_type("AWS::SNS::TopicPolicy")["AlarmTopicPolicy"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_mail_address_is_optional():
    assert of_type("AWS::SNS::Subscription")["AlarmMail"]["Endpoint"] == {"Ref": "AlarmEmail"}
    assert "AlarmMail" not in resolved(HasEmail=False)


def test_dashboards_are_json_with_every_source_on_or_off():
    off = dashboards(**{f"{source}On": False for source in SOURCES})
    assert set(off) == {"Dashboard"} and off["Dashboard"]["widgets"]
    everything = dashboards()
    assert set(everything) == {"Dashboard"} | {f"{source}Dashboard" for source in SOURCES}
    for source in SOURCES:
        widgets = everything[f"{source}Dashboard"]["widgets"]
        titles = {widget["properties"].get("title") for widget in widgets}
        assert {"Per stream", "Staleness and lag (s)", "Function errors, throttles, dropped starts"} <= titles
        (alarms,) = [widget for widget in widgets if widget["type"] == "alarm"]
        assert len(alarms["properties"]["alarms"]) == len(PER_SOURCE)
    links = everything["Dashboard"]["widgets"][-1]["properties"]["markdown"]
    assert all(f"[{known['title']}]" in links for known in REGISTRY.values())
    assert source_template()["Outputs"]["Dashboard"]["Value"] == {"Ref": "Dashboard"}


@pytest.mark.parametrize(("source", "kind"), NAMES.items())
def test_a_dashboard_shows_what_the_alarms_of_its_source_watch(source, kind):
    text = of_type("AWS::CloudWatch::Dashboard")[f"{source}Dashboard"]["DashboardBody"]["Fn::Sub"]
    for name in PER_SOURCE:
        alarm = ALARMS[f"{source}{name}Alarm"]
        values = [next(iter(each["Value"].values())) if isinstance(each["Value"], dict) else each["Value"] for each in alarm["Dimensions"]]
        values = [f"{value[0]}.{value[1]}" if isinstance(value, list) else value for value in values]
        values = [value if value == kind else f"${{{value}}}" for value in values]
        shown = [each for pair in zip((each["Name"] for each in alarm["Dimensions"]), values, strict=True) for each in pair]
        assert json.dumps([alarm["Namespace"], alarm["MetricName"], *shown], separators=(",", ":"))[:-1] in text, name


@pytest.mark.parametrize(("source", "kind"), NAMES.items())
def test_a_dashboard_shows_how_each_stream_stands_by_the_lines_of_the_watcher(source, kind):
    text = of_type("AWS::CloudWatch::Dashboard")[f"{source}Dashboard"]["DashboardBody"]["Fn::Sub"]
    (query,) = re.findall(r'"title":"Per stream".*?"query":\s*"([^"]+)"', text, re.DOTALL)
    log_group = of_type("AWS::Logs::LogGroup")["WatcherLogGroup"]["LogGroupName"]["Fn::Sub"]
    assert query.startswith(f"SOURCE '{log_group}' | filter `source` = '{kind}' and ")
    code = (ROOT / "functions" / "watcher" / "src" / "log.rs").read_text()
    fields = {*re.findall(r"(?:latest|ispresent)\((\w+)\)", query), *re.findall(r" by (\w+)", query)} - {"message"}
    assert len(fields) > 4 and [field for field in sorted(fields) if not re.search(rf"\b{field} = ", code)] == []
