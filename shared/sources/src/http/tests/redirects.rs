//! Redirects, and addresses that are never called.

use super::*;

fn moved(location: &str) -> Vec<u8> {
    answer("301 Moved Permanently", &format!("Location: {location}\r\n"), b"")
}

fn paths(server: &mut Server) -> Vec<String> {
    let mut paths = Vec::new();
    while let Ok(request) = server.requests.try_recv() {
        paths.push(request.split(' ').nth(1).unwrap().to_owned());
    }
    paths
}

#[tokio::test]
async fn a_get_is_sent_once_to_the_same_address_with_another_slash() {
    for (segments, location, asked, followed) in [
        (&["jobs"][..], "/a/jobs/", "/a/jobs?page=2", "/a/jobs/?page=2"),
        (&["jobs", ""], "/a/jobs?page=2", "/a/jobs/?page=2", "/a/jobs?page=2"),
    ] {
        let mut server = Server::start(Act::At(asked, moved(location))).await;
        let client = client(&server.url(), &[]);
        for _ in 0..2 {
            assert_eq!(get_by(&client, segments, &[("page", "2")]).await.unwrap().body, b"[]");
        }
        assert_eq!(paths(&mut server), [asked, followed, asked, followed]);
    }
}

#[tokio::test]
async fn a_redirect_in_circles_is_left() {
    let mut server = Server::start(Act::Say(moved("/a/jobs/"))).await;
    let failure = get_by(&client(&server.url(), &[]), &["jobs"], &[]).await.err().unwrap();
    assert_eq!(failure.class, FailureClass::Transient);
    assert!(failure.cause.contains("redirect"), "{failure}");
    assert_eq!(paths(&mut server), ["/a/jobs", "/a/jobs/"]);
}

#[tokio::test]
async fn no_other_redirect_is_followed_and_each_is_named() {
    for (location, said) in
        [("/login", "perhaps a login"), ("https://elsewhere.example/a/jobs/", "it sends callers elsewhere")]
    {
        let mut server = Server::start(Act::Say(moved(location))).await;
        let failure = get_by(&client(&server.url(), &[]), &["jobs"], &[]).await.err().unwrap();
        assert!(failure.next_step.unwrap().contains(said), "{failure:?}");
        assert!(!failure.cause.contains("example"), "{failure}");
        assert_eq!(paths(&mut server).len(), 1);
    }
}

#[tokio::test]
async fn a_post_is_not_sent_again_even_for_a_slash() {
    let act = Act::Say(moved("/a/Jobs_getById/"));
    let failure = failure(act, DETAIL).await;
    assert!(failure.cause.contains("only adds or removes a slash"), "{failure}");
    assert!(failure.next_step.unwrap().contains("write the address as the vendor does"));
}

#[tokio::test]
async fn an_id_that_no_address_can_hold_is_never_sent() {
    for id in [".", "..", "a\tb", "a\r\nX: y", "\0"] {
        let mut server = Server::start(Act::Say(answer("200 OK", "", b"{}"))).await;
        let client = client(&server.url(), &[]);
        let failure = get_by(&client, &["jobs", id], &[]).await.err().unwrap();
        assert_eq!(failure.class, FailureClass::Forbidden, "the path of a list comes from the settings");
        let turn = client.turn().await;
        let segments = ["jobs", id];
        let request = Request {
            call: "GET /jobs/..",
            segments: &segments,
            query: &[],
            credential: None,
            form: None,
            terms: DETAIL,
        };
        let problem = client.send(turn, request).await.err().unwrap();
        assert_eq!(problem.class(Purpose::Detail), FailureClass::Record, "{id:?}");
        assert_eq!(paths(&mut server), [""; 0], "{id:?}");
    }
}
