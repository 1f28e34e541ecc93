//! Ways to lose a change, or to stand still unseen, that were found by attack: each has a test that shows it closed.

mod clocks;
mod failing;
mod owing;
mod reading;
