//! Credentials that are rejected, rotated or broken.

use tidemark_engine::failure::FailureClass::Unauthorized;
use tidemark_fakes::{CallKind, Fault};

use crate::Vendor;
use crate::support::{answer, shown};
use crate::world::{NEW, OLD, World};

pub(crate) async fn a_rotated_credential_is_taken_up_by_the_call_that_finds_out<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    world.list().await.unwrap();
    world.vendor.rotate(NEW);
    world.keys.change(&V::secret(NEW));
    assert!(world.fetch(&ids[0]).await.is_ok());
    assert_eq!(world.list().await.unwrap().changes.len(), 2);
    assert_eq!(world.keys.fresh_count(), 1);
}

pub(crate) async fn calls_that_are_rejected_together_read_the_secret_anew_once<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    world.list().await.unwrap();
    world.vendor.rotate(NEW);
    world.keys.change(&V::secret(NEW));
    let list = || Box::pin(async { world.list().await.is_ok() });
    let fetch = || Box::pin(async { world.fetch(&ids[0]).await.is_ok() });
    let answered = tokio::join!(list(), fetch(), list(), fetch());
    assert_eq!((<[bool; 4]>::from(answered), world.keys.fresh_count()), ([true; 4], 1));
}

pub(crate) async fn a_rejected_credential_that_has_not_changed_is_final<V: Vendor>() {
    let (world, _) = World::<V>::with_records(1).await;
    world.vendor.rotate(NEW);
    let failure = world.list().await.unwrap_err();
    assert_eq!((failure.class, world.keys.fresh_count()), (Unauthorized, 1));
    assert!(!shown(&failure).contains(OLD), "{failure}");
    let requests = world.vendor.request_counts();
    let tries = 1 + V::FURTHER_TRIES;
    assert_eq!((requests.total, requests.refused), (tries, tries), "nothing was repeated as it was");
    // A changed one that is rejected, too, is tried once.
    world.keys.change(&V::secret("canary-third"));
    assert_eq!(world.list().await.unwrap_err().class, Unauthorized);
    assert_eq!((world.vendor.request_counts().refused, world.keys.fresh_count()), (2 + tries, 2));
}

pub(crate) async fn a_broken_secret_is_named_never_shown_and_mended_when_it_is<V: Vendor>() {
    for broken in ["", "canary", r#"{"x":"canary"}"#, r#"["canary"]"#] {
        let world = World::<V>::with_secret(broken).await;
        let failure = world.list().await.unwrap_err();
        assert_eq!(failure.class, Unauthorized, "{broken}");
        assert!(failure.cause.contains("the secret"), "{failure}");
        assert!(!shown(&failure).contains("canary"), "{failure}");
        assert_eq!(world.vendor.request_counts().total, 0);
        world.keys.change(&V::secret(OLD));
        assert!(world.list().await.is_ok(), "{broken}");
    }
}

/// Kind: a good credential that is refused once is no rejected credential.
pub(crate) async fn a_credential_that_was_good_is_tried_once_more<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    world.list().await.unwrap();
    for kind in [CallKind::List, CallKind::Detail] {
        world.vendor.fault(Fault::new(answer(401, V::own_error())).on_call(kind).times(1)).unwrap();
    }
    assert!(world.list().await.is_ok() && world.fetch(&ids[0]).await.is_ok());
    // For good: it is rejected, and from then on no call is made twice.
    world.vendor.fault(Fault::new(answer(401, V::own_error())).on_call(CallKind::List)).unwrap();
    assert_eq!(world.list().await.unwrap_err().class, V::REJECTED);
    world.vendor.reset_requests();
    assert_eq!(world.list().await.unwrap_err().class, V::REJECTED);
    let lists = world.vendor.requests().iter().filter(|request| request.kind == CallKind::List).count();
    assert_eq!(lists, if V::REJECTED == Unauthorized { 1 } else { 2 });
}
