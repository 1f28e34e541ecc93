//! Ways to lose a change, or to stop without an alarm, that reviews found: each has a test that shows it fixed.

mod clocks;
mod failing;
mod owing;
mod reading;
