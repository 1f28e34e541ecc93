//! The one contract suite for sources: what every source has to do, whatever its vendor's dialect.
//!
//! Each test is a generic function over [`Vendor`], and `suite!` makes a test of each for one vendor. A vendor is a
//! module of some fifty lines here: it starts the vendor's fake and says a few things in its terms. What is a vendor's
//! own (its signature, its token, its envelope) is tested beside this, in that vendor's tests.
//!
//! The sources are built and driven as they are deployed: by the registry, and, where it is about more than one call, by
//! the engine's own poller and fetcher over tables in memory.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test program: what surprises it should end it"
)]

mod answers;
mod credentials;
mod listings;
#[path = "../support/log.rs"]
mod log;
#[path = "../support/ports.rs"]
mod ports;
mod records;
mod secrecy;
#[path = "../support/mod.rs"]
mod support;
mod unwritten;
mod vendor;
mod world;

mod fieldaware;
mod fieldly;
mod fieldmotion;
mod fsmnavigator;

use vendor::Vendor;

/// Makes a test of each rule for one vendor.
macro_rules! suite {
    ($name:ident, $vendor:ty) => {
        mod $name {
            suite! { @lists $vendor }
            suite! { @ $vendor:
                listings::rows_that_are_edited_while_they_are_listed_are_not_lost,
                listings::rows_that_are_deleted_while_they_are_listed_hide_no_other,
                listings::a_bad_entry_is_counted_and_the_others_kept,
                listings::an_odd_id_is_counted_and_the_others_kept,
                listings::a_whole_number_is_one_id_however_it_is_written,
                listings::a_list_of_bad_entries_alone_is_a_failure,
                listings::a_right_answer_in_an_odd_dress_is_read,
                records::a_record_is_fetched_byte_for_byte,
                records::a_vanished_record_is_gone_and_the_others_are_not,
                records::an_answer_about_another_record_says_so,
                answers::statuses_have_their_classes,
                answers::an_answer_without_end_is_left_at_its_limit,
                answers::an_answer_that_never_comes_ends_with_the_deadline,
                answers::an_answer_that_dribbles_ends_with_the_deadline,
                credentials::calls_that_are_rejected_together_read_the_secret_anew_once,
                credentials::a_credential_that_was_good_is_tried_once_more,
                credentials::a_broken_secret_is_named_never_shown_and_mended_when_it_is,
                secrecy::no_credential_and_no_personal_data_is_ever_logged_or_shown,
            }
        }
    };
    // What belongs to a parent, or has no detail.
    ($name:ident, lists $vendor:ty) => {
        mod $name {
            suite! { @lists $vendor }
        }
    };
    // The rules that are not about the entries of one answer.
    (@lists $vendor:ty) => {
        suite! { @ $vendor:
            listings::everything_is_read_to_the_end,
            listings::an_empty_list_is_quiet_and_no_failure,
            listings::no_content_is_nothing_and_never_gone,
            listings::records_of_one_stamp_around_the_end_of_a_page_are_all_read,
            listings::a_list_that_fails_halfway_loses_nothing,
            listings::an_answer_that_was_not_understood_is_never_up_to_date,
            listings::an_empty_list_that_says_that_it_failed_is_a_failure,
            listings::a_right_answer_that_comes_late_is_believed,
            records::a_stored_record_has_one_id_in_lists,
            records::a_text_that_is_no_time_is_no_stamp,
            records::a_stamp_is_read_with_its_own_offset,
            records::a_not_found_that_speaks_of_the_address_deletes_nothing,
            records::nothing_beside_unknown_words_is_no_absence,
            answers::an_answer_that_is_none_is_never_no_changes_and_never_gone,
            answers::a_refusal_in_others_words_is_an_outage_and_nothing_is_gone,
            answers::a_not_found_in_a_frameworks_words_deletes_nothing,
            answers::a_part_of_an_answer_or_a_garbled_one_is_an_outage,
            answers::what_stands_before_the_vendor_is_named_and_no_credential_is_blamed,
            answers::a_redirect_is_refused_and_no_credential_leaves,
            answers::a_vendor_that_is_down_is_a_transient_failure,
            credentials::a_rotated_credential_is_taken_up_by_the_call_that_finds_out,
            credentials::a_rejected_credential_that_has_not_changed_is_final,
        }
    };
    (@ $vendor:ty: $($subject:ident :: $test:ident,)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                Box::pin(crate::$subject::$test::<$vendor>()).await;
            }
        )*
    };
}

suite!(fieldaware_keeps_it, crate::fieldaware::FakeFieldAware);
suite!(fieldly_keeps_it, crate::fieldly::FakeFieldly);
suite!(fieldmotion_keeps_it, crate::fieldmotion::FakeFieldMotion);
suite!(fsmnavigator_keeps_it, crate::fsmnavigator::Jobs);
suite!(fsmnavigators_inventory_keeps_it, crate::fsmnavigator::Inventory);
suite!(fieldmotions_rows_keep_it, lists crate::fieldmotion::Users);
suite!(fsmnavigators_locations_keep_it, lists crate::fsmnavigator::Locations);
suite!(fsmnavigators_service_records_keep_it, lists crate::fsmnavigator::ServiceRecords);
