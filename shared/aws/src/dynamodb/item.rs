//! Attribute values: writing an item, and reading one that another version may have written.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use thiserror::Error;
use tidemark_engine::clock::Instant;
use tidemark_engine::record::RecordId;

/// An item, a key or a map inside an item, by attribute name; also the values of an expression, by placeholder.
pub(super) type Item = HashMap<String, AttributeValue>;

/// What is wrong with an item: the attribute's path and the fault, never its value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct BadShape(pub(super) String);

/// Builds an item.
pub(super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number; DynamoDB keeps 38 digits, so every 64-bit integer comes back exactly.
pub(super) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn instant<C: Copy>(at: Instant<C>) -> AttributeValue {
    number(at.get())
}

pub(super) fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// A set of bytes; none when there are none, because DynamoDB knows no empty set.
pub(super) fn blobs(values: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Option<AttributeValue> {
    let values: Vec<Blob> = values.into_iter().map(Blob::new).collect();
    (!values.is_empty()).then_some(AttributeValue::Bs(values))
}

/// How large DynamoDB reckons an item to be: the sum of its attributes, names included.
pub(super) fn size_of_item(item: &Item) -> usize {
    item.iter().map(|(name, value)| size_of(name, value)).sum()
}

/// How large DynamoDB reckons an attribute to be, name and value.
///
/// Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats" (read 2026-11-27). It calls its figure for
/// numbers approximate.
pub(super) fn size_of(name: &str, value: &AttributeValue) -> usize {
    name.len() + size_of_value(value)
}

/// What a list or a map takes besides its elements, and what each element takes besides itself.
const NEST_BYTES: usize = 3;
const ELEMENT_BYTES: usize = 1;

fn size_of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => size_of_number(digits),
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        AttributeValue::L(values) => {
            NEST_BYTES + values.iter().map(|value| ELEMENT_BYTES + size_of_value(value)).sum::<usize>()
        }
        AttributeValue::M(item) => NEST_BYTES + item.len() * ELEMENT_BYTES + size_of_item(item),
        _ => 1,
    }
}

/// A byte for each two significant digits, one more, and one for a sign.
fn size_of_number(digits: &str) -> usize {
    let unsigned = digits.trim_start_matches('-');
    let significant = unsigned.trim_matches('0').len();
    significant.div_ceil(2) + 1 + (digits.len() - unsigned.len())
}

