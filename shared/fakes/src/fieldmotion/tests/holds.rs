use super::*;
use crate::{Change, Hold, HoldFilter, Mode};

#[tokio::test]
async fn a_held_request_is_answered_when_released() {
    let (fake, ids) = with_customers(2).await;
    let filter = HoldFilter::of("customers", &ids[0]);
    fake.hold(Hold::detail("customers", &ids[0])).unwrap();
    assert!(!name_of(&fake, &ids[1]).await.is_empty());
    let release = async {
        let held = fake.wait_held(&filter, LIMIT).await.unwrap();
        assert_eq!(held[0].id.as_deref(), Some(ids[0].as_str()));
        assert_eq!(fake.requests().last().unwrap().status, None);
        fake.edit(Change::of("customers", &ids[0]).set("name", "meanwhile")).unwrap();
        fake.release(&filter);
    };
    let (name, ()) = tokio::join!(name_of(&fake, &ids[0]), release);
    assert_eq!(name, "meanwhile");
    assert!(fake.held(&HoldFilter::default()).is_empty());
    assert_eq!(name_of(&fake, &ids[0]).await, "meanwhile");
}

#[tokio::test]
async fn a_stale_answer_misses_what_happened_while_it_was_held() {
    let (fake, ids) = with_customers(1).await;
    let before = name_of(&fake, &ids[0]).await;
    fake.hold(Hold { stale: true, ..Hold::detail("customers", &ids[0]) }).unwrap();
    let release = async {
        fake.wait_held(&HoldFilter::default(), LIMIT).await.unwrap();
        fake.edit(Change::of("customers", &ids[0])).unwrap();
        fake.release(&HoldFilter::default());
    };
    let (name, ()) = tokio::join!(name_of(&fake, &ids[0]), release);
    assert_eq!(name, before);
    assert_ne!(name_of(&fake, &ids[0]).await, before);
}

#[tokio::test]
async fn a_hold_can_be_for_one_request_only() {
    let (fake, ids) = with_customers(1).await;
    fake.hold(Hold { times: Some(1), ..Hold::detail("customers", &ids[0]) }).unwrap();
    let second = async {
        fake.wait_held(&HoldFilter::default(), LIMIT).await.unwrap();
        let name = name_of(&fake, &ids[0]).await;
        fake.release(&HoldFilter::default());
        name
    };
    let (first, second) = tokio::join!(name_of(&fake, &ids[0]), second);
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_list_can_be_held() {
    let (fake, ids) = with_customers(1).await;
    fake.hold(Hold::list("customers")).unwrap();
    let release = async {
        let held = fake.wait_held(&HoldFilter::default(), LIMIT).await.unwrap();
        assert_eq!(held[0].function, LIST);
        fake.release(&HoldFilter { stream: Some("customers".to_owned()), id: None });
    };
    assert_eq!(tokio::join!(listed(&fake, OLD), release).0, json!(ids));
}

#[tokio::test]
async fn a_client_that_goes_away_is_held_no_longer() {
    let (fake, ids) = with_customers(1).await;
    let filter = HoldFilter::of("customers", &ids[0]);
    fake.hold(Hold::detail("customers", &ids[0])).unwrap();
    let killed = async {
        let parameters = [("id", ids[0].as_str())];
        tokio::select! {
            _answer = call(&fake, DETAIL, &parameters) => panic!("it is held"),
            held = fake.wait_held(&filter, LIMIT) => held.unwrap(),
        }
    };
    let number = killed.await[0].number;
    while !fake.held(&filter).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.requests().iter().find(|request| request.number == number).unwrap().status, None);
    // The hold itself still stands, for the next try.
    let release = async {
        fake.wait_held(&filter, LIMIT).await.unwrap();
        fake.release(&filter);
    };
    let (name, ()) = tokio::join!(name_of(&fake, &ids[0]), release);
    assert!(!name.is_empty());
}

#[tokio::test]
async fn going_down_ends_what_is_held() {
    let (fake, ids) = with_customers(1).await;
    fake.hold(Hold::detail("customers", &ids[0])).unwrap();
    let down = async {
        fake.wait_held(&HoldFilter::default(), LIMIT).await.unwrap();
        fake.set_mode(Mode::Down);
    };
    let parameters = [("id", ids[0].as_str())];
    let (answer, ()) = tokio::join!(call(&fake, DETAIL, &parameters), down);
    assert!(answer.is_err());
    assert!(fake.held(&HoldFilter::default()).is_empty());
}

#[tokio::test]
async fn waiting_for_what_never_comes_has_an_end() {
    let (fake, _) = with_customers(1).await;
    let error = fake.wait_held(&HoldFilter::default(), Duration::from_millis(10)).await.unwrap_err();
    assert_eq!(error.to_string(), "no such request was held within 10 ms");
}
