//! Fake vendors: real HTTP servers on the loopback address that can be told to misbehave.
//!
//! A fake checks credentials by an implementation of its own, serves generated records in the shapes of the vendor's
//! samples, logs what it was asked, and knows the truth that a copy of it must arrive at. It holds no records until
//! told. A Rust test starts one in its own process ([`fieldmotion::FakeFieldMotion::start`]) and calls the methods of
//! [`Fake`]; everything else runs the `fake-vendor` program ([`program`]) and talks to its control port, which has one
//! endpoint per method.
//!
//! # Control API
//!
//! JSON over HTTP, whatever the content type; an empty body is `{}`. Unknown names are refused with status 400 and
//! `{"error":".."}`, and nothing is changed then. Without a description, the answer is `{"ok":true}`. Streams are named
//! as in configuration, and stamps are written as the vendor writes them. Which streams there are, and what
//! `/credentials` and `/settings` take, is in each vendor's module: [`fieldmotion`], [`fieldaware`], [`fsmnavigator`],
//! [`fieldly`].
//!
//! | call | body or query | does |
//! |---|---|---|
//! | `POST /seed` | `{"stream","count","first_stamp"?,"every_seconds"?}` | [`Seed`]: old records; answers `count`, `first_id`, `last_id` |
//! | `POST /add` | `{"stream","count"?,"id"?,"set"?,"stamp"?,"visible_after_ms"?,"detail_at_once"?}` | [`Add`]: new records; answers `ids`, `stamp` |
//! | `POST /edit` | `{"stream", "id" or "ids" or "first" or "all", "set"?,"stamp"?,"visible_after_ms"?,"detail_at_once"?}` | [`Change`]: answers `ids`, `stamp` |
//! | `POST /delete`, `/undelete`, `/deactivate`, `/activate` | as `/edit`, without `set` | as `/edit` |
//! | `POST /hook` | `{"on":"list" or "detail","stream"?,"id"?,"when":"after" or "before"?,"times"?,"action":{"edit":{..}}}` | [`Hook`]: an action on the next such call; actions are named as the five calls above, and `add` |
//! | `POST /poison` | `{"stream","id" or "ids","effect"?}` | [`Poison`]: wrong details until healed |
//! | `POST /heal` | `{"stream"?,"id"?}` | [`Heal`] |
//! | `POST /stamp` | `{"stream","id","shown":"real" or "missing" or {"text":".."}}` | [`ShowStamp`]: a strange stamp in the row |
//! | `POST /fault` | `{"effect":.., "function"?,"call":"list" or "detail"?,"stream"?,"id"?,"skip"?,"times"?}` | [`Fault`]: requests go wrong, by the effects below |
//! | `POST /clear_faults` | | ends all faults and forgets all hooks; poison and holds stay |
//! | `POST /mode` | `{"mode":"up" or "down"}` | [`Mode`]: down closes every connection at once |
//! | `POST /credentials` | the vendor's own, with `"keep_old"?` | another credential, in place of the old ones or beside them |
//! | `POST /settings` | any of the vendor's own | what the vendor's documentation leaves open |
//! | `POST /clock` | `{"offset_ms"?,"advance_ms"?,"frozen"?,"date":"present" or "absent" or {"skewed_seconds":n}?}` | [`ClockChange`]; answers as `/status` |
//! | `POST /hold` | `{"call"?,"stream"?,"id"?,"times"?,"stale"?}` | [`Hold`]: requests stay unanswered |
//! | `POST /release` | `{"stream"?,"id"?}` | ends the holds on, or holding, such requests |
//! | `GET /held` | `?stream=&id=&wait_ms=` (30000) | waits until such a request is held; answers `held`, or status 408 |
//! | `GET /truth` | `?stream=customers&fields=id,name` | `{"stream","now","now_ms","records":{id: TruthRecord}}`, see [`TruthRecord`] |
//! | `GET /requests` | `?counts_only=true` | `{"counts":`[`RequestCounts`]`,"requests":[`[`LoggedRequest`]`]}` |
//! | `POST /reset_requests` | | forgets the requests |
//! | `GET /status` | | `{"vendor","mode","now","now_ms","seed","records":{stream: count}}` |
//! | `POST /shutdown` | | ends the vendor |
//!
//! # Effects
//!
//! `"empty_body"`, `"wrong_shape"`, `"not_logged_in"`, `"maintenance_page"`, `"cut_before_answer"`, `{"error":"text"}`,
//! `{"answer":{"status":500,"body":"..","content_type":"text/html","headers":{"A":"b"}}}`,
//! `{"throttled":{"status":429,"retry_after":{"seconds":2}}}` (or `{"date_in_seconds":60}`, `{"text":"junk"}`),
//! `{"delay":{"ms":20}}`, `{"redirect":{"status":302,"to":"http://.."}}`, `{"other_id":{"id":"5"}}`,
//! `{"deep_json":{"depth":10000}}`, `{"endless_body":{"bytes":100000000}}`, `{"truncate":{"bytes":5}}`,
//! `{"cut_head":{"after_bytes":20}}`, `{"cut_body":{"after_bytes":5,"reset":true}}`,
//! `{"slow_body":{"bytes":1,"every_ms":100}}`, `{"replace":{"text":"\"total\":3","by":"\"total\":1"}}`,
//! `{"inflating":{"bytes":67108864}}`. See [`Effect`].
//!
//! # How to play what vendors really answer
//!
//! | behaviour | command |
//! |---|---|
//! | a refusal in the words of a gateway, a firewall or a framework; an empty or odd success; a PHP warning; a 204; `NaN` or `null` in a row | `/fault` with `answer`, for a `call`, a `stream`, an `id`, a `function`, after `skip` requests, `times` times or until cleared |
//! | an error in the vendor's own shape | `/fault` with `error` |
//! | a record that fails for good | `/poison` |
//! | a right that is missing | FieldAware `forbidden`, `features_off`; FSM Navigator `/credentials` with `scopes` |
//! | one odd value, row, count, `next` or lifetime in an answer that is right otherwise | `/fault` with `replace` |
//! | a page that is ignored, or refused beyond a number | `ignores_page`; `pages_max` (FieldAware: `list_pages_max`) |
//! | a page behind the last one that is refused; a page that is a row short in mid-list | FSM Navigator and Fieldly `refuses_end`; `hidden` |
//! | lists that say nothing of their end | FSM Navigator `paging`; Fieldly `metadata`; FieldAware `list_count`, `list_links` |
//! | rows that move, appear or vanish while they are listed | `/hook` on `list` |
//! | rows that differ at every reading, or come in another order | FSM Navigator `signed_urls`; `list_order` `turning` |
//! | a lower bound that is ignored, or means "equal to" | FSM Navigator `updated_since`; Fieldly `filter`; both and FieldMotion `bound_means_equal` |
//! | rows without a stamp, or with another one than they are listed by | `/stamp` |
//! | a token's odd lifetime, or its end | Fieldly `/fault` with `replace` on `POST /oauth/token`; `revoke_tokens`, `token_seconds` |
//! | pages without events that lead on; a last page without `next` | FieldAware `places_a_page`; `last_next` |
//! | 429 in every form | `/fault` with `throttled`; FSM Navigator `limit_calls` |
//! | slow, cut, endless, deep, inflating answers; a Date that is missing or wrong | `/fault`; `/clock` |
//!
//! # In which order
//!
//! A request is logged, counted into the faults and caught by a hold when it arrives; then come the delays, then the
//! wait for release. Then the answer is computed in one step: hooks `before`, the true answer, hooks `after`; so an
//! edit `after` an answer has happened when the client reads that answer. A fault or poison that replaces the true
//! answer fires no hook, and neither does a refused signature.
//!
//! # Another vendor
//!
//! Is one folder with an implementation of [`Vendor`], and a name in [`program`].

