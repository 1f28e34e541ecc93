//! The one metric of poller and fetcher: `AttentionCount`, for what needs a decision of an operator.
//!
//! It travels in a log line, in CloudWatch's embedded metric format, so it costs no call and no permission. Its dimensions
//! are the stack and the source, so that its price does not grow with streams; stream, notice and next step are properties
//! of the same line, where the alarm's reader finds them.
//!
//! The value is 1 when a cause appears, and once a day while it lasts; otherwise it is 0. So its alarm ends within
//! minutes, and a lasting cause does not keep it from ringing for another one.
//!
//! Source: Amazon CloudWatch User Guide, "Embedded metric format specification" (read 2026-08-22).

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use metrics_cloudwatch_embedded::{Builder, Collector};
use tidemark_aws::cloudwatch::{NAMESPACE, SOURCE_DIMENSION, STACK_DIMENSION};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::notice::Notice;
use tidemark_engine::stream::StreamKey;
use tidemark_watch::advice;

use crate::causes::Causes;
use crate::log;
use crate::notice::Shown;

/// The metric's name, on which the template's alarm stands.
pub const METRIC: &str = "AttentionCount";

/// Where attention is asked for: standard output, in a function.
#[derive(Debug)]
pub struct Attention<W> {
    stack: String,
    out: Mutex<W>,
    causes: Mutex<Causes>,
}

impl<W: Write> Attention<W> {
    /// Asks there, for the deployment `stack`.
    pub fn new(stack: impl Into<String>, out: W) -> Self {
        Self { stack: stack.into(), out: Mutex::new(out), causes: Mutex::default() }
    }

    /// Writes one line for each notice that needs attention; most often there is none.
    ///
    /// A line that cannot be written is lost like every other line of the log.
    pub fn raise<'n>(&self, stream: &StreamKey, now: LocalMillis, notices: impl IntoIterator<Item = &'n Notice>) {
        for notice in notices.into_iter().filter(|notice| notice.needs_attention()) {
            let rings = self.causes.lock().unwrap_or_else(PoisonError::into_inner).rings(stream, notice, now);
            let written = line(&self.stack, stream, notice, rings).and_then(|line| self.write(&line).ok());
            if written.is_none() {
                let (source, stream) = (stream.source, &stream.name);
                tracing::error!(%source, %stream, notice = advice::of_notice(notice).name, "no metric was written");
            }
        }
    }

    fn write(&self, line: &str) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(line.as_bytes())?;
        out.flush()
    }
}

fn line(stack: &str, stream: &StreamKey, notice: &Notice, rings: bool) -> Option<String> {
    // Held until the line is written, so that two threads' properties do not mix.
    let collector = collector()?.lock().unwrap_or_else(PoisonError::into_inner);
    let advice = advice::of_notice(notice);
    collector
        .set_property("level", "WARN")
        .set_property("message", format!("attention: {} {}", stream, Shown(notice)))
        .set_property("notice", advice.name)
        .set_property("next_step", advice.next)
        .set_property("stream", stream.name.as_str());
    let dimensions = [(STACK_DIMENSION, stack.to_owned()), (SOURCE_DIMENSION, stream.source.to_string())];
    metrics::counter!(METRIC, &dimensions).increment(u64::from(rings));
    let mut line = Vec::with_capacity(512);
    collector.flush(&mut line).ok()?;
    Some(log::escape(&String::from_utf8(line).ok()?))
}

/// Created when it is first needed, because most processes never need it.
fn collector() -> Option<&'static Mutex<&'static Collector>> {
    static COLLECTOR: OnceLock<Option<Mutex<&'static Collector>>> = OnceLock::new();
    let made = || Builder::new().cloudwatch_namespace(NAMESPACE).emit_zeros(true).init().ok().map(Mutex::new);
    COLLECTOR.get_or_init(made).as_ref()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::*;
    use crate::kept::Kept;

    const NOW: LocalMillis = LocalMillis::new(1_800_000_000_000);

    fn raised(notices: &[Notice]) -> Vec<Value> {
        let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") };
        let kept = Kept::default();
        Attention::new("prod", kept.clone()).raise(&stream, NOW, notices);
        kept.lines()
    }

    #[test]
    fn what_needs_attention_counts_once_under_its_stack_and_source() {
        let mut lines = raised(&[Notice::Resync, Notice::FirstImport, Notice::ZoneDoubt(7)]);
        assert_eq!(lines.len(), 2);
        let timestamp = lines[1]["_aws"]["Timestamp"].take();
        assert!(timestamp.is_u64(), "{timestamp}");
        let directive = json!({
            "Timestamp": null,
            "CloudWatchMetrics": [
                {"Namespace": "Tidemark", "Dimensions": [["Stack", "Source"]], "Metrics": [{"Name": "AttentionCount"}]}
            ],
        });
        assert_eq!(
            lines[1],
            json!({
                "_aws": directive,
                "Stack": "prod",
                "Source": "fieldmotion",
                "AttentionCount": 1,
                "level": "WARN",
                "message": "attention: fieldmotion#jobs zone_doubt (7 ms)",
                "notice": "zone_doubt",
                "next_step": "compare the time zone in the source's settings with the vendor account's",
                "stream": "jobs",
            })
        );
    }

    #[test]
    fn a_standing_cause_has_its_line_and_counts_nothing() {
        let paused = [Notice::UnusableIds(1), Notice::UnusableIds(2), Notice::CredentialRejected];
        let lines = raised(&paused);
        let figures: Vec<_> = lines.iter().map(|line| (&line["notice"], &line["AttentionCount"])).collect();
        assert_eq!(
            figures,
            [
                (&json!("unusable_ids"), &json!(1)),
                (&json!("unusable_ids"), &json!(0)),
                (&json!("credential_rejected"), &json!(1))
            ]
        );
    }

    #[test]
    fn news_is_no_reason_to_ring() {
        let news = [
            Notice::FirstImport,
            Notice::Quarantined(9),
            Notice::ClockStep(60_000),
            Notice::DateMissing,
            Notice::BreakerOpened,
        ];
        assert!(raised(&news).is_empty());
    }
}
