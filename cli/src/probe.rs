//! Asking a source's poller to look at the vendor.

use serde_json::Value;
use tidemark_aws::Sdk;
use tidemark_aws::lambda::{Answer, invoke};
use tidemark_engine::stream::StreamKey;

use crate::failure::Failure;
use crate::stack::Stack;

/// What is said of an answer that cannot be read.
pub(crate) const UNKNOWN_ANSWER: &str =
    "the poller's answer is not known here\nnext: deploy poller and command of the same version";

/// What became of asking.
pub(crate) enum Asked {
    /// What the probe found.
    Found(Value),
    /// The vendor was not asked, because a pause is on.
    Paused {
        /// Whose.
        what: &'static str,
        /// What a person can do.
        next: String,
    },
}

/// Asks for a probe.
///
/// # Errors
/// [`Failure::Unreachable`] when the function may not be invoked, and [`Failure::NotDone`] when it failed.
pub(crate) async fn probe(sdk: &Sdk, stack: &Stack, key: &StreamKey, event: &Value) -> Result<Asked, Failure> {
    let poller = &stack.source(key.source)?.poller;
    let mut answer = match invoke(sdk, poller, event).await? {
        Answer::Returned(answer) => answer,
        Answer::Failed { kind, message } => {
            let log = stack.log(key.source, "poller");
            return Err(Failure::NotDone(format!("the poller failed ({kind}): {message}\nnext: {log}")));
        }
    };
    match answer.get("outcome").and_then(Value::as_str) {
        Some("probed") => Ok(Asked::Found(answer.get_mut("probe").map(Value::take).unwrap_or_default())),
        Some("paused_by_operator") => Ok(Asked::Paused {
            what: "a person has paused it, so the vendor was not asked",
            next: format!("tidemark status {} names the pause: tidemark resume ends it, or its time does", key.source),
        }),
        Some("breaker_open") => Ok(Asked::Paused {
            what: "the vendor has asked for a pause of all calls, so it was not asked",
            next: "wait until the pause is over, which `tidemark status` shows".to_owned(),
        }),
        _ => Err(Failure::NotDone(UNKNOWN_ANSWER.to_owned())),
    }
}
