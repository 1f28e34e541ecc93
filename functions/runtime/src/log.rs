//! The log: JSON, one line an event, to standard output, where Lambda collects it.

use std::io::{self, Write};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::environment::Environment;

/// The runtime logs every failed invocation once more, without saying of which stream; `crate::start` logs it whole.
const SAID_ALREADY: &str = "lambda_runtime::layers::panic";

/// Where our own events come from, by how their targets begin.
const OURS: &str = "tidemark_";

/// Which events are logged: `TIDEMARK_LOG`, `info` unless it is set.
///
/// Events of other crates below `info` never are: the Lambda runtime and the AWS SDK write whole events and items there, which hold records.
pub fn filter(environment: &mut Environment) -> Targets {
    const VARIABLE: &str = "TIDEMARK_LOG";
    let default = || Targets::new().with_default(LevelFilter::INFO);
    let text = environment.given(VARIABLE).filter(|text| !text.is_empty());
    let filter = text.map_or_else(|| Ok(default()), |text| text.parse());
    let filter = filter.unwrap_or_else(|_| {
        let wanted = "a level (error, warn, info, debug, trace) or a list such as info,tidemark_engine=debug";
        environment.problem(VARIABLE, format!("is not right; set it to {wanted}"));
        default()
    });
    filter.with_target(SAID_ALREADY, LevelFilter::OFF)
}

/// What writes the events that pass `filter` to `writer`.
///
/// Each event becomes one JSON object on one line: whatever a vendor writes into a name or an error, control characters
/// are escaped, those included that only some programs take for the end of a line.
pub fn subscriber<W>(filter: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(Escaping(writer));
    tracing_subscriber::registry().with(lines.with_filter(filter.and(without_bodies())))
}

/// Lets through what cannot hold a record: all events of our own, and of others those from `info` on.
fn without_bodies() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target(OURS, LevelFilter::TRACE)
}

/// Makes writers that escape what JSON leaves as it is and a reader may take for a line's end.
struct Escaping<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Escaping<W> {
    type Writer = Escaped<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Escaped(self.0.make_writer())
    }
}

/// A writer that is given whole lines.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line)?;
        Ok(line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        match str::from_utf8(line) {
            Ok(text) if text.contains(ends_a_line) => self.0.write_all(escape(text).as_bytes()),
            _ => self.0.write_all(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Control characters beyond ASCII (a C1 code can also begin a terminal's command), and Unicode's two separators.
fn ends_a_line(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}')
}

/// The text with those characters written as JSON escapes. They stand inside strings only: outside of them the text is
/// ours.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if ends_a_line(c) {
            escaped.extend(['\\', 'u']);
            escaped
                .extend([12, 8, 4, 0].iter().filter_map(|shift| char::from_digit((u32::from(c) >> shift) & 0xf, 16)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Kept;

    fn logged(filter: Targets, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        tracing::subscriber::with_default(subscriber(filter, kept.clone()), log);
        kept.text()
    }

    fn filter_of(text: &str) -> (Targets, bool) {
        let mut environment = Environment::of([("TIDEMARK_LOG", text)]);
        let filter = filter(&mut environment);
        (filter, environment.finish(Some(())).is_ok())
    }

    #[test]
    fn nothing_that_a_vendor_writes_ends_a_line_or_moves_a_cursor() {
        let nasty = "a\nb\r\u{b}\u{c}\u{1b}[2J\u{85}\u{9b}2K\u{2028}\u{2029}\0\u{7f}\"}\n{\"level\":\"ERROR\"";
        let text = logged(Targets::new().with_default(LevelFilter::INFO), || {
            tracing::warn!(cause = nasty, shown = %nasty, "{nasty}");
        });
        assert_eq!(text.matches(|c: char| c.is_control() || ends_a_line(c)).collect::<String>(), "\n");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        for field in ["cause", "shown", "message"] {
            assert_eq!(line[field], nasty, "{field}");
        }
        assert_eq!(line["level"], "WARN");
    }

    #[test]
    fn fields_stand_at_the_top_of_the_object() {
        let text = logged(filter_of("").0, || tracing::info!(stream = "customers", calls_count = 2, "polled"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["stream"], &line["calls_count"]), (&"customers".into(), &2.into()));
        assert_eq!(line["message"], "polled");
    }

    #[test]
    fn other_crates_stay_at_info_whatever_is_asked_for() {
        for text in ["trace", "lambda_runtime=trace,aws_smithy_runtime=trace,hyper=trace,tidemark_engine=trace"] {
            let text = logged(filter_of(text).0, || {
                tracing::trace!(target: "lambda_runtime::layers::api_response", body = "canary", "event");
                tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "canary");
                tracing::debug!(target: "aws_smithy_runtime::client::retries", "canary");
                tracing::trace!(target: "hyper::proto::h1::io", "canary");
                tracing::trace!(target: "tidemark_engine::poll", "ours");
            });
            assert!(!text.contains("canary"), "{text}");
            assert_eq!(text.matches("ours").count(), 1, "{text}");
        }
        let text = logged(filter_of("trace").0, || {
            tracing::info!(target: "lambda_runtime", "others");
            for_each_of_ours();
        });
        assert_eq!((text.matches("others").count(), text.matches("ours").count()), (1, 3), "{text}");
    }

    fn for_each_of_ours() {
        tracing::trace!(target: "tidemark_poller::handler", "ours");
        tracing::trace!(target: "tidemark_fetcher::log", "ours");
        tracing::trace!(target: "tidemark_watcher", "ours");
    }

    #[test]
    fn the_filter_is_info_unless_told_otherwise() {
        for (text, good, seen) in
            [("", true, 1), ("debug", true, 2), ("warn,other=debug", true, 0), ("=loud=", false, 1)]
        {
            let (filter, is_good) = filter_of(text);
            assert_eq!(is_good, good, "{text}");
            let lines = logged(filter, || {
                tracing::info!("one");
                tracing::debug!("two");
                tracing::error!(target: "lambda_runtime::layers::panic", "said already");
            });
            assert_eq!(lines.lines().count(), seen, "{text}");
        }
    }
}
