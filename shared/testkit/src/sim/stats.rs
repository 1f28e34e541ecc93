//! What happened, counted.

use std::fmt;
use std::ops::AddAssign;

/// Declares the counters once: fields, sum and table.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Counts of a history, or of many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)+
            }
        }

        impl fmt::Display for Stats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>14}  {}", self.$name, stringify!($name).replace('_', " "))?;)+
                Ok(())
            }
        }
    };
}

counters! {
    /// Seconds of virtual time.
    simulated_seconds,
    /// Polls of tasks.
    polls,
    /// Calls of ports.
    steps,
    /// Versions that the vendor made.
    edits,
    /// Ticks.
    ticks,
    /// Messages delivered.
    deliveries,
    /// Detail calls.
    fetches,
    /// List calls.
    lists,
    /// Listings committed.
    commits,
    /// Listings handed over.
    handed_over,
    /// Steps back of the vendor's clock that a poller noticed.
    clock_steps,
    /// Ids put into the retry lane.
    set_aside,
    /// Leases refused.
    leases_refused,
    /// Pollers that were fenced off.
    fenced,
    /// Ticks and fetches that stopped at another account.
    other_accounts,
    /// Processes that died.
    crashes,
    /// Processes that died at a record.
    killed,
    /// Processes that froze.
    freezes,
    /// Calls that failed before their effect.
    rejections,
    /// Calls whose answer got lost.
    lost_answers,
    /// Calls done in part.
    partial_calls,
    /// Writes that arrived once more, or late.
    late_writes,
    /// Messages lost.
    lost_messages,
    /// Messages doubled.
    doubled_messages,
    /// Messages that came late.
    late_messages,
    /// Acknowledgements lost.
    lost_acknowledgements,
    /// Outages of the vendor.
    outages,
    /// Times that ledger and queue were lost.
    wipes,
    /// Feeds begun again.
    resyncs,
    /// Acts of an operator.
    acts,
    /// Sweeps asked for in the calm.
    sweeps,
    /// Sweeps whose candidates waited for a person.
    sweeps_withheld,
    /// Backfills that came to their end.
    backfills,
    /// Ticks in the calm until all was stored.
    calm_ticks,
    /// Changes whose freshness was measured.
    fresh_changes,
    /// The sum of their waits, in milliseconds.
    fresh_millis,
}
