//! The ways out of the conditional writes, so that a run can tell which of them it took.

/// A way out of a call: the call, and for which cause it was applied or refused.
pub type Arm = &'static str;

/// A refusal with more than one cause, which shows nothing about any of them.
pub(super) const SEVERAL_CAUSES: Arm = "store: several conditions do not hold";

/// Every way out that a condition has. A refusal is counted here only when its cause is the only one.
pub const ARMS: [Arm; 48] = [
    "create: there was none",
    "create: there is one",
    "acquire: there is no stream",
    "acquire: the first lease",
    "acquire: the lease is over",
    "acquire: one's own lease",
    "acquire: owned by another",
    "acquire: owned by another until this instant",
    "store: there is no stream",
    "store: never leased",
    "store: a stale epoch",
    "store: an epoch that never was",
    "store: committed goes back",
    "store: scanned goes back",
    "store without a run: applied",
    "store without a run: there is one",
    "store with a run: applied",
    "store with a run: there is none",
    "store with a run: it is another",
    "store with a run: other chunks were accepted",
    "commit: applied",
    "commit: there is no run",
    "commit: the run is another",
    "commit: the run is not sealed",
    "abort: applied",
    "abort: there is no run",
    "abort: the run is another",
    "mark_sent: applied",
    "mark_sent: there is no chunk",
    "finish: applied",
    "finish: there is no chunk",
    "poison: applied",
    "poison: not pending",
    "poison: there is no chunk",
    "mark_trying: applied",
    "mark_trying: there is no chunk",
    "quarantine: applied",
    "quarantine: it is there",
    "reschedule: applied",
    "reschedule: it is not there",
    "resolve: applied",
    "resolve: it is not there",
    "resolve: it went in at that instant or later",
    "open_breaker: it was closed, or open for no longer",
    "open_breaker: it is open for longer",
    "reserve: from now on",
    "reserve: behind what is reserved",
    "reserve: too late",
];
