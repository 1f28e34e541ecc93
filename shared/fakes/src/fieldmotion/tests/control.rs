use super::*;
use crate::Ports;

/// The control API of a fake, as a program uses it.
struct Control {
    fake: FakeFieldMotion,
    http: Client,
}

impl Control {
    async fn start() -> Self {
        let ports = Ports { vendor: 0, control: Some(0) };
        let options = FieldMotionOptions { ports, ..FieldMotionOptions::default() };
        Self { fake: FakeFieldMotion::start_with(options).await.unwrap(), http: http() }
    }

    fn url(&self, path: &str) -> String {
        self.fake.control_url().unwrap().to_owned() + path
    }

    async fn tell(&self, path: &str, body: &str) -> (u16, Value) {
        let response = self.http.post(self.url(path)).body(body.to_owned()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn told(&self, path: &str, body: &str) -> Value {
        let (status, answer) = self.tell(path, body).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    async fn ask(&self, path: &str) -> (u16, Value) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }
}

#[tokio::test]
async fn records_are_made_changed_and_shown() {
    let control = Control::start().await;
    let seeded = control.told("/seed", r#"{"stream":"customers","count":3}"#).await;
    assert_eq!(seeded, json!({"ok": true, "count": 3, "first_id": "683136", "last_id": "683138"}));
    let added = control.told("/add", r#"{"stream":"customers","id":"a#b"}"#).await;
    assert_eq!(added["ids"], json!(["a#b"]));
    let edit = r#"{"stream":"customers","ids":["683136","683137"],"set":{"name":"Ü"},"visible_after_ms":0}"#;
    let edited = control.told("/edit", edit).await;
    assert_eq!(edited["ids"], json!(["683136", "683137"]));
    control.told("/delete", r#"{"stream":"customers","id":"683138"}"#).await;
    control.told("/deactivate", r#"{"stream":"customers","id":"683137"}"#).await;
    let (_, truth) = control.ask("/truth?stream=customers&fields=id,name").await;
    let records = &truth["records"];
    assert_eq!(records["683136"]["row"], json!({"id": "683136", "name": "Ü"}));
    assert_eq!(records["683136"]["body"], r#"{"id":"683136","name":"\u00dc"}"#);
    assert_eq!(records["683136"]["last_edited"], edited["stamp"]);
    assert_eq!((&records["683138"]["deleted"], &records["683137"]["active"]), (&json!(true), &json!(false)));
    control.told("/undelete", r#"{"stream":"customers","id":"683138"}"#).await;
    control.told("/activate", r#"{"stream":"customers","id":"683137"}"#).await;
    assert_eq!(listed(&control.fake, OLD).await.as_array().unwrap().len(), 4);
    let (_, status) = control.ask("/status").await;
    assert_eq!((&status["vendor"], &status["records"]["customers"]), (&json!("fieldmotion"), &json!(4)));
}

#[tokio::test]
async fn records_that_are_listed_as_rows_are_made_changed_and_shown_alike() {
    let control = Control::start().await;
    for (stream, function, first) in [
        ("users", "Users_list", 58_300),
        ("vehicles", "Vehicles_list", 33_700),
        ("departments", "Departments_list", 427_100),
    ] {
        let ids: Vec<String> = (first..first + 3).map(|id: u32| id.to_string()).collect();
        let seeded = control.told("/seed", &json!({"stream": stream, "count": 2}).to_string()).await;
        assert_eq!(seeded, json!({"ok": true, "count": 2, "first_id": ids[0], "last_id": ids[1]}));
        let added = control.told("/add", &json!({"stream": stream, "set": {"name": "three"}}).to_string()).await;
        assert_eq!(added["ids"], json!(ids[2..]));
        let edit = json!({"stream": stream, "id": ids[1], "set": {"name": "two"}});
        control.told("/edit", &edit.to_string()).await;
        control.told("/delete", &json!({"stream": stream, "id": ids[0]}).to_string()).await;
        let rows = text(&control.fake, function, &[("fields", r#"["id","name"]"#)]).await;
        let (_, truth) = control.ask(&format!("/truth?stream={stream}&fields=id,name")).await;
        let records = &truth["records"];
        let [two, three] = [&ids[1], &ids[2]].map(|id| records[id]["body"].as_str().unwrap());
        assert_eq!(rows, format!("[{two},{three}]"));
        assert_eq!((&records[&ids[0]]["deleted"], &records[&ids[1]]["row"]["name"]), (&json!(true), &json!("two")));
    }
    assert_eq!(control.ask("/status").await.1["records"]["departments"], 3);
}

#[tokio::test]
async fn every_documented_body_is_understood() {
    let control = Control::start().await;
    control
        .told("/seed", r#"{"stream":"customers","count":3,"first_stamp":"2024-01-01 00:00:00","every_seconds":0}"#)
        .await;
    for (path, body) in [
        ("/hook", r#"{"on":"list","stream":"customers","action":{"edit":{"stream":"customers","first":1}}}"#),
        (
            "/hook",
            r#"{"on":"detail","id":"683136","when":"before","times":2,"action":{"add":{"stream":"jobs","count":2}}}"#,
        ),
        ("/poison", r#"{"stream":"customers","id":"683136"}"#),
        ("/poison", r#"{"stream":"customers","ids":["683136"],"effect":{"error":"internal"}}"#),
        ("/heal", r#"{"stream":"customers","id":"683136"}"#),
        ("/heal", ""),
        ("/stamp", r#"{"stream":"customers","id":"683136","shown":{"text":"2099-01-01 00:00:00"}}"#),
        ("/stamp", r#"{"stream":"customers","id":"683136","shown":"missing"}"#),
        ("/stamp", r#"{"stream":"customers","id":"683136","shown":"real"}"#),
        ("/fault", r#"{"effect":"empty_body"}"#),
        ("/fault", r#"{"effect":"not_logged_in","function":"Jobs_getById"}"#),
        ("/fault", r#"{"effect":"maintenance_page","call":"list","times":2,"skip":1}"#),
        ("/fault", r#"{"effect":"wrong_shape","stream":"jobs","id":"1"}"#),
        ("/fault", r#"{"effect":"cut_before_answer"}"#),
        ("/fault", r#"{"effect":{"delay":{"ms":20}},"call":"detail"}"#),
        ("/fault", r#"{"effect":{"answer":{"status":500}}}"#),
        (
            "/fault",
            r#"{"effect":{"answer":{"status":403,"body":"no","content_type":"text/plain","headers":{"A":"b"}}}}"#,
        ),
        ("/fault", r#"{"effect":{"throttled":{"status":429,"retry_after":{"seconds":2}}}}"#),
        ("/fault", r#"{"effect":{"throttled":{"status":503,"retry_after":{"date_in_seconds":60}}}}"#),
        ("/fault", r#"{"effect":{"throttled":{"status":429,"retry_after":{"text":"junk"}}}}"#),
        ("/fault", r#"{"effect":{"error":"text"}}"#),
        ("/fault", r#"{"effect":{"deep_json":{"depth":10000}}}"#),
        ("/fault", r#"{"effect":{"endless_body":{"bytes":1000000}}}"#),
        ("/fault", r#"{"effect":{"other_id":{"id":"5"}}}"#),
        ("/fault", r#"{"effect":{"redirect":{"status":302,"to":"http://127.0.0.1:1/"}}}"#),
        ("/fault", r#"{"effect":{"cut_head":{"after_bytes":20}}}"#),
        ("/fault", r#"{"effect":{"cut_body":{"after_bytes":5}}}"#),
        ("/fault", r#"{"effect":{"cut_body":{"after_bytes":5,"reset":true}}}"#),
        ("/fault", r#"{"effect":{"truncate":{"bytes":5}}}"#),
        ("/fault", r#"{"effect":{"slow_body":{"bytes":1,"every_ms":100}}}"#),
        ("/clear_faults", ""),
        ("/credentials", r#"{"api_id":"123","api_key":"second","keep_old":true}"#),
        ("/settings", r#"{"list_shape":"numbers","inclusive":true,"zone_offset_seconds":3600}"#),
        ("/clock", r#"{"offset_ms":0,"frozen":true,"date":"absent"}"#),
        ("/clock", r#"{"advance_ms":1000,"date":{"skewed_seconds":-60}}"#),
        ("/clock", r#"{"frozen":false,"date":"present"}"#),
        ("/hold", r#"{"stream":"customers","id":"683136"}"#),
        ("/hold", r#"{"call":"list","stream":"customers","times":1,"stale":true}"#),
        ("/release", r#"{"stream":"customers","id":"683136"}"#),
        ("/release", ""),
        ("/reset_requests", ""),
    ] {
        control.told(path, body).await;
    }
    assert_eq!(listed(&control.fake, OLD).await, json!([683_136, 683_137, 683_138]));
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let control = Control::start().await;
    for (path, body, said) in [
        (
            "/seed",
            r#"{"stream":"clients","count":1}"#,
            "unknown stream \"clients\"; the streams are asset_types, assets,",
        ),
        ("/seed", "", "missing field"),
        ("/edit", r#"{"stream":"customers","id":"1"}"#, "has no record \"1\""),
        ("/edit", r#"{"stream":"customers","idd":"1"}"#, "unknown field `idd`"),
        ("/fault", r#"{"effect":"explode"}"#, "unknown variant `explode`"),
        ("/settings", r#"{"list_shpae":"numbers"}"#, "list_shpae"),
        ("/credentials", r#"{"api_id":"1"}"#, "api_key"),
        ("/mode", r#"{"mode":"sideways"}"#, "sideways"),
    ] {
        let (status, answer) = control.tell(path, body).await;
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains(said), "{path}: {answer}");
    }
    assert_eq!(control.ask("/truth?stream=clients").await.0, 400);
    assert_eq!(control.ask("/held?wait_ms=1").await.0, 408);
}

#[tokio::test]
async fn an_outage_and_its_end_are_told() {
    let control = Control::start().await;
    control.told("/mode", r#"{"mode":"down"}"#).await;
    assert!(call(&control.fake, LIST, &[("from", OLD)]).await.is_err());
    control.told("/mode", r#"{"mode":"up"}"#).await;
    assert_eq!(listed(&control.fake, OLD).await, json!([]));
    let (_, requests) = control.ask("/requests").await;
    assert_eq!(requests["counts"]["total"], 1);
    assert_eq!(requests["requests"][0]["function"], LIST);
    assert_eq!(control.ask("/requests?counts_only=true").await.1["requests"], Value::Null);
}

#[tokio::test]
async fn a_held_request_is_waited_for_and_released() {
    let control = Control::start().await;
    control.told("/seed", r#"{"stream":"customers","count":1}"#).await;
    control.told("/hold", r#"{"stream":"customers","id":"683136"}"#).await;
    let release = async {
        let (status, held) = control.ask("/held?stream=customers&id=683136&wait_ms=20000").await;
        assert_eq!((status, &held["held"][0]["id"]), (200, &json!("683136")));
        control.told("/release", "{}").await;
    };
    let (name, ()) = tokio::join!(name_of(&control.fake, "683136"), release);
    assert!(!name.is_empty());
}

#[tokio::test]
async fn a_shutdown_ends_vendor_and_control() {
    let control = Control::start().await;
    control.told("/shutdown", "").await;
    control.fake.stopped().await;
    assert!(call(&control.fake, LIST, &[("from", OLD)]).await.is_err());
}
