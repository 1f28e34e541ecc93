//! The engine over this source: what the feed, the lists and the details make of the records.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::notice::Notice;
use tidemark_engine::poll::{PollOutcome, PollReport};
use tidemark_fakes::fieldaware::{Settings, TokenForm};
use tidemark_fakes::{Action, Add, Change, Hook};

use crate::account::{Account, CHANGES, RECORD_STREAMS, account_at, source_at};
use crate::ports::{POLL_INTERVAL, Ports};

pub(crate) struct Stage {
    pub(crate) account: Account,
    pub(crate) world: Ports,
    ticks: Cell<u32>,
}

impl Stage {
    pub(crate) async fn at(quirks: impl FnOnce(&mut Settings), settings: &str) -> Self {
        let account = account_at(quirks, settings).await;
        let source = source_at(account.vendor.url(), &account.vendor, settings, &account.keys);
        let world = Ports::new(source, &account.vendor);
        Self { account, world, ticks: Cell::new(0) }
    }

    pub(crate) async fn tick(&self) -> PollReport {
        self.ticks.set(self.ticks.get() + 1);
        self.world.poll(&CHANGES, &format!("poller-{}", self.ticks.get())).await
    }

    pub(crate) async fn drain(&self) {
        for report in self.world.fetch_all().await {
            assert_eq!((&report.set_aside, report.left_count), (&Vec::new(), 0), "{report:?}");
        }
    }

    /// Polls and fetches until a poll tells nothing new; what the polls noticed.
    pub(crate) async fn settle(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        for _ in 0..40 {
            let report = self.tick().await;
            notices.extend(report.notices);
            if report.outcome == PollOutcome::Quiet {
                return notices;
            }
            self.drain().await;
            self.account.vendor.advance(POLL_INTERVAL);
        }
        panic!("it does not settle: {notices:?}");
    }

    /// The same a few times, whatever the polls tell: behind an inclusive token the newest event comes again with every one.
    pub(crate) async fn repeat(&self) {
        for _ in 0..6 {
            self.tick().await;
            self.drain().await;
            self.account.vendor.advance(POLL_INTERVAL);
        }
    }

    /// How many records of a stream are stored and not marked deleted.
    pub(crate) fn stored_count(&self, stream: &str) -> usize {
        self.world.tables.with(|tables| {
            let records = tables.records.iter();
            records.filter(|(key, record)| key.stream.as_str() == stream && record.deleted.is_none()).count()
        })
    }

    /// The vendor's records, and ours, by stream and id; deleted ones are left out.
    pub(crate) fn compare(&self) {
        self.compare_with(&[]);
    }

