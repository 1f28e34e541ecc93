//! Pages, and when a list ends.

use tidemark_fakes::fieldly::{Metadata, Order};
use tidemark_fakes::{CallKind, Fault};

use crate::account::{Account, BEGINNING, account, ids};
use crate::support::answer;

async fn with_clients(count: usize, metadata: Metadata) -> Account {
    let account = account("{}").await;
    account.vendor.configure(|vendor| (vendor.metadata, vendor.order) = (metadata, Order::ById));
    account.vendor.seed_count("clients", count).unwrap();
    account
}

async fn totals(account: &Account, pages: u32) -> Vec<(usize, Option<u32>)> {
    let mut totals = Vec::new();
    for number in 1..=pages {
        let page = account.page("clients", BEGINNING, number).await.unwrap();
        totals.push((page.changes.len(), page.pages_total));
    }
    totals
}

#[tokio::test]
async fn the_metadata_tell_the_number_of_pages_under_either_name() {
    for metadata in [Metadata::Metadata, Metadata::Meta] {
        let account = with_clients(101, metadata).await;
        assert_eq!(totals(&account, 3).await, [(50, Some(3)), (50, Some(3)), (1, Some(3))]);
        assert_eq!(account.calls()[0].parameters[..2], ["page", "per_page"]);
    }
}

#[tokio::test]
async fn without_metadata_no_page_says_that_it_is_the_last() {
    let account = with_clients(101, Metadata::None).await;
    assert_eq!(totals(&account, 4).await, [(50, None), (50, None), (1, None), (0, None)]);
}

/// `total` is how many rows this answer has. Taken for the grand total, it would end every list after page 1.
#[tokio::test]
async fn total_is_not_taken_for_the_grand_total() {
    let account = with_clients(120, Metadata::Metadata).await;
    let page = account.list("clients").await.unwrap();
    assert_eq!(page.pages_total, Some(3), "page 1 says total 50, total_count 120");
    let body = r#"{"clients":[{"id":1}],"metadata":{"total":1}}"#;
    account.vendor.fault(Fault::new(answer(200, body)).on_call(CallKind::List).times(1)).unwrap();
    assert_eq!(account.page("clients", BEGINNING, 4).await.unwrap().pages_total, None);
}

/// The guide's sample goes on while `len(data) == per_page`; `data` is the envelope, so it counts `clients` and
/// `metadata` and stops after page 1.
#[tokio::test]
async fn a_list_does_not_end_as_the_guides_own_sample_ends_it() {
    for metadata in [Metadata::Metadata, Metadata::None] {
        let account = with_clients(51, metadata).await;
        let first = account.list("clients").await.unwrap();
        assert_eq!(first.changes.len(), 50);
        assert_ne!(first.pages_total, Some(1), "{metadata:?}");
        assert_eq!(ids(&account.page("clients", BEGINNING, 2).await.unwrap()), ["551"]);
    }
}

#[tokio::test]
async fn a_vendor_that_gives_smaller_pages_than_asked_for_is_read_to_the_end() {
    let account = with_clients(45, Metadata::Metadata).await;
    account.vendor.configure(|vendor| vendor.per_page_max = 20);
    assert_eq!(totals(&account, 3).await, [(20, Some(3)), (20, Some(3)), (5, Some(3))]);
}

#[tokio::test]
async fn an_answer_about_another_page_is_a_failure_and_no_page() {
    let account = with_clients(1, Metadata::Metadata).await;
    let body = r#"{"clients":[{"id":1}],"metadata":{"page":1,"total_pages":3}}"#;
    account.vendor.fault(Fault::new(answer(200, body)).on_call(CallKind::List)).unwrap();
    assert!(account.page("clients", BEGINNING, 1).await.is_ok());
    let failure = account.page("clients", BEGINNING, 2).await.unwrap_err();
    assert!(failure.cause.contains("another page"), "{failure}");
}
