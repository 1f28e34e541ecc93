//! Listings of the backlog as maps: `{scope: M, cursor: M, holds: M?, begun_at: N ms}`.
//!
//! | `scope` | |
//! |---|---|
//! | `{kind: changes, from: N ms}` | in the reading of the vendor's stamps |
//! | `{kind: snapshot}` | |
//!
//! | `cursor` | |
//! |---|---|
//! | `{kind: start}` | |
//! | `{kind: id, id: S}` | |
//! | `{kind: pages, pass: N, step: N, added: BOOL, pages: N, barren: N, newest: N ms?, is_capped: BOOL, refused: N?}` | |
//! | `{kind: source, text: S}` | |

use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_engine::checkpoint::{Cursor, Listing, PageWalk, Scope};

use super::super::item::{BadShape, Item, Reader, instant, item, number, text};
use super::super::position;

pub(super) fn to_value(listing: &Listing) -> AttributeValue {
    let mut found = item([
        ("scope", AttributeValue::M(scope_item(&listing.scope))),
        ("cursor", AttributeValue::M(cursor_item(&listing.cursor))),
        ("begun_at", instant(listing.begun_at)),
    ]);
    found.extend(listing.holds.as_ref().map(|holds| ("holds".to_owned(), position::to_value(holds))));
    AttributeValue::M(found)
}

fn scope_item(scope: &Scope) -> Item {
    match scope {
        Scope::Changes(from) => item([("kind", text("changes")), ("from", instant(*from))]),
        Scope::Snapshot => item([("kind", text("snapshot"))]),
    }
}

fn cursor_item(cursor: &Cursor) -> Item {
    match cursor {
        Cursor::Start => item([("kind", text("start"))]),
        Cursor::Id(id) => item([("kind", text("id")), ("id", text(id.as_str()))]),
        Cursor::Pages(PageWalk { pass, step, added, pages, barren, newest, is_capped, refused }) => {
            let mut walk = item([
                ("kind", text("pages")),
                ("pass", number(pass)),
                ("step", number(step)),
                ("added", AttributeValue::Bool(*added)),
                ("pages", number(pages)),
                ("barren", number(barren)),
                ("is_capped", AttributeValue::Bool(*is_capped)),
            ]);
            walk.extend(newest.map(|newest| ("newest".to_owned(), instant(newest))));
            walk.extend(refused.map(|page| ("refused".to_owned(), number(page))));
            walk
        }
        Cursor::Source(place) => item([("kind", text("source")), ("text", text(place))]),
    }
}

pub(super) fn read(item: &Item) -> Result<Listing, BadShape> {
    let listing = Reader::within(item, "backlog");
    Ok(Listing {
        scope: scope_of(Reader::within(listing.map("scope")?, "backlog.scope"))?,
        holds: position::read_if_any(listing, "holds")?,
        cursor: cursor_of(Reader::within(listing.map("cursor")?, "backlog.cursor"))?,
        begun_at: listing.instant("begun_at")?,
    })
}

fn scope_of(scope: Reader<'_>) -> Result<Scope, BadShape> {
    match scope.text("kind")? {
        "changes" => Ok(Scope::Changes(scope.instant("from")?)),
        "snapshot" => Ok(Scope::Snapshot),
        _ => Err(scope.unknown("kind")),
    }
}

fn cursor_of(cursor: Reader<'_>) -> Result<Cursor, BadShape> {
    match cursor.text("kind")? {
        "start" => Ok(Cursor::Start),
        "id" => Ok(Cursor::Id(cursor.id("id")?)),
        "pages" => Ok(Cursor::Pages(PageWalk {
            pass: cursor.number("pass")?,
            step: cursor.number("step")?,
            added: cursor.flag("added")?,
            pages: cursor.number("pages")?,
            barren: cursor.number("barren")?,
            newest: cursor.instant_if_any("newest")?,
            is_capped: cursor.flag("is_capped")?,
            refused: cursor.number_if_any("refused")?,
        })),
        "source" => Ok(Cursor::Source(cursor.text("text")?.to_owned())),
        _ => Err(cursor.unknown("kind")),
    }
}

#[cfg(test)]
pub(super) fn samples() -> impl proptest::prelude::Strategy<Value = Listing> {
    use proptest::prelude::*;

    use super::super::samples;

    let scopes = prop_oneof![samples::instants().prop_map(Scope::Changes), Just(Scope::Snapshot)];
    let capped = (proptest::option::of(samples::instants()), any::<(bool, Option<u32>)>());
    let walks = (any::<(u32, u32, bool, u32, u32)>(), capped).prop_map(|(walk, (newest, (is_capped, refused)))| {
        let (pass, step, added, pages, barren) = walk;
        Cursor::Pages(PageWalk { pass, step, added, pages, barren, newest, is_capped, refused })
    });
    let cursors = prop_oneof![
        Just(Cursor::Start),
        samples::ids().prop_map(Cursor::Id),
        walks,
        ".{0,20}".prop_map(Cursor::Source),
    ];
    (scopes, proptest::option::of(samples::positions()), cursors, samples::instants())
        .prop_map(|(scope, holds, cursor, begun_at)| Listing { scope, holds, cursor, begun_at })
}