mod clock;
mod commands;
mod control;

mod dice;
mod exchange;
mod faults;
pub mod fieldaware;
pub mod fieldly;
pub mod fieldmotion;
pub mod fsmnavigator;
mod handle;
mod holds;
mod log;
pub mod program;
mod row;
mod server;
mod state;
mod store;
mod vendor;
mod wire;
mod world;

/// Every vendor by the name that the program takes.
pub(crate) const VENDORS: &[(&str, program::Start)] = &[
    ("fieldmotion", |ports, seed| Box::pin(fieldmotion::start(ports, seed))),
    ("fieldaware", |ports, seed| Box::pin(fieldaware::start(ports, seed))),
    ("fsmnavigator", |ports, seed| Box::pin(fsmnavigator::start(ports, seed))),
    ("fieldly", |ports, seed| Box::pin(fieldly::start(ports, seed))),
];

pub use self::{
    clock::{ClockChange, DateHeader},
    commands::{Action, Add, Change, Heal, Hook, Moment, Poison, Seed, ShowStamp},
    faults::{Effect, Fault, FixedAnswer, RetryAfter},
    handle::{Fake, Mode},
    holds::{HeldRequest, Hold, HoldFilter},
    log::{LoggedRequest, RequestCounts},
    row::Row,
    server::{Ports, Running},
    store::{Record, ShownStamp, Store, Version},
    vendor::{Call, CallKind, Vendor},
    wire::{Delivery, Reply, Request},
    world::{ControlError, Done, TruthRecord},
};
