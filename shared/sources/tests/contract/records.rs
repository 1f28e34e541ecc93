//! Single records.

use tidemark_engine::change::Found;
use tidemark_fakes::{CallKind, Change, Effect, Fault};

use crate::Vendor;
use crate::support::answer;
use crate::world::World;

pub(crate) async fn a_record_is_fetched_byte_for_byte<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(12).await;
    let truth = world.vendor.truth(V::RECORDS).unwrap();
    for listed in ids {
        let record = world.record_of(&listed);
        let expected = &truth[record.as_str()];
        let Found::Record { id, body, stamp } = world.fetch(&listed).await.unwrap().found else {
            panic!("{record} is gone");
        };
        assert_eq!((&id, body.text()), (&record, V::stored_body(expected)));
        assert_eq!(stamp.as_ref().map(|stamp| stamp.at), V::stamp_of(expected));
        assert_eq!(stamp.as_ref().and_then(|stamp| world.stamp(&stamp.text)), stamp, "read again from its text");
    }
}

/// Kind: sweeps. What is stored can be compared with what is listed, and asked for when it is not.
pub(crate) async fn a_stored_record_has_one_id_in_lists<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(3).await;
    for listed in ids {
        let (records, back) = world.there_and_back(&listed);
        assert_eq!(back, Some(listed));
        assert!(world.swept().contains(&records), "{records} is compared");
    }
}

/// Kind: stamps. What is no time is none, so that nothing is ordered by it.
pub(crate) async fn a_text_that_is_no_time_is_no_stamp<V: Vendor>() {
    let world = World::<V>::start().await;
    for text in [
        "",
        " ",
        "null",
        "0000-00-00 00:00:00",
        "0000-00-00T00:00:00Z",
        "2026-02-30 10:00:00",
        "2026-02-30T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T10:00:00+99:00",
        "99999999999999999999",
        "yesterday",
        "\u{662}\u{660}\u{662}\u{666}-01-01 10:00:00",
        "2026-01-01T10:00:00Z; DROP TABLE",
        "2026-01-01T10:00:00[Europe/Berlin]",
        "/Date(1768469400000+0100)/",
        "2026-W03-4T09:30:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-00T10:00:00Z",
        "2026-01-01T10:61:00Z",
        "26-01-15T09:30:00Z",
        "2026/01/15 09:30:00",
        "15.01.2026 09:30:00",
        "Thu, 15 Jan 2026 09:30:00 GMT",
        "1768469400",
        "2026-1-5T9:30:00Z",
        "infinity",
        "+1 day",
    ] {
        assert_eq!(world.stamp(text), None, "{text}");
    }
}

/// Kind: stamps. An offset counts, however it is written.
pub(crate) async fn a_stamp_is_read_with_its_own_offset<V: Vendor>() {
    let world = World::<V>::start().await;
    for text in [
        "2026-01-15T09:30:00Z",
        "2026-01-15t09:30:00z",
        "2026-01-15T09:30:00.000000000Z",
        "2026-01-15T09:30:00-00:00",
        "2026-01-15 09:30:00+00:00",
        "2026-01-15T10:30:00+01:00",
        "2026-01-15T10:30:00+0100",
        "2026-01-15T10:30:00+01",
        "2026-01-15T04:00:00-05:30",
        "2026-01-15T23:30:00+14:00",
        "2026-01-15T10:30:00+01:00[Europe/Berlin]",
    ] {
        let utc = world.stamp(text).map(|stamp| stamp.utc.get());
        assert_eq!(utc, Some(1_768_469_400_000), "{text}");
    }
}

pub(crate) async fn a_vanished_record_is_gone_and_the_others_are_not<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    let vanished = world.record_of(&ids[0]);
    world.vendor.delete(Change::of(V::RECORDS, vanished.as_str())).unwrap();
    assert_eq!(world.fetch(&ids[0]).await.unwrap().found, Found::Gone);
    assert!(matches!(world.fetch(&ids[1]).await.unwrap().found, Found::Record { .. }));
}

pub(crate) async fn an_answer_about_another_record_says_so<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    let other = world.record_of(&ids[1]);
    let effect = Effect::OtherId { id: other.as_str().to_owned() };
    world.vendor.fault(Fault::new(effect).on_call(CallKind::Detail)).unwrap();
    let Found::Record { id, .. } = world.fetch(&ids[0]).await.unwrap().found else { panic!("it is gone") };
    assert_eq!(id, other);
}

/// Kind: absence is believed of a record alone. A "not found" that speaks of the address says nothing of it.
pub(crate) async fn a_not_found_that_speaks_of_the_address_deletes_nothing<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    for message in ["Endpoint not found", "Unknown route GET /x/7", "API version not found", "No such page."] {
        for (status, body) in [
            (404, format!(r#"{{"success":false,"error":"not_found","message":"{message}"}}"#)),
            (200, format!(r#"{{"success":false,"error":"not_found","message":"{message}"}}"#)),
            (404, format!(r#"{{"error":{{"name":"NotFoundError","message":"{message}"}}}}"#)),
            (404, format!(r#"{{"errors":{{"route":["{message}"]}}}}"#)),
            (404, format!(r#"{{"error":"{message}"}}"#)),
        ] {
            for kind in [CallKind::List, CallKind::Detail] {
                world.vendor.fault(Fault::new(answer(status, &body)).on_call(kind)).unwrap();
            }
            let found = world.fetch(&ids[0]).await.map(|detail| detail.found);
            world.vendor.clear_faults();
            assert!(matches!(found, Ok(Found::Missing) | Err(_)), "{status} {body}: {found:?}");
        }
    }
}

/// Kind: absence. Nothing beside words that nobody knows, as of an account that is closed, is no absence of a record.
pub(crate) async fn nothing_beside_unknown_words_is_no_absence<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    for body in [
        r#"{"data":null,"message":"Your trial is over"}"#,
        r#"{"data":null,"status":"suspended"}"#,
        r#"{"data":[],"message":"Votre compte est suspendu"}"#,
        r#"{"success":true,"data":null,"code":40001}"#,
    ] {
        for kind in [CallKind::List, CallKind::Detail] {
            world.vendor.fault(Fault::new(answer(200, body)).on_call(kind)).unwrap();
        }
        let found = world.fetch(&ids[0]).await.map(|detail| detail.found);
        world.vendor.clear_faults();
        assert!(found.is_err(), "{body}: {found:?}");
    }
}
