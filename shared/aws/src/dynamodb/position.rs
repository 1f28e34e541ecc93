//! Positions as maps: `{kind: at|token, order, text}`.
//!
//! `order` is what conditions compare. `text` is the token, or the instant as text for a reader of the table.

use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::position::Position;

use super::item::{BadShape, Item, Reader, item, number, text};

const AT: &str = "at";
const TOKEN: &str = "token";

pub(super) fn to_value(position: &Position) -> AttributeValue {
    let (kind, words) = match position {
        Position::At(at) => (AT, at.to_string()),
        Position::Token { text, .. } => (TOKEN, text.clone()),
    };
    AttributeValue::M(item([("kind", text(kind)), ("order", number(position.order())), ("text", text(words))]))
}

pub(super) fn read(from: Reader<'_>, name: &str) -> Result<Position, BadShape> {
    of(from.map(name)?, name)
}

pub(super) fn read_if_any(from: Reader<'_>, name: &str) -> Result<Option<Position>, BadShape> {
    from.map_if_any(name)?.map(|found| of(found, name)).transpose()
}

fn of(found: &Item, name: &str) -> Result<Position, BadShape> {
    let position = Reader::within(found, name);
    let order = position.number("order")?;
    match position.text("kind")? {
        AT => Ok(Position::At(StampMillis::new(order))),
        TOKEN => Ok(Position::Token { text: position.text("text")?.to_owned(), sequence: order }),
        _ => Err(BadShape(format!("{name}.kind is not one that this program knows"))),
    }
}
