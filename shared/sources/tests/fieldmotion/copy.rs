//! The source under the real poller and fetcher, with tables in memory: what the copy looks like in the end.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_engine::clock::StampMillis;
use tidemark_engine::poll::PollReport;
use tidemark_fakes::fieldmotion::{ListOrder, ListShape};
use tidemark_fakes::{Add, CallKind, Change, Effect, Fake, Fault, ShowStamp, ShownStamp};

use crate::account::{Account, account, id, source_at, stream};
use crate::ports::{POLL_INTERVAL, Ports};
use crate::support::answer;

/// One stream of an account, copied into memory.
struct Copy {
    account: Account,
    name: &'static str,
    ports: Ports,
}

impl Copy {
    async fn of(name: &'static str) -> Self {
        let account = account("{}").await;
        let source = source_at(account.vendor.url(), &account.vendor, "{}", &account.keys);
        let ports = Ports::new(source, &Fake::clone(&account.vendor));
        Self { account, name, ports }
    }

    /// A tick and the fetching of all that it sent, five minutes before the next.
    async fn sync(&self) -> PollReport {
        self.account.vendor.reset_requests();
        let report = self.ports.poll(&stream(self.name), "poller").await;
        self.ports.fetch_all().await;
        self.account.vendor.advance(POLL_INTERVAL);
        report
    }

    fn details(&self) -> usize {
        self.account.vendor.requests().iter().filter(|request| request.kind == CallKind::Detail).count()
    }

    /// The stored body of a record.
    fn stored(&self, text: &str) -> Option<String> {
        self.ports.tables.with(|tables| {
            let mut records = tables.records.iter().filter(|(key, _)| key.stream == stream(self.name));
            let (_, record) = records.find(|(key, _)| key.id == id(text))?;
            Some(record.body.as_ref().filter(|_| record.deleted.is_none())?.text().to_owned())
        })
    }

    /// The stored bodies of all records that are not marked deleted.
    fn stored_all(&self) -> BTreeMap<String, String> {
        let ids: Vec<_> = self.ports.tables.with(|tables| tables.records.keys().map(|key| key.id.clone()).collect());
        ids.iter().filter_map(|id| Some((id.as_str().to_owned(), self.stored(id.as_str())?))).collect()
    }

    /// The bodies of all records that the vendor has.
    fn truth(&self) -> BTreeMap<String, String> {
        let truth = self.account.vendor.truth(self.name).unwrap().into_iter();
        truth.filter(|(_, record)| !record.deleted).map(|(id, record)| (id, record.body)).collect()
    }

    fn stored_count(&self) -> usize {
        self.ports.tables.with(|tables| tables.records.values().filter(|record| record.deleted.is_none()).count())
    }

    fn set_aside(&self) -> BTreeSet<String> {
        self.ports.tables.with(|tables| tables.retries.values().map(|entry| entry.id.as_str().to_owned()).collect())
    }
}

