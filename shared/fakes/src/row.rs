//! A row: named values in the order the vendor sends them.

use serde::{Serialize, Serializer};
use serde_json::Value;

/// One record's fields, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row(Vec<(String, Value)>);

impl Row {
    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    /// The text of a field, if it is a text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.get(field).and_then(Value::as_str)
    }

    /// Sets a field in its place, or adds it at the end.
    pub fn set(&mut self, field: &str, value: Value) {
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.to_owned(), value)),
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: &str) {
        self.0.retain(|(name, _)| name != field);
    }

    /// Keeps only the named fields, in the order named; names that are no field are left out.
    #[must_use]
    pub fn only(&self, fields: &[String]) -> Self {
        Self(fields.iter().filter_map(|field| Some((field.clone(), self.get(field)?.clone()))).collect())
    }

    /// A text field as the edit of this number leaves it.
    pub(crate) fn edited(&self, field: &str, revision: usize) -> (String, Value) {
        let text = self.text(field).unwrap_or_default();
        let first = text.split_once(" (edit ").map_or(text, |(first, _)| first);
        (field.to_owned(), format!("{first} (edit {revision})").into())
    }

    /// The fields in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl<Name: Into<String>> FromIterator<(Name, Value)> for Row {
    fn from_iter<Fields: IntoIterator<Item = (Name, Value)>>(fields: Fields) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields())
    }
}
