//! `init`: the dialogue, the secret and the parameters.

use std::fs;

use secrecy::ExposeSecret;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::secrets::SourceSecret;
use tidemark_engine::ports::Credentials;

use crate::stage::{Ran, Stage, emulator};

/// What a secret holds.
async fn kept(name: &str) -> String {
    let (_, sdk) = emulator().await;
    let secret = SourceSecret::new(&sdk, name, SystemClock).secret().await.unwrap();
    secret.expose_secret().to_owned()
}

fn assert_hides(ran: &Ran) {
    assert!(!format!("{ran}").contains("s3cret"), "{ran}");
}

#[tokio::test]
async fn a_credential_is_kept_and_never_shown() {
    let stage = Stage::fresh().await;
    let ran = stage.answer("init fieldly", "y\nclient\n s3cret \n").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_hides(&ran);
    assert!(ran.notes.contains("client_id: ") && ran.notes.contains("client_secret: "), "{ran}");
    assert!(ran.out.contains("FieldlySecretArn=arn:aws:secretsmanager:"), "{ran}");
    assert!(ran.out.ends_with("next: make deploy\nnext: tidemark doctor fieldly\n"), "{ran}");
    let name = format!("{}/fieldly", stage.name());
    assert_eq!(kept(&name).await, r#"{"client_id":"client","client_secret":"s3cret"}"#);
    let audit = stage.run("audit").await;
    assert!(audit.out.contains("init") && audit.out.contains("fieldly"), "{audit}");

    let again = stage.answer("init fieldly", "y\nclient\nanother\n").await;
    assert_eq!(again.code, 0, "{again}");
    assert!(kept(&name).await.contains("another"));
}

#[tokio::test]
async fn fieldmotion_is_asked_for_its_address() {
    let stage = Stage::fresh().await;
    let secret = format!("--secret {}/other", stage.name());
    let ran = stage.answer(&format!("init fieldmotion {secret}"), "y\nftp://cp13\n").await;
    assert_eq!(ran.code, 2, "{ran}");
    let order = "asked for, in this order: address of the account, api_id, api_key\n";
    assert!(format!("{ran}").contains(order), "{ran}");
    assert!(ran.notes.contains("FieldMotionBaseUrl is not right") && ran.notes.contains("next: enter"), "{ran}");
    let ran =
        stage.answer(&format!("init fieldmotion {secret}"), "y\nhttps://cp13.fieldmotion.com\nid\ns3cret\n").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.out.contains("FieldMotionBaseUrl=https://cp13.fieldmotion.com"), "{ran}");
    assert_hides(&ran);
}

#[tokio::test]
async fn parameters_are_written_into_samconfig() {
    let stage = Stage::fresh().await;
    let file = std::env::temp_dir().join(format!("{}.toml", stage.name()));
    fs::write(&file, "# ours\nversion = 0.1\n\n[default.deploy.parameters]\nstack_name = \"tidemark\"\n").unwrap();
    let line = format!("init fsmnavigator --yes --samconfig {}", file.display());
    let (_, sdk) = emulator().await;
    let ran = stage.run_as(sdk, tidemark_cli::Terminal::none(), &line, "s3cret\n").await;
    let written = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(ran.code, 0, "{ran}");
    assert!(written.starts_with("# ours\n") && written.contains("stack_name = \"tidemark\"\n"), "{written}");
    assert!(written.contains("parameter_overrides = [\"FsmNavigatorSecretArn=arn:aws:secretsmanager:"), "{written}");
    assert_hides(&ran);
}

#[tokio::test]
async fn it_works_before_anything_is_deployed_and_asks_first() {
    let stage = Stage::fresh().await;
    let ran = stage.run("init fieldaware").await;
    assert_eq!(ran.code, 2, "{ran}");
    let stack = format!("--stack nowhere-{}", stage.name());
    let ran = stage.answer(&format!("init fieldaware {stack}"), "y\ns3cret\n").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(kept(&format!("nowhere-{}/fieldaware", stage.name())).await, r#"{"token":"s3cret"}"#);
    let none = stage.answer(&format!("init fieldaware {stack}"), "y\n\n").await;
    assert_eq!(none.code, 1, "{none}");
    assert!(none.notes.contains("nothing was done: no token was entered"), "{none}");
    let planned = stage.run("init fieldaware --dry-run").await;
    assert!(planned.code == 0 && planned.out.contains("nothing was done"), "{planned}");
}