    /// The same with further streams.
    pub(crate) fn compare_with(&self, further: &[&'static str]) {
        let mut truth = BTreeMap::new();
        for stream in RECORD_STREAMS.iter().chain(further).copied() {
            for (id, record) in self.account.vendor.truth(stream).unwrap() {
                if !record.deleted {
                    truth.insert((stream.to_owned(), id), record.body);
                }
            }
        }
        let stored: BTreeMap<(String, String), String> = self.world.tables.with(|tables| {
            let there = tables.records.iter().filter(|(_, record)| record.deleted.is_none());
            let text =
                |record: &tidemark_testkit::memory::StoredRecord| record.body.as_ref().unwrap().text().to_owned();
            there
                .map(|(key, record)| ((key.stream.as_str().to_owned(), key.id.as_str().to_owned()), text(record)))
                .collect()
        });
        let differing: Vec<_> =
            truth.keys().chain(stored.keys()).filter(|key| truth.get(*key) != stored.get(*key)).collect();
        assert!(differing.is_empty(), "{differing:?}");
    }
}

#[tokio::test]
async fn a_first_import_and_what_happens_meanwhile_arrive() {
    let stage = Stage::at(|_| {}, r#"{"list_page_size":3,"page_size":4}"#).await;
    let vendor = &stage.account.vendor;
    for stream in RECORD_STREAMS {
        vendor.seed_count(stream, 7).unwrap();
    }
    // While the lists are walked: an edit behind the walk, a deletion that moves rows, a new record.
    let job = vendor.truth("jobs").unwrap().into_keys().next().unwrap();
    vendor.hook(Hook::after_list("customers", Action::Edit(Change::of("jobs", &job)))).unwrap();
    vendor.hook(Hook::after_list("assets", Action::Delete(Change::of_first("assets", 1)))).unwrap();
    vendor.hook(Hook::after_list("invoices", Action::Add(Add::one("items")))).unwrap();
    stage.settle().await;
    stage.compare();
}

#[tokio::test]
async fn every_change_that_the_feed_tells_of_arrives() {
    for (inclusive, repeat_events, token_form) in
        [(false, false, TokenForm::Number), (true, true, TokenForm::Number), (false, true, TokenForm::Opaque)]
    {
        let quirks = |settings: &mut Settings| {
            settings.inclusive = inclusive;
            settings.repeat_events = repeat_events;
            settings.token_form = token_form;
        };
        let stage = Stage::at(quirks, r#"{"page_size":5}"#).await;
        let vendor = &stage.account.vendor;
        for stream in RECORD_STREAMS {
            vendor.seed_count(stream, 4).unwrap();
        }
        let catch_up = async || if inclusive { stage.repeat().await } else { drop(stage.settle().await) };
        catch_up().await;
        for round in 0..4 {
            for (number, stream) in RECORD_STREAMS.into_iter().enumerate() {
                let ids: Vec<String> = vendor.truth(stream).unwrap().into_keys().collect();
                let id = &ids[(number + round) % ids.len()];
                match (number + round) % 4 {
                    0 => vendor.edit(Change::of(stream, id).visible_after_ms(3_000)).map(drop).unwrap(),
                    1 => vendor.delete(Change::of(stream, id)).map(drop).unwrap(),
                    2 => vendor.add(Add::one(stream)).map(drop).unwrap(),
                    _ => {
                        vendor.delete(Change::of(stream, id)).unwrap();
                        vendor.undelete(Change::of(stream, id)).unwrap();
                        vendor.edit(Change::of(stream, id)).unwrap();
                    }
                }
            }
            if round % 2 == 0 {
                catch_up().await;
            }
        }
        vendor.advance(Duration::from_secs(3));
        catch_up().await;
        stage.compare();
    }
}

#[tokio::test]
async fn a_forgotten_token_leads_to_a_new_one_and_everything_is_listed_once() {
    let stage = Stage::at(|_| {}, r#"{"list_page_size":3}"#).await;
    let vendor = &stage.account.vendor;
    vendor.seed_count("customers", 8).unwrap();
    stage.settle().await;
    let mut custom = Change::of_first("customers", 2);
    custom.set.insert("customFields".to_owned(), serde_json::json!({"f1": 7}));
    vendor.edit(custom).unwrap();
    stage.settle().await;
    vendor.configure(|settings| settings.token_epoch = 1);
    let notices = stage.settle().await;
    assert!(notices.contains(&Notice::Resync), "{notices:?}");
    // What the feed had kept silent about came with the lists.
    stage.compare();
    vendor.reset_requests();
    assert!(!stage.settle().await.contains(&Notice::Resync));
}

#[tokio::test]
async fn changes_behind_many_pages_of_others_arrive() {
    let stage = Stage::at(|_| {}, r#"{"page_size":2,"record_streams":["jobs"]}"#).await;
    let vendor = &stage.account.vendor;
    stage.settle().await;
    vendor.add(Add { count: 70, ..Add::one("items") }).unwrap();
    let job = vendor.add(Add::one("jobs")).unwrap().ids.remove(0);
    // Pages without an event of a copied class are read on within the tick.
    assert_eq!(stage.tick().await.owed_count, 1);
    stage.settle().await;
    let stored: Vec<String> = stage
        .world
        .tables
        .with(|tables| tables.records.keys().map(|key| format!("{}/{}", key.stream, key.id)).collect());
    assert_eq!(stored, [format!("jobs/{job}")]);
}

#[tokio::test]
async fn an_idle_tick_costs_few_calls_and_no_detail() {
    let stage = Stage::at(|_| {}, "{}").await;
    let vendor = &stage.account.vendor;
    vendor.seed_count("customers", 3).unwrap();
    stage.settle().await;
    vendor.edit(Change::of_first("customers", 1)).unwrap();
    stage.settle().await;
    for _ in 0..10 {
        vendor.advance(POLL_INTERVAL);
        stage.tick().await;
        stage.drain().await;
    }
    vendor.reset_requests();
    vendor.advance(POLL_INTERVAL);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
    assert_eq!(stage.account.asked(), ["/changes/{token}/"]);
}
