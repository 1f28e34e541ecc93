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
    /// Runs committed.
    commits,
    /// Runs given up.
    aborts,
    /// Ids put into quarantine.
    quarantined,
    /// Leases refused.
    leases_refused,
    /// Pollers that were fenced off.
    fenced,
    /// Processes that died.
    crashes,
    /// Processes that froze.
    freezes,
    /// Calls that failed before their effect.
    rejections,
    /// Calls whose answer got lost.
    lost_answers,
    /// Calls done in part.
    partial_calls,
    /// Messages lost.
    lost_messages,
    /// Messages doubled.
    doubled_messages,
    /// Messages that came late.
    late_messages,
    /// Messages redriven from the dead letters.
    redriven_messages,
    /// Acknowledgements lost.
    lost_acknowledgements,
    /// Outages of the vendor.
    outages,
    /// Times ledger and queue were lost.
    wipes,
    /// Ticks in the calm until all was stored.
    calm_ticks,
}
