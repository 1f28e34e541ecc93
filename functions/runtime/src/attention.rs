//! The one metric of poller and fetcher: `AttentionCount`, for what only a person can settle.
//!
//! It travels in a log line, in CloudWatch's embedded metric format, so it costs no call and no permission. Its only
//! dimension is the source, so that its price does not grow with streams; stream, run, notice and next step are
//! properties of the same line, where the alarm's reader finds them.
//!
//! Source: Amazon CloudWatch User Guide, "Embedded metric format specification" (read 2026-08-22).

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use metrics_cloudwatch_embedded::{Builder, Collector};
use tidemark_aws::cloudwatch::NAMESPACE;
use tidemark_engine::poll::Notice;
use tidemark_engine::stream::StreamKey;

use crate::log;
use crate::notice::{Shown, name, next_step};

/// The metric's name, on which the template's alarm stands.
pub const METRIC: &str = "AttentionCount";

/// Where attention is asked for: standard output, in a function.
#[derive(Debug, Default)]
pub struct Attention<W>(Mutex<W>);

impl<W: Write> Attention<W> {
    /// Asks there.
    pub fn new(out: W) -> Self {
        Self(Mutex::new(out))
    }

    /// Writes one line for each notice that needs attention; most often there is none.
    ///
    /// A line that cannot be written is lost like every other line of the log.
    pub fn raise(&self, stream: &StreamKey, run: Option<&str>, notices: &[Notice]) {
        for notice in notices.iter().filter(|notice| notice.needs_attention()) {
            let written = line(stream, run, notice).and_then(|line| self.write(&line).ok());
            if written.is_none() {
                let (source, stream) = (stream.source, &stream.name);
                tracing::error!(%source, %stream, notice = name(notice), "no metric was written");
            }
        }
    }

    fn write(&self, line: &str) -> io::Result<()> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(line.as_bytes())?;
        out.flush()
    }
}

fn line(stream: &StreamKey, run: Option<&str>, notice: &Notice) -> Option<String> {
    // Held until the line is written, so that two threads' properties do not mix.
    let collector = collector()?.lock().unwrap_or_else(PoisonError::into_inner);
    collector
        .set_property("level", "WARN")
        .set_property("message", format!("attention: {} {}", stream, Shown(notice)))
        .set_property("notice", name(notice))
        .set_property("next_step", next_step(notice))
        .set_property("run", run)
        .set_property("stream", stream.name.as_str());
    metrics::counter!(METRIC, "Source" => stream.source.as_str()).increment(1);
    let mut line = Vec::with_capacity(512);
    collector.flush(&mut line).ok()?;
    Some(log::escape(&String::from_utf8(line).ok()?))
}

/// Made when it is first needed, because most processes never do.
fn collector() -> Option<&'static Mutex<&'static Collector>> {
    static COLLECTOR: OnceLock<Option<Mutex<&'static Collector>>> = OnceLock::new();
    let made = || Builder::new().cloudwatch_namespace(NAMESPACE).init().ok().map(Mutex::new);
    COLLECTOR.get_or_init(made).as_ref()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::*;
    use crate::kept::Kept;

    fn raised(run: Option<&str>, notices: &[Notice]) -> Vec<Value> {
        let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") };
        let kept = Kept::default();
        Attention::new(kept.clone()).raise(&stream, run, notices);
        kept.lines()
    }

    #[test]
    fn what_needs_attention_counts_once_under_its_source_alone() {
        let mut lines = raised(Some("r1"), &[Notice::Resync, Notice::FirstImport, Notice::ZoneDoubt { behind_ms: 7 }]);
        assert_eq!(lines.len(), 2);
        let timestamp = lines[1]["_aws"]["Timestamp"].take();
        assert!(timestamp.is_u64(), "{timestamp}");
        let directive = json!({
            "Timestamp": null,
            "CloudWatchMetrics": [
                {"Namespace": "Tidemark", "Dimensions": [["Source"]], "Metrics": [{"Name": "AttentionCount"}]}
            ],
        });
        assert_eq!(
            lines[1],
            json!({
                "_aws": directive,
                "Source": "fieldmotion",
                "AttentionCount": 1,
                "level": "WARN",
                "message": "attention: fieldmotion#jobs zone_doubt (7 ms)",
                "notice": "zone_doubt",
                "next_step": "compare the time zone in the source's settings with the vendor account's",
                "run": "r1",
                "stream": "jobs",
            })
        );
    }

    #[test]
    fn no_run_is_left_over_from_an_earlier_line() {
        let _ = raised(Some("r1"), &[Notice::Resync]);
        assert_eq!(raised(None, &[Notice::Resync])[0]["run"], Value::Null);
    }

    #[test]
    fn news_is_no_reason_to_ring() {
        let news = [Notice::FirstImport, Notice::Quarantined { count: 9 }, Notice::DateMissing, Notice::BreakerOpened];
        assert!(raised(None, &news).is_empty());
    }
}
