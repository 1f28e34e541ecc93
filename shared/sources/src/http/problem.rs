//! What can go wrong with a call, and the one table of what that means.

use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;
use tidemark_engine::failure::{FailureClass, SourceFailure};

use super::redirect::Target;
use super::words::{Blocker, Words};
use crate::purpose::Purpose;

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
    /// A part of an answer, a promise of one, or its difference to another one: what is missing would be lost.
    #[error("the vendor answered with status {status}, which is not a whole answer")]
    Part {
        /// The status.
        status: StatusCode,
    },
    /// A redirect that is not followed: another host would be sent the credential or the signed body.
    #[error("the vendor answered with status {status}, {target}, which is refused")]
    Redirect {
        /// The status.
        status: StatusCode,
        /// Where it leads.
        target: Target,
    },
    /// Any other status but success.
    #[error("the vendor answered with status {status}{}", instead(*status, *words))]
    Status {
        /// The status.
        status: StatusCode,
        /// How long the vendor asks for no calls.
        retry_after: Option<Duration>,
        /// Whose words came with it.
        words: Words,
        /// What probably answered in the vendor's place.
        blocker: Option<Blocker>,
    },
    /// The address would have a part that no address can have, so nobody was called.
    #[error("an id that no address can hold, so the vendor was not called")]
    Unaddressable,
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
    /// A refusal that is not in the vendor's own words is an outage. A 404 or 410 is [`FailureClass::Forbidden`] here,
    /// "there is no such function". A source whose addresses name records reads it as "gone" before it comes to this
    /// table.
    pub(crate) fn class(&self, purpose: Purpose) -> FailureClass {
        match self {
            Self::NoClient(_)
            | Self::Unreachable(_)
            | Self::Late(_)
            | Self::Broken(_)
            | Self::HeadersTooLarge
            | Self::Part { .. }
            | Self::Redirect { .. } => FailureClass::Transient,
            Self::TooLarge { .. } => record_if_detail(purpose),
            Self::Unaddressable => match purpose {
                Purpose::List => FailureClass::Forbidden,
                Purpose::Detail => FailureClass::Record,
            },
            Self::Spent { retry_after } => FailureClass::Throttled { retry_after: Some(*retry_after) },
            Self::Status { status, retry_after, words, .. } => match *status {
                StatusCode::TOO_MANY_REQUESTS => FailureClass::Throttled { retry_after: *retry_after },
                status if asks_to_wait(status, *retry_after) => FailureClass::Throttled { retry_after: *retry_after },
                _ if is_of_others(*status, *words) => FailureClass::Transient,
                StatusCode::UNAUTHORIZED => FailureClass::Unauthorized,
                // What is not paid for is not one record's either.
                StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                    FailureClass::Forbidden
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

    /// What a person can do, where the cause says more than the class.
    pub(crate) fn next_step(&self, purpose: Purpose) -> Option<&'static str> {
        match self {
            Self::Redirect { target, .. } => Some(target.next_step()),
            Self::Status { status, words, blocker, .. } => {
                // Such a page with a 5xx tells that what stands behind the firewall is unwell.
                let blocker = blocker.filter(|_| status.is_client_error());
                blocker.map(Blocker::next_step).or_else(|| step_of_status(*status, *words, purpose))
            }
            Self::Part { .. } => {
                Some("ask the vendor what stands before its API, such as a cache, and does not send whole answers")
            }
            Self::TooLarge { .. } if purpose == Purpose::List => {
                Some("ask for smaller pages, if the source has a setting for it; else ask the vendor to page this list")
            }
            Self::NoClient(_)
            | Self::Unreachable(_)
            | Self::Late(_)
            | Self::Broken(_)
            | Self::HeadersTooLarge
            | Self::TooLarge { .. }
            | Self::Unaddressable
            | Self::Spent { .. } => None,
        }
    }

    /// The failure that the engine sees; `call` names the function or address pattern, never a record.
    pub(crate) fn into_failure(self, call: &str, purpose: Purpose) -> SourceFailure {
        let (class, next_step) = (self.class(purpose), self.next_step(purpose));
        let cause = format!("{call}: {self}");
        let failure = match self {
            Self::NoClient(error) | Self::Unreachable(error) | Self::Late(error) | Self::Broken(error) => {
                SourceFailure::caused(class, cause, error)
            }
            Self::HeadersTooLarge
            | Self::TooLarge { .. }
            | Self::Part { .. }
            | Self::Redirect { .. }
            | Self::Status { .. }
            | Self::Unaddressable
            | Self::Spent { .. } => SourceFailure::new(class, cause),
        };
        SourceFailure { next_step, ..failure }
    }
}

/// Whether a status beside a time to wait for is one of too many calls. With a 403 some gateways refuse those beyond a
/// quota; a right that is missing does not come back by waiting.
pub(super) fn asks_to_wait(status: StatusCode, retry_after: Option<Duration>) -> bool {
    retry_after.is_some() && matches!(status, StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE)
}

/// Whether a refusal is not the vendor's.
fn is_of_others(status: StatusCode, words: Words) -> bool {
    status.is_client_error() && words != Words::Vendors
}

/// What a message says of a refusal that is not the vendor's.
fn instead(status: StatusCode, words: Words) -> String {
    if is_of_others(status, words) {
        format!(" and {words} instead of an error of its own, so this is taken for an outage")
    } else {
        String::new()
    }
}

fn step_of_status(status: StatusCode, words: Words, purpose: Purpose) -> Option<&'static str> {
    if is_of_others(status, words) {
        return Some(match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
                "nothing if it passes; else compare the base URL, host and path, with the vendor's documentation"
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "nothing if it passes; else ask the vendor what stands before its API and refuses these calls (a gateway, a \
                 firewall, a list of allowed addresses), and compare base URL and credential"
            }
            _ => "nothing if it passes; else ask the vendor what stands before its API, and compare the base URL",
        });
    }
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE if purpose == Purpose::List => Some(
            "compare the base URL and the paths in the source's settings with the vendor's documentation, or turn the stream off",
        ),
        StatusCode::PAYMENT_REQUIRED => {
            Some("the vendor asks to be paid: renew the account's plan, or change to one that includes the API")
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if purpose == Purpose::List => Some(
            "the vendor refuses how the list is asked for: compare filters and paging in the source's settings with its documentation",
        ),
        _ => None,
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
            (402, None, Forbidden, Forbidden),
            (403, None, Forbidden, Forbidden),
            (403, wait, Throttled { retry_after: wait }, Throttled { retry_after: wait }),
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
            let problem = status_of(status, retry_after, Words::Vendors);
            assert_eq!(problem.class(Purpose::List), list, "{status}");
            assert_eq!(problem.class(Purpose::Detail), detail, "{status}");
        }
    }

    fn status_of(status: u16, retry_after: Option<Duration>, words: Words) -> Problem {
        Problem::Status { status: StatusCode::from_u16(status).unwrap(), retry_after, words, blocker: None }
    }

    #[test]
    fn a_refusal_that_is_not_in_the_vendors_words_is_an_outage_with_its_own_next_step() {
        for words in [Words::Nobodys, Words::Page, Words::Text, Words::OtherJson] {
            for status in [400, 401, 402, 403, 404, 405, 406, 409, 410, 418, 422] {
                for purpose in [Purpose::List, Purpose::Detail] {
                    let failure = status_of(status, None, words).into_failure("GET /jobs", purpose);
                    assert_eq!(failure.class, FailureClass::Transient, "{status} {words:?}");
                    assert!(failure.next_step.is_some() && failure.cause.contains(&words.to_string()), "{failure}");
                }
            }
            let throttled = FailureClass::Throttled { retry_after: None };
            assert_eq!(status_of(429, None, words).class(Purpose::List), throttled, "fewer calls do no harm");
        }
    }

    #[test]
    fn causes_that_differ_have_next_steps_that_differ() {
        let redirect = |target| Problem::Redirect { status: StatusCode::FOUND, target };
        let blocked = |blocker| Problem::Status {
            status: StatusCode::FORBIDDEN,
            retry_after: None,
            words: Words::Page,
            blocker: Some(blocker),
        };
        let problems = [
            redirect(Target::Slash),
            redirect(Target::SameHost),
            redirect(Target::Elsewhere),
            redirect(Target::Nowhere),
            blocked(Blocker::AllowList),
            blocked(Blocker::Firewall),
            status_of(403, None, Words::Page),
            status_of(404, None, Words::Page),
            status_of(404, None, Words::Vendors),
            status_of(402, None, Words::Vendors),
            status_of(422, None, Words::Vendors),
            status_of(422, None, Words::Text),
            Problem::TooLarge { bytes_max: 4 },
        ];
        let steps: std::collections::BTreeSet<_> =
            problems.iter().map(|problem| problem.next_step(Purpose::List).expect("a next step")).collect();
        assert_eq!(steps.len(), problems.len());
        assert_eq!(status_of(500, None, Words::Page).next_step(Purpose::List), None);
        let bad_gateway = Problem::Status {
            status: StatusCode::BAD_GATEWAY,
            retry_after: None,
            words: Words::Page,
            blocker: Some(Blocker::Firewall),
        };
        assert_eq!(bad_gateway.next_step(Purpose::List), None);
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
