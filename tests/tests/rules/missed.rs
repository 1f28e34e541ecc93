//! Each rule of the table in `docs/reliability.md` is left out once, and the tests that stand for it must notice.
//!
//! The tests run once more in processes of their own, with the name of what is left out in their environment, from where
//! the stage takes it.

use std::process::Command;

use tidemark_tests::stage::LEAVE_OUT;

/// What is left out, and a test that must then fail.
const MISSED: [(&str, &str); 21] = [
    ("CommitWhenStored", "commit::a_checkpoint_does_not_move_when_ids_are_merely_enqueued"),
    ("Horizon", "commit::an_edit_between_list_and_fetch_does_not_drag_the_checkpoint_past_what_nobody_listed"),
    ("RefusesEqualStamps", "records::of_two_edits_in_one_second_the_one_fetched_later_is_kept"),
    ("RefusesMissingStamps", "records::a_tombstone_of_an_unseen_record_does_not_refuse_later_versions"),
    ("RowDate", "records::a_row_that_waited_does_not_overwrite_a_newer_fetch_of_the_same_stamp"),
    ("ZoneGuard", "commit::stamps_in_a_wrong_zone_do_not_switch_the_clip_off"),
    ("ClockOffset", "listing::a_local_clock_ten_minutes_ahead_does_not_make_ids_settled"),
    ("Settled", "listing::an_id_in_a_quiet_overlap_zone_is_not_fetched_at_every_tick"),
    ("SameBody", "listing::a_listed_row_with_the_stored_stamp_but_another_body_is_stored"),
    ("Passes", "listing::rows_that_move_while_pages_are_read_are_not_lost"),
    ("Cursor", "listing::a_listing_that_was_interrupted_goes_on_behind_the_last_accepted_id"),
    ("FirstHorizon", "listing::what_was_created_below_the_cursor_of_an_interrupted_listing_is_found_by_the_next_run"),
    ("Window", "listing::no_more_chunks_are_out_than_the_rate_can_finish_in_a_visibility_timeout"),
    ("Resend", "listing::a_lost_message_is_sent_again_by_its_own_time_though_the_frontier_moved"),
    ("Park", "fetching::an_outage_burns_no_receives_and_fills_no_dead_letters"),
    ("NoFence", "lease::a_poller_that_froze_and_lost_its_lease_changes_nothing"),
    ("Breaker", "breaker::five_failures_in_a_row_open_the_breaker_and_a_list_closes_it"),
    ("Breaker", "breaker::a_429_opens_the_breaker_for_as_long_as_it_asks"),
    ("FalseDeletes", "fetching::many_vanished_records_are_not_believed_and_really_vanished_ones_do_not_come_back"),
    ("StamplessMargin", "commit::a_stream_without_stamps_commits_to_its_horizon_less_five_minutes"),
    ("AbortIsNoProgress", "commit::a_long_import_is_not_stale_while_it_moves_and_an_abort_is_no_progress"),
];

/// Runs one test in a process of its own; whether it passed.
#[expect(clippy::expect_used, reason = "what surprises a test should end it")]
fn passes(test: &str, left_out: Option<&str>) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this program has a name"));
    command.args(["--exact", test]).env_remove(LEAVE_OUT);
    if let Some(rule) = left_out {
        command.env(LEAVE_OUT, rule);
    }
    let ended = command.output().expect("this program can be started");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("running 1 test"), "there is no test {test}:\n{said}");
    ended.status.success()
}

#[test]
fn every_rule_is_missed_when_it_is_left_out() {
    let survivors: Vec<_> = MISSED.into_iter().filter(|(rule, test)| passes(test, Some(rule))).collect();
    assert!(survivors.is_empty(), "left out, and no test noticed: {survivors:?}");
    let broken: Vec<_> = MISSED.into_iter().filter(|(_, test)| !passes(test, None)).collect();
    assert!(broken.is_empty(), "these fail with all rules in place, which shows nothing: {broken:?}");
}
