//! How failures and successes of calls move the breaker that all functions of a source share.

use crate::breaker::{FAILURES_TO_OPEN, SourceState};
use crate::failure::{Afterwards, BreakerEffect, FailureClass, SourceFailure, StoreFailure, disposition};
use crate::poll::Notice;
use crate::ports::Ledger;
use crate::rule::Rule;
use crate::stamp::UtcMillis;
use crate::stream::StreamKey;

/// Counts `tries` failures in a row against the source and opens its breaker when it is time. Returns whether it did.
///
/// # Errors
/// Those of the ledger.
pub(crate) async fn note_failure<L: Ledger>(
    ledger: &L,
    stream: &StreamKey,
    state: &SourceState,
    failure: &SourceFailure,
    tries: u32,
    now: UtcMillis,
) -> Result<bool, StoreFailure> {
    if Rule::Breaker.is_left_out() {
        return Ok(false);
    }
    let opens = match disposition(failure.class).breaker {
        BreakerEffect::None => false,
        BreakerEffect::Opens => true,
        BreakerEffect::Counts => ledger.add_failures(stream.source, tries).await? >= FAILURES_TO_OPEN,
    };
    if opens {
        let retry_after = match failure.class {
            FailureClass::Throttled { retry_after } => retry_after,
            FailureClass::Transient
            | FailureClass::Unauthorized
            | FailureClass::Forbidden
            | FailureClass::Record
            | FailureClass::TokenRejected => None,
        };
        let open_for = state.breaker.next_open_for(retry_after);
        ledger.open_breaker(stream.source, now.plus(open_for), open_for, &failure.cause).await?;
    }
    Ok(opens)
}

/// What a person has to be told about the failure, besides the breaker.
pub(crate) fn notice_of(failure: &SourceFailure) -> Option<Notice> {
    if pauses_stream(failure) {
        return Some(Notice::StreamPaused);
    }
    (failure.class == FailureClass::Unauthorized).then_some(Notice::CredentialRejected)
}

/// Whether the failure is about the stream alone.
pub(crate) fn pauses_stream(failure: &SourceFailure) -> bool {
    disposition(failure.class).afterwards == Afterwards::PauseStream
}