/// An item being read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    item: &'a Item,
    /// The attribute that holds it, empty for the item itself.
    within: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn of(item: &'a Item) -> Self {
        Self { item, within: "" }
    }

    pub(super) fn within(item: &'a Item, within: &'a str) -> Self {
        Self { item, within }
    }

    fn bad(&self, name: &str, fault: &str) -> BadShape {
        let dot = if self.within.is_empty() { "" } else { "." };
        BadShape(format!("{}{dot}{name} {fault}", self.within))
    }

    fn required<T>(&self, name: &str, found: Option<T>) -> Result<T, BadShape> {
        found.ok_or_else(|| self.bad(name, "is missing"))
    }

    pub(super) fn text_if_any(&self, name: &str) -> Result<Option<&'a str>, BadShape> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.bad(name, "is not a text")),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, BadShape> {
        self.required(name, self.text_if_any(name)?)
    }

    pub(super) fn number_if_any<T: FromStr>(&self, name: &str) -> Result<Option<T>, BadShape> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(digits)) => {
                digits.parse().map(Some).map_err(|_| self.bad(name, "is out of range or not a whole number"))
            }
            Some(_) => Err(self.bad(name, "is not a number")),
        }
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<T, BadShape> {
        self.required(name, self.number_if_any(name)?)
    }

    pub(super) fn instant_if_any<C: Copy>(&self, name: &str) -> Result<Option<Instant<C>>, BadShape> {
        Ok(self.number_if_any(name)?.map(Instant::new))
    }

    pub(super) fn instant<C: Copy>(&self, name: &str) -> Result<Instant<C>, BadShape> {
        self.required(name, self.instant_if_any(name)?)
    }

    /// A flag; absent means not set.
    pub(super) fn flag(&self, name: &str) -> Result<bool, BadShape> {
        match self.item.get(name) {
            None => Ok(false),
            Some(AttributeValue::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.bad(name, "is not a truth value")),
        }
    }

    pub(super) fn bytes_if_any(&self, name: &str) -> Result<Option<&'a [u8]>, BadShape> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::B(blob)) => Ok(Some(blob.as_ref())),
            Some(_) => Err(self.bad(name, "is not binary")),
        }
    }

    pub(super) fn map_if_any(&self, name: &str) -> Result<Option<&'a Item>, BadShape> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::M(item)) => Ok(Some(item)),
            Some(_) => Err(self.bad(name, "is not a map")),
        }
    }

    pub(super) fn map(&self, name: &str) -> Result<&'a Item, BadShape> {
        self.required(name, self.map_if_any(name)?)
    }

    /// The maps of a list; an absent list is empty.
    pub(super) fn maps(&self, name: &str) -> Result<Vec<&'a Item>, BadShape> {
        match self.item.get(name) {
            None => Ok(Vec::new()),
            Some(AttributeValue::L(values)) => values
                .iter()
                .map(|value| value.as_m().map_err(|_| self.bad(name, "holds something that is not a map")))
                .collect(),
            Some(_) => Err(self.bad(name, "is not a list")),
        }
    }

    /// A set of bytes; an absent one is empty.
    pub(super) fn blobs(&self, name: &str) -> Result<&'a [Blob], BadShape> {
        match self.item.get(name) {
            None => Ok(&[]),
            Some(AttributeValue::Bs(blobs)) => Ok(blobs),
            Some(_) => Err(self.bad(name, "is not a set of bytes")),
        }
    }

    /// Reads a text as what it stands for.
    pub(super) fn parsed<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, BadShape> {
        parse(self.text(name)?).ok_or_else(|| self.unknown(name))
    }

    /// A value that this program does not know.
    pub(super) fn unknown(&self, name: &str) -> BadShape {
        self.bad(name, "is not one that this program knows")
    }

    /// An id.
    pub(super) fn id(&self, name: &str) -> Result<RecordId, BadShape> {
        RecordId::parse(self.text(name)?).map_err(|fault| self.bad(name, &format!("holds an unusable id ({fault})")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_attribute_and_not_its_value() {
        let why = item([("since", text("canary"))]);
        let fault = Reader::within(&why, "why").number::<u32>("since");
        assert_eq!(fault, Err(BadShape("why.since is not a number".to_owned())));
        let fault = Reader::of(&why).number::<u32>("version");
        assert_eq!(fault, Err(BadShape("version is missing".to_owned())));
        let fault = Reader::of(&item([("seq", number(-1))])).number::<u32>("seq");
        assert_eq!(fault, Err(BadShape("seq is out of range or not a whole number".to_owned())));
    }

    #[test]
    fn an_empty_set_is_no_value() {
        assert_eq!(blobs([[0; 8]; 0]), None);
        assert_eq!(Reader::of(&Item::new()).blobs("owed"), Ok(&[][..]));
    }

    #[test]
    fn size_counts_names_and_values() {
        let cases = [
            ("ab", text("\u{e9}"), 2 + 2),
            ("c", number(12), 1 + 2),
            ("d", bytes([1, 2, 3]), 1 + 3),
            ("e", AttributeValue::Bool(true), 1 + 1),
            ("f", number(-1_000), 1 + 3),
            ("g", number(0), 1 + 1),
            ("h", AttributeValue::L(vec![number(1), text("xy")]), 1 + 3 + 3 + 3),
            ("i", AttributeValue::M(item([("ab", text("xy"))])), 1 + 3 + 1 + 4),
            ("j", AttributeValue::Bs(vec![Blob::new([1, 2]), Blob::new([3])]), 1 + 3),
        ];
        for (name, value, expected) in cases {
            assert_eq!(size_of(name, &value), expected, "{name}");
        }
    }
}
