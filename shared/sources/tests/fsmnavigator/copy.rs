//! The source under the real poller and fetcher, with tables in memory: what the copy looks like in the end.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::notice::Notice;
use tidemark_engine::poll::{PollOutcome, PollReport};
use tidemark_fakes::fsmnavigator::{Dialect, ListOrder, Paging, UpdatedSince};
use tidemark_fakes::{Action, Add, CallKind, Change, Fake, Hook};

use crate::account::{Account, account, source_at, stream};
use crate::ports::{POLL_INTERVAL, Ports};

/// One stream of an account, copied into memory.
struct Copy {
    account: Account,
    name: &'static str,
    ports: Ports,
    settings: &'static str,
}

impl Copy {
    async fn of(name: &'static str, count: usize, settings: &'static str) -> Self {
        let account = account(settings).await;
        account.vendor.seed_count(name, count).unwrap();
        let source = source_at(account.vendor.url(), &account.vendor, settings, &account.keys);
        let ports = Ports::new(source, &account.vendor);
        Self { account, name, ports, settings }
    }

    fn vendor(&self) -> &Fake {
        &self.account.vendor
    }

    /// What one function process reaches: a source of its own, and the tables and the queue of all.
    fn process(&self) -> Ports {
        let source = source_at(self.account.vendor.url(), self.vendor(), self.settings, &self.account.keys);
        Ports { source: Rc::new(source), ..self.ports.clone() }
    }

    async fn tick(&self) -> PollReport {
        self.process().poll(&stream(self.name), "poller").await
    }

    /// A tick and the fetching of all that it sent, five minutes before the next.
    async fn sync(&self) -> PollReport {
        let report = self.tick().await;
        self.process().fetch_all().await;
        self.vendor().advance(POLL_INTERVAL);
        report
    }

    /// The same until a list tells nothing new; the last report.
    async fn settle(&self) -> PollReport {
        for _ in 0..10 {
            let report = self.sync().await;
            if report.outcome == PollOutcome::Quiet {
                return report;
            }
        }
        panic!("{} does not settle", self.name);
    }

    /// The stored bodies by id.
    fn stored(&self) -> BTreeMap<String, String> {
        self.ports.tables.with(|tables| {
            let records = tables.records.iter();
            records
                .map(|(key, record)| (key.id.as_str().to_owned(), record.body.as_ref().unwrap().text().to_owned()))
                .collect()
        })
    }

    fn assert_equal(&self) {
        let truth = self.vendor().truth(self.name).unwrap();
        let truth: BTreeMap<String, String> = truth.into_iter().map(|(id, record)| (id, record.body)).collect();
        assert_eq!(self.stored(), truth);
    }
}

#[tokio::test]
async fn a_list_without_pages_of_one_page_and_of_many_is_copied_whole() {
    for count in [0, 1, 3, 50, 51, 120] {
        let copy = Copy::of("jobs", count, "{}").await;
        copy.settle().await;
        copy.assert_equal();
        assert_eq!(copy.stored().len(), count);
        let requests = copy.vendor().requests();
        assert!(requests.iter().all(|request| request.kind == CallKind::List), "rows need no call of their own");
    }
}

