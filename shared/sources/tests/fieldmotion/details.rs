//! Single records.

use tidemark_engine::change::Found;
use tidemark_engine::clock::StampMillis;
use tidemark_fakes::Change;
use tidemark_fakes::fieldmotion::Vanished;

use crate::account::account;

#[tokio::test]
async fn a_record_is_kept_byte_for_byte_as_the_vendor_sent_it() {
    let all_customer_fields = [
        "id",
        "name",
        "email",
        "notes",
        "last_edited",
        "last_edited_all",
        "cdate",
        "street_address1",
        "street_address2",
        "town",
        "county",
        "city",
        "state",
        "country",
        "postcode",
        "landline",
        "mobile",
        "contact_name",
        "account_number",
        "parent_id",
        "latitude",
        "longitude",
        "is_active",
        "custom_values",
        "meta",
        "files",
        "contacts",
        "department_id",
        "area_id",
        "type",
        "price_band",
        "credit_terms",
        "industry",
        "changes",
        "edited_uuid",
        "appId",
        "appointments_open",
        "appointments_closed",
        "callback",
        "callback_notes",
        "account_manager",
        "lead_acc",
        "created_by",
        "is_flagged",
        "has_invoices",
        "accounts_name",
        "accounts_number",
    ];
    let account = account("{}").await;
    account.vendor.seed_count("customers", 30).unwrap();
    let fields = all_customer_fields.map(str::to_owned);
    for (id, record) in account.vendor.truth_of_fields("customers", &fields).unwrap() {
        assert_eq!(account.fetched("customers", &id).await.1, record.body);
    }
    // The jobs' default fields are those of the vendor's sample row.
    account.vendor.seed_count("jobs", 3).unwrap();
    let (_, body, _) = account.fetched("jobs", "622081").await;
    for field in account.fields_of("jobs") {
        assert!(body.contains(&format!("\"{field}\":")), "{field} was not asked for");
    }
}

#[tokio::test]
async fn records_that_are_gone_are_told_from_failures() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 2).unwrap();
    account.vendor.delete(Change::of("customers", "683136")).unwrap();
    for vanished in [Vanished::Null, Vanished::False, Vanished::Empty] {
        account.vendor.configure(|settings| settings.vanished = vanished);
        assert_eq!(account.fetch("customers", "683136").await.unwrap().found, Found::Gone, "{vanished:?}");
    }
    assert!(matches!(account.fetch("customers", "683137").await.unwrap().found, Found::Record { .. }));
}

#[tokio::test]
async fn stamps_that_are_missing_or_nonsense_are_none() {
    use tidemark_fakes::{ShowStamp, ShownStamp};
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    for (shown, expected) in [
        (ShownStamp::Missing, None),
        (ShownStamp::Text(String::new()), None),
        (ShownStamp::Text("0000-00-00 00:00:00".to_owned()), None),
        (ShownStamp::Text("soon".to_owned()), None),
        (ShownStamp::Text("2099-01-01 00:00:00".to_owned()), Some(StampMillis::new(4_070_908_800_000))),
        (ShownStamp::Text("2026-07-01T12:00:00+02:00".to_owned()), Some(StampMillis::new(1_782_900_000_000))),
    ] {
        let show = ShowStamp { stream: "customers".to_owned(), id: "683136".to_owned(), shown };
        account.vendor.show_stamp(&show).unwrap();
        assert_eq!(account.fetched("customers", "683136").await.2, expected, "{show:?}");
    }
}

#[tokio::test]
async fn stock_containers_are_their_ids_and_cost_no_call() {
    let account = account("{}").await;
    let (id, body, stamp) = account.fetched("stock_containers", "5\"").await;
    assert_eq!((id.as_str(), body.as_str(), stamp), ("5\"", r#"{"id":"5\""}"#, None));
    assert_eq!(account.vendor.request_counts().total, 0);
}