/// Six customers whose detail is empty or refused for good.
#[tokio::test]
async fn records_that_answer_nothing_are_set_aside_and_all_others_stored() {
    let refused = |status| answer(status, r#"{"error":"no customer of this office"}"#);
    for effect in [Effect::EmptyBody, refused(403), refused(404), refused(410)] {
        let copy = Copy::of("customers").await;
        let vendor = &copy.account.vendor;
        vendor.seed_count("customers", 20).unwrap();
        let ids: Vec<String> = vendor.truth("customers").unwrap().into_keys().collect();
        let (empty, others) = ids.split_at(6);
        for text in empty {
            vendor.fault(Fault::new(effect.clone()).on_id(text)).unwrap();
        }
        for _ in 0..3 {
            copy.sync().await;
        }
        assert_eq!(copy.set_aside(), empty.iter().cloned().collect(), "{effect:?}");
        assert_eq!(copy.stored_count(), others.len(), "{effect:?}");
        // Later edits are stored, too.
        vendor.edit(Change::of("customers", &others[0]).set("notes", "later")).unwrap();
        copy.sync().await;
        assert!(copy.stored(&others[0]).unwrap().contains("later"), "{effect:?}");
    }
}

/// One record over which the vendor's program fails.
#[tokio::test]
async fn a_record_over_which_the_vendors_program_fails_stops_no_other() {
    let copy = Copy::of("customers").await;
    let vendor = &copy.account.vendor;
    vendor.seed_count("customers", 20).unwrap();
    let ids: Vec<String> = vendor.truth("customers").unwrap().into_keys().collect();
    let failing = Effect::Error(r#"Undefined array key "price""#.to_owned());
    vendor.fault(Fault::new(failing).on_id(&ids[0])).unwrap();
    copy.sync().await;
    assert_eq!(copy.details(), ids.len(), "a record's own failure is not tried again at once");
    assert_eq!(copy.set_aside(), BTreeSet::from([ids[0].clone()]));
    assert_eq!(copy.stored_count(), ids.len() - 1);
}

/// The list goes by another time than the rows have. How far back the list is asked follows the vendor's
/// clock, not the rows, so that the same ids are fetched at a few ticks and not at every one.
#[tokio::test]
async fn ids_that_are_listed_by_another_time_than_their_rows_bear_are_not_fetched_for_ever() {
    let copy = Copy::of("customers").await;
    let vendor = &copy.account.vendor;
    vendor.seed_count("customers", 30).unwrap();
    let ids: Vec<String> = vendor.truth("customers").unwrap().into_keys().collect();
    let all = Fault::new(answer(200, &serde_json::to_string(&ids).unwrap())).on_call(CallKind::List);
    let listed_as_of = StampMillis::new(vendor.now_ms());
    vendor.fault(all).unwrap();
    let asked_from = || {
        let list = vendor.requests().into_iter().find(|request| request.kind == CallKind::List);
        let from = list.and_then(|request| request.from).unwrap().replace(' ', "T");
        StampMillis::new(format!("{from}Z").parse::<jiff::Timestamp>().unwrap().as_millisecond())
    };
    copy.sync().await;
    // An edit whose stamp is fresh shows how far the stamps are behind the vendor's clock.
    vendor.edit(Change::of("customers", &ids[0])).unwrap();
    let mut tick_count = 0;
    while asked_from() <= listed_as_of {
        copy.sync().await;
        tick_count += 1;
        assert!(tick_count < 6, "the list is asked from {} for ever", asked_from());
    }
    vendor.clear_faults();
    for _ in 0..3 {
        copy.sync().await;
    }
    assert_eq!((copy.details(), copy.stored_count()), (0, 30));
}

#[tokio::test]
async fn rows_are_stored_as_they_are_listed() {
    let copy = Copy::of("users").await;
    let (one, two) =
        (r#"{"id":"1","name":"a\/b","last_edited":"2025-07-20 17:29:57"}"#, r#"{"id":"2","last_edited":""}"#);
    let list = Fault::new(answer(200, &format!("[{one},{two}]"))).on_function("Users_list");
    copy.account.vendor.fault(list).unwrap();
    for _ in 0..3 {
        copy.sync().await;
    }
    assert_eq!((copy.stored("1").as_deref(), copy.stored("2").as_deref()), (Some(one), Some(two)));
    assert_eq!(copy.details(), 0);
}

#[tokio::test]
async fn a_world_of_rows_is_copied_and_kept_up_to_date() {
    for (name, list_shape) in
        [("users", ListShape::Strings), ("vehicles", ListShape::Numbers), ("departments", ListShape::Gaps)]
    {
        let copy = Copy::of(name).await;
        let vendor = &copy.account.vendor;
        vendor.configure(|settings| {
            settings.list_shape = list_shape;
            settings.list_order = ListOrder::Shuffled;
        });
        let ids = vendor.seed_count(name, 12).unwrap();
        let unstamped = ShowStamp { stream: name.to_owned(), id: ids[11].clone(), shown: ShownStamp::Missing };
        vendor.show_stamp(&unstamped).unwrap();
        copy.sync().await;
        copy.sync().await;
        assert_eq!(copy.stored_all(), copy.truth(), "{name}: the first import");
        vendor.edit(Change::of_first(name, 3).set("name", "Zoë / two")).unwrap();
        let added = vendor.add(Add::one(name)).unwrap().ids;
        // Stamped now, shown only once the next tick is over.
        vendor.edit(Change::of(name, &ids[5]).visible_after_ms(60_000)).unwrap();
        for _ in 0..3 {
            copy.sync().await;
        }
        assert_eq!(copy.stored_all(), copy.truth(), "{name}: edits");
        assert!(copy.stored(&ids[2]).unwrap().contains(r"Zo\u00eb \/ two") && copy.stored(&added[0]).is_some());
        // A list of changes does not tell that a record is gone: it stays as it was.
        let last_seen = copy.stored(&ids[0]).unwrap();
        vendor.delete(Change::of(name, &ids[0])).unwrap();
        vendor.edit(Change::of(name, &ids[1])).unwrap();
        for _ in 0..3 {
            copy.sync().await;
        }
        let expected = copy.truth().into_iter().chain([(ids[0].clone(), last_seen)]).collect();
        assert_eq!(copy.stored_all(), expected, "{name}: a deletion");
        assert_eq!((copy.details(), copy.set_aside()), (0, BTreeSet::new()), "{name}");
        assert!(vendor.requests().iter().all(|list| list.from.is_some()), "{name}: only changes are listed by now");
    }
}