#[tokio::test]
async fn lists_that_tell_no_total_are_copied_whole() {
    for (paging, per_page_max) in [(Paging::NoTotals, 100), (Paging::Nothing, 100), (Paging::NoTotals, 7)] {
        for dialect in [Dialect::Guide, Dialect::Reference] {
            let copy = Copy::of("customers", 30, r#"{"per_page":10}"#).await;
            copy.account.vendor.configure(|settings| {
                (settings.paging, settings.per_page_max, settings.dialect) = (paging, per_page_max, dialect);
            });
            copy.settle().await;
            copy.assert_equal();
        }
    }
}

#[tokio::test]
async fn rows_that_move_while_the_pages_are_read_are_not_lost() {
    for order in [ListOrder::OldestFirst, ListOrder::NewestFirst, ListOrder::Id] {
        for name in ["jobs", "customers"] {
            let copy = Copy::of(name, 25, r#"{"per_page":5}"#).await;
            copy.account.vendor.configure(|settings| settings.list_order = order);
            let first = copy.vendor().truth(name).unwrap().into_keys().next().unwrap();
            // After each of the first pages the rows behind slip to the page before.
            let mut hook = Hook::after_list(name, Action::Edit(Change::of(name, &first)));
            hook.times = 3;
            copy.vendor().hook(hook).unwrap();
            copy.settle().await;
            copy.assert_equal();
        }
    }
}

#[tokio::test]
async fn a_record_that_is_deleted_between_two_pages_takes_no_other_with_it() {
    let copy = Copy::of("assets", 25, r#"{"per_page":5}"#).await;
    copy.vendor().hook(Hook::after_list("assets", Action::Delete(Change::of("assets", "1001")))).unwrap();
    copy.settle().await;
    let live: Vec<String> =
        copy.vendor().truth("assets").unwrap().into_iter().filter(|(_, r)| !r.deleted).map(|(id, _)| id).collect();
    assert_eq!(live.len(), 24);
    for id in live {
        assert!(copy.stored().contains_key(&id), "{id}");
    }
}

#[tokio::test]
async fn an_ignored_bound_costs_pages_and_no_data() {
    let copy = Copy::of("jobs", 12, r#"{"per_page":5}"#).await;
    copy.account.vendor.configure(|settings| settings.updated_since = UpdatedSince::Ignored);
    copy.settle().await;
    copy.vendor().edit(Change::of("jobs", "790")).unwrap();
    let report = copy.tick().await;
    assert_eq!((report.owed_count, report.unchanged_count > 0), (1, true), "the others are as stored");
    copy.settle().await;
    copy.assert_equal();
}

#[tokio::test]
async fn an_edit_is_copied_in_both_modes_and_a_quiet_list_costs_one_call() {
    for name in ["jobs", "technicians"] {
        let copy = Copy::of(name, 3, "{}").await;
        copy.settle().await;
        copy.vendor().edit(Change::of_first(name, 1)).unwrap();
        copy.settle().await;
        copy.assert_equal();
        copy.vendor().advance(POLL_INTERVAL);
        let quiet = copy.tick().await;
        assert_eq!((quiet.outcome, quiet.calls_count), (PollOutcome::Quiet, 1), "{name}");
    }
}

#[tokio::test]
async fn a_scan_finds_what_bears_an_old_stamp() {
    let copy = Copy::of("assets", 3, "{}").await;
    copy.settle().await;
    let old = copy.vendor().truth("assets").unwrap()["1002"].last_edited.clone();
    // One row changed without its stamp, and one that shows up only now.
    copy.vendor().edit(Change::of("assets", "1002").set("condition", "Poor").stamped(&old)).unwrap();
    copy.vendor().add(Add { stamp: Some(old), ..Add::one("assets") }).unwrap();
    copy.settle().await;
    copy.assert_equal();
}

#[tokio::test]
async fn a_change_of_dialect_changes_no_identity() {
    let copy = Copy::of("customers", 5, "{}").await;
    copy.settle().await;
    copy.account.vendor.configure(|settings| settings.dialect = Dialect::Reference);
    copy.settle().await;
    copy.assert_equal();
}

#[tokio::test]
async fn a_limit_that_is_too_tight_for_a_listing_slows_it_down() {
    let copy = Copy::of("customers", 60, r#"{"per_page":5}"#).await;
    copy.account.vendor.configure(|settings| (settings.limit_calls, settings.limit_seconds) = (8, 60));
    // A listing takes longer than a tick: the next one goes on with it.
    assert_eq!(copy.sync().await.outcome, PollOutcome::Importing);
    copy.sync().await;
    copy.assert_equal();
    let requests = copy.vendor().requests();
    assert!(requests.len() > 16 && requests.iter().all(|request| request.status == Some(200)), "{requests:#?}");
}

#[tokio::test]
async fn a_limit_that_is_used_up_ends_the_tick_and_opens_the_breaker() {
    let copy = Copy::of("customers", 3, "{}").await;
    copy.account.vendor.configure(|settings| settings.limit_calls = 0);
    let failed = copy.tick().await;
    assert!(matches!(failed.outcome, PollOutcome::SourceFailed(..)), "{failed:?}");
    assert_eq!((failed.calls_count, failed.notices.contains(&Notice::BreakerOpened)), (1, true), "{failed:?}");
    assert!(matches!(copy.tick().await.outcome, PollOutcome::BreakerOpen(_)));
    assert_eq!(copy.vendor().request_counts().total, 1, "an open breaker calls nobody");
    copy.account.vendor.configure(|settings| settings.limit_calls = 100);
    copy.vendor().advance(Duration::from_mins(2));
    copy.settle().await;
    copy.assert_equal();
}

/// What belongs to a parent, in both styles and dialects: the fake's own rows, edited and made while they are copied.
#[tokio::test]
async fn what_belongs_to_a_parent_is_kept_up_to_date() {
    for (settings, name, parents, first_parent, dialect) in [
        ("{}", "customer_locations", "customers", 123, Dialect::Guide),
        (r#"{"detail_style":"path"}"#, "customer_locations", "customers", 123, Dialect::Reference),
        ("{}", "service_records", "assets", 1_001, Dialect::Reference),
        (r#"{"detail_style":"path"}"#, "service_records", "assets", 1_001, Dialect::Guide),
    ] {
        let copy = Copy::of(name, 130, settings).await;
        copy.account.vendor.configure(|settings| settings.dialect = dialect);
        // More parents than fit on a page, most of which have nothing.
        copy.vendor().seed_count(parents, 25).unwrap();
        let truth = || -> BTreeMap<String, String> {
            let records = copy.vendor().truth(name).unwrap().into_iter();
            let number = |id: &str| id.parse::<u64>().unwrap();
            records.map(|(id, record)| (format!("{}/{id}", first_parent + number(&id) % 3), record.body)).collect()
        };
        copy.settle().await;
        assert_eq!(copy.stored(), truth(), "{name} {settings}");
        copy.vendor().edit(Change::of_first(name, 5)).unwrap();
        copy.vendor().add(Add::one(name)).unwrap();
        copy.settle().await;
        assert_eq!((copy.stored().len(), copy.stored()), (131, truth()), "{name} {settings}");
        assert_eq!(copy.vendor().request_counts().refused, 0);
    }
}

#[tokio::test]
async fn what_belongs_to_a_parent_needs_the_parents_scope() {
    for (name, scope) in
        [("customer_locations", "customers:read"), ("service_records", "assets:read"), ("inventory", "inventory:read")]
    {
        let copy = Copy::of(name, 1, "{}").await;
        copy.account.vendor.grant(crate::account::KEY, &["jobs:read"]);
        let report = copy.sync().await;
        assert!(report.notices.contains(&Notice::StreamPaused), "{name}: {report:?}");
        let PollOutcome::SourceFailed(_, cause) = &report.outcome else { panic!("{report:?}") };
        assert!(cause.contains(scope), "{cause}");
    }
}

/// A vendor that refuses pages beyond a number: what was read counts, and the list goes on from its newest stamp.
#[tokio::test]
async fn a_cap_on_deep_pages_is_passed_by_the_newest_stamp_where_rows_come_in_their_order() {
    for paging in [Paging::Totals, Paging::NoTotals] {
        let copy = Copy::of("jobs", 75, r#"{"per_page":10}"#).await;
        copy.account.vendor.configure(|settings| (settings.pages_max, settings.paging) = (Some(2), paging));
        let report = copy.settle().await;
        assert!(!report.notices.contains(&Notice::ListMoving), "{report:?}");
        copy.assert_equal();
        copy.vendor().edit(Change::of_first("jobs", 12)).unwrap();
        copy.settle().await;
        copy.assert_equal();
    }
}

/// Nothing tells what lies behind the cap there: that is reported, and nothing is committed.
#[tokio::test]
async fn a_cap_on_deep_pages_is_reported_where_rows_come_in_another_order() {
    let copy = Copy::of("jobs", 75, r#"{"per_page":10}"#).await;
    let configured = |settings: &mut tidemark_fakes::fsmnavigator::Settings| {
        (settings.pages_max, settings.list_order) = (Some(2), ListOrder::NewestFirst);
    };
    copy.account.vendor.configure(configured);
    let mut moving_count = 0;
    for _ in 0..4 {
        let report = copy.sync().await;
        assert_ne!(report.outcome, PollOutcome::Quiet);
        moving_count += usize::from(report.notices.contains(&Notice::ListMoving));
    }
    assert!(moving_count > 0);
    assert_eq!(copy.stored().len(), 20);
}
