//! What can go wrong with a call, and the one table of what that means.

use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;
use tidemark_engine::failure::{FailureClass, SourceFailure};

/// What a call is for: whether its failure can be one record's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It lists changes.
    List,
    /// It fetches one record.
    Detail,
}

/// A call without a usable answer. Shows no address, header or body: they may hold credentials or personal data.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    /// There is no client to call with.
    #[error("the HTTPS client could not be set up; does this system have a set of trusted certificates?")]
    NoClient(#[source] reqwest::Error),
    /// No connection, or no trust in who is at its other end.
    #[error("the vendor could not be reached over a trusted connection")]
    Unreachable(#[source] reqwest::Error),
    /// The whole exchange took longer than it may.
    #[error("the vendor did not answer in time")]
    Late(#[source] reqwest::Error),
    /// The answer ended too early, or was not what its headers promised.
    #[error("the vendor's answer was cut short or garbled on its way")]
    Broken(#[source] reqwest::Error),
    /// The answer's headers are larger than they may be.
    #[error("the vendor's answer has more than {HEADER_KIB_MAX} KiB of headers")]
    HeadersTooLarge,
    /// The answer is larger than it may be, after decompression.
    #[error("the vendor's answer has more than {bytes_max} bytes")]
    TooLarge {
        /// How large it may be.
        bytes_max: usize,
    },
    /// A redirect. It is never followed: another host would be sent the credential or the signed body.
    #[error("the vendor answered with status {0}, a redirect, which is refused; compare the base URL")]
    Redirect(StatusCode),
    /// Any other status but success.
    #[error("the vendor answered with status {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// How long the vendor asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The vendor said before that it allows no more calls for now, so it was not called.
    #[error("the vendor allows no more calls for now, so it was not called")]
    Spent {
        /// How long until it allows them again.
        retry_after: Duration,
    },
}

/// How large an answer's headers may be, in KiB.
pub(super) const HEADER_KIB_MAX: usize = 32;

impl Problem {
    /// Names a transport error by when it happened.
    pub(super) fn of(error: reqwest::Error) -> Self {
        // The address would show in the text; it may hold a record's id.
        let error = error.without_url();
        if error.is_timeout() {
            Self::Late(error)
        } else if error.is_connect() {
            Self::Unreachable(error)
        } else {
            Self::Broken(error)
        }
    }

    /// What the problem means: the one table of it, for every vendor.
    ///
    /// A 404 or 410 is [`FailureClass::Forbidden`] here, "there is no such function". A source whose addresses name
    /// records reads it as "gone" before it comes to this table.
    pub(crate) fn class(&self, purpose: Purpose) -> FailureClass {
        match self {
            Self::NoClient(_)
            | Self::Unreachable(_)
            | Self::Late(_)
            | Self::Broken(_)
            | Self::HeadersTooLarge
            | Self::Redirect(_) => FailureClass::Transient,
            Self::TooLarge { .. } => record_if_detail(purpose),
            Self::Spent { retry_after } => FailureClass::Throttled { retry_after: Some(*retry_after) },
            Self::Status { status, retry_after } => match *status {
                StatusCode::UNAUTHORIZED => FailureClass::Unauthorized,
                StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => FailureClass::Forbidden,
                StatusCode::TOO_MANY_REQUESTS => FailureClass::Throttled { retry_after: *retry_after },
                StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => {
                    FailureClass::Throttled { retry_after: *retry_after }
                }
                StatusCode::REQUEST_TIMEOUT => FailureClass::Transient,
                // A list that is refused as it is asked for does not go away by asking again.
                status if status.is_client_error() && purpose == Purpose::List => FailureClass::Forbidden,
                StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => {
                    FailureClass::Record
                }
                _ => FailureClass::Transient,
            },
        }
    }

    /// The failure that the engine sees; `call` names the function or address pattern, never a record.
    pub(crate) fn into_failure(self, call: &str, purpose: Purpose) -> SourceFailure {
        let class = self.class(purpose);
        let cause = format!("{call}: {self}");
        match self {
            Self::NoClient(error) | Self::Unreachable(error) | Self::Late(error) | Self::Broken(error) => {
                SourceFailure::caused(class, cause, error)
            }
            Self::HeadersTooLarge
            | Self::TooLarge { .. }
            | Self::Redirect(_)
            | Self::Status { .. }
            | Self::Spent { .. } => SourceFailure::new(class, cause),
        }
    }
}

/// A list is never one record's failure.
fn record_if_detail(purpose: Purpose) -> FailureClass {
    match purpose {
        Purpose::List => FailureClass::Transient,
        Purpose::Detail => FailureClass::Record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        use FailureClass::{Forbidden, Record, Throttled, Transient, Unauthorized};
        let wait = Some(Duration::from_secs(30));
        let table = [
            (400, None, Forbidden, Record),
            (401, None, Unauthorized, Unauthorized),
            (402, None, Forbidden, Transient),
            (403, None, Forbidden, Forbidden),
            (404, None, Forbidden, Forbidden),
            (405, None, Forbidden, Transient),
            (408, None, Transient, Transient),
            (409, None, Forbidden, Record),
            (410, None, Forbidden, Forbidden),
            (418, None, Forbidden, Transient),
            (422, None, Forbidden, Record),
            (429, None, Throttled { retry_after: None }, Throttled { retry_after: None }),
            (429, wait, Throttled { retry_after: wait }, Throttled { retry_after: wait }),
            (500, None, Transient, Transient),
            (500, wait, Transient, Transient),
            (502, None, Transient, Transient),
            (503, None, Transient, Transient),
            (503, wait, Throttled { retry_after: wait }, Throttled { retry_after: wait }),
            (504, None, Transient, Transient),
            (599, None, Transient, Transient),
        ];
        for (status, retry_after, list, detail) in table {
            let problem = Problem::Status { status: StatusCode::from_u16(status).unwrap(), retry_after };
            assert_eq!(problem.class(Purpose::List), list, "{status}");
            assert_eq!(problem.class(Purpose::Detail), detail, "{status}");
        }
    }

    #[test]
    fn a_call_that_was_not_allowed_is_throttled() {
        let retry_after = Duration::from_mins(1);
        let throttled = FailureClass::Throttled { retry_after: Some(retry_after) };
        for purpose in [Purpose::List, Purpose::Detail] {
            assert_eq!(Problem::Spent { retry_after }.class(purpose), throttled);
        }
    }

    #[test]
    fn an_answer_too_large_is_the_records_own_only_in_a_detail() {
        let problem = Problem::TooLarge { bytes_max: 4 };
        assert_eq!(problem.class(Purpose::List), FailureClass::Transient);
        assert_eq!(problem.class(Purpose::Detail), FailureClass::Record);
    }
}
