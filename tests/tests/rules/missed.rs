//! Rules and conditions are left out one at a time, and the tests that stand for them must notice.
//!
//! The tests run once more in processes of their own, with the name of what is left out in their environment, from where
//! the stage takes it. What has no test here, the simulation notices.

use std::process::Command;

use tidemark_tests::stage::LEAVE_OUT;

/// What is left out, and a test that must then fail.
const MISSED: &[(&str, &str)] = &[
    ("NoVersion", "lease::a_poller_that_froze_and_lost_its_lease_changes_nothing"),
    ("AccountPoller", "lease::the_poller_stops_at_another_account_until_a_person_decides"),
    ("AcceptForgets", "lease::a_person_may_keep_the_copy_and_then_everything_of_the_last_day_is_read_again"),
    ("Overlap", "positions::an_edit_that_shows_late_is_listed_within_the_overlap"),
    ("Behind", "positions::stamps_that_lag_the_vendors_clock_are_measured_before_they_are_believed"),
    ("FutureStamps", "positions::stamps_in_the_future_say_nothing_of_how_far_stamps_lag"),
    ("Evidence", "positions::rows_from_before_a_step_back_are_no_evidence"),
    ("FirstEvidence", "positions::the_first_listing_is_no_evidence"),
    ("AcceptEvidence", "positions::rows_listed_right_after_new_settings_were_accepted_are_no_evidence"),
    ("GapInUtc", "positions::the_time_zone_of_stamps_feigns_no_step"),
    ("SmallerGap", "positions::after_a_step_forward_edits_in_flight_still_carry_the_old_clock"),
    ("RaiseLasts", "positions::a_step_forward_counts_once_it_was_seen_for_an_overlap"),
    ("Step", "positions::after_a_step_back_the_list_starts_earlier_by_the_step"),
    ("DateMargin", "positions::without_a_date_the_local_clock_is_not_believed"),
    ("HorizonAtStart", "positions::what_is_edited_while_a_list_is_answered_belongs_to_the_next"),
    ("TwoLanes", "handover::an_edit_is_stored_within_two_polls_while_an_import_runs"),
    ("CursorOrder", "handover::what_is_listed_goes_on_behind_the_last_id_that_was_put"),
    ("CommittedBacklog", "handover::a_listing_that_was_handed_over_holds_the_checkpoint_until_it_is_whole"),
    ("RewindCommitted", "handover::a_rewind_lists_again_from_there_and_takes_the_commit_along"),
    ("LedgerMark", "handover::with_ledger_queue_and_retry_lane_gone_the_checkpoint_alone_suffices"),
    ("MarkLast", "handover::a_ledger_lost_while_a_tick_reads_it_is_noticed_before_anything_is_committed"),
    ("Resend", "owed::what_was_sent_and_got_lost_is_sent_again_when_its_patience_is_over"),
    ("KeyVersion", "owed::two_pollers_never_write_the_same_chunk"),
    ("UpdateCreates", "owed::a_chunk_that_is_finished_while_it_is_sent_again_stays_gone"),
    ("BulkCap", "owed::bulk_work_in_flight_is_at_most_an_intervals_calls"),
    ("Share", "owed::streams_with_bulk_work_share_the_rate_for_it"),
    ("CommittedHeads", "committed::the_checkpoint_does_not_move_when_ids_are_merely_owed"),
    ("CommittedOld", "committed::the_checkpoint_never_reaches_what_its_own_tick_listed"),
    ("CommittedRetry", "committed::under_block_a_record_that_fails_holds_the_checkpoint_while_others_flow"),
    ("RetryLast", "committed::an_id_on_its_way_to_the_retry_lane_is_seen"),
    ("PaidByLater", "fetching::a_later_look_pays_for_an_id_and_an_earlier_one_does_not"),
    ("RowAge", "fetching::an_old_row_does_not_bring_back_a_record_whose_tombstone_has_expired"),
    ("RowDate", "fetching::rows_cost_no_call_and_are_dated_by_their_list_call"),
    ("LastWriteWins", "fetching::of_two_looks_the_one_begun_later_is_kept_in_whatever_order_they_arrive"),
    ("StampsFirst", "fetching::a_later_look_counts_though_its_stamp_is_older"),
    ("AccountFetcher", "fetching::a_message_of_another_account_stores_nothing_and_waits"),
    ("AccountFetcher", "fetching::what_was_seen_while_the_account_changed_is_not_stored"),
    ("FalseDeletes", "fetching::many_records_that_seem_gone_are_asked_for_for_a_day_before_they_are_deleted"),
    ("DetailsLag", "fetching::a_record_behind_an_event_is_looked_at_when_details_cannot_lag_any_more"),
    ("EqualHash", "listing::a_row_with_the_stored_body_but_another_stamp_is_stored"),
    ("EqualStamp", "listing::a_row_with_the_stored_stamp_but_another_body_is_stored"),
    ("EqualSettled", "listing::a_row_that_equals_a_young_look_is_stored_because_an_older_look_may_be_under_way"),
    ("Passes", "listing::rows_that_move_while_pages_are_read_are_not_lost"),
    ("BarrenTwice", "listing::a_row_that_slips_past_a_pass_in_each_direction_is_met_by_a_third"),
    ("SnapshotMargin", "listing::a_snapshot_leaves_out_what_was_fetched_well_after_it_began_and_nothing_else"),
    ("FailingLeaves", "retry::whatever_the_failure_the_id_leaves_its_chunk_for_the_retry_lane"),
    ("ListRetried", "retry::listings_do_not_leave_out_ids_of_the_retry_lane"),
    ("ResolveLater", "retry::a_look_from_before_the_newest_failure_does_not_resolve_an_entry"),
    ("ResolvesAny", "retry::a_look_from_before_the_newest_failure_does_not_resolve_an_entry"),
    ("FirstHolds", "retry::what_an_entry_holds_falls_with_an_older_debt_whichever_failure_comes_last"),
    ("HoldsWithTime", "retry::what_an_entry_holds_falls_with_an_older_debt_whichever_failure_comes_last"),
    ("CrashCount", "retry::an_id_at_which_the_fetcher_died_three_times_by_itself_is_set_aside"),
    ("Breaker", "breaker::five_failures_in_a_row_pause_the_stream_and_the_rest_stays_owed"),
    ("BreakerKnown", "breaker::failures_of_ids_that_are_in_the_retry_lane_are_no_news"),
    ("SweepLooks", "sweep::a_record_that_a_list_leaves_out_is_fetched_and_not_deleted"),
    ("SweepSince", "sweep::what_was_looked_at_since_the_sweep_began_is_no_candidate"),
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
    let survivors: Vec<_> = MISSED.iter().filter(|(rule, test)| passes(test, Some(rule))).collect();
    assert!(survivors.is_empty(), "left out, and no test noticed: {survivors:?}");
    let broken: Vec<_> = MISSED.iter().filter(|(_, test)| !passes(test, None)).collect();
    assert!(broken.is_empty(), "these fail with all rules in place, which shows nothing: {broken:?}");
}
