//! Answers that are JSON but for a value that JSON does not have.

use serde_json::value::RawValue;

use crate::json::{self, Malformed};

/// So many rows of a page may be odd without a doubt about the page...
const ODD_FEW: usize = 5;
/// ...or this part of them, in percent...
const ODD_PERCENT_MAX: usize = 20;
/// ...but never more than so many.
const ODD_MAX: usize = 20;

/// How many entries one array or object of such an answer may have.
const ENTRIES_MAX: usize = 50_000;

/// A list's answer that can be read as JSON.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The JSON, with `null` for what JSON does not have.
    json: String,
    /// What was sent, where that is something else.
    body: Option<Vec<u8>>,
}

impl Sent {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`Malformed`] when it is no JSON even so.
    pub(crate) fn of(body: Vec<u8>) -> Result<Self, Malformed> {
        if serde_json::from_slice::<&RawValue>(&body).is_ok() {
            return json::checked(body).map(Self::whole);
        }
        let json = json::tolerated_up_to(ENTRIES_MAX, body.clone())?;
        Ok(Self { json, body: Some(body) })
    }

    /// An answer that is JSON.
    pub(crate) fn whole(json: String) -> Self {
        Self { json, body: None }
    }

    /// The JSON.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// Which of the rows of this answer were sent otherwise than they are read, by their number.
    ///
    /// # Errors
    /// [`Malformed::Odd`] when so many were that it is about the answer, not about single records.
    pub(super) fn odd(&self, rows: &[&str]) -> Result<Vec<usize>, Malformed> {
        let Some(mut rest) = self.body.as_deref() else { return Ok(Vec::new()) };
        let mut odd = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            match end_of(row.as_bytes(), rest) {
                Some(end) => rest = rest.get(end..).unwrap_or_default(),
                None => odd.push(at),
            }
            if odd.len() > ODD_MAX {
                return Err(Malformed::Odd);
            }
        }
        let are_many = odd.len() > ODD_FEW && odd.len() * 100 > rows.len() * ODD_PERCENT_MAX;
        if are_many { Err(Malformed::Odd) } else { Ok(odd) }
    }
}

/// Where the first occurrence of a row ends.
fn end_of(row: &[u8], body: &[u8]) -> Option<usize> {
    body.windows(row.len().max(1)).position(|part| part == row).map(|start| start + row.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_left_as_it_is() {
        let sent = Sent::of(br#"[{"id":1}]"#.to_vec()).unwrap();
        assert_eq!((sent.json(), sent.odd(&[r#"{"id":1}"#])), (r#"[{"id":1}]"#, Ok(vec![])));
        for body in ["", "<html>", "[1", r#"[{"id":NaN}"#, "NaN,"] {
            assert!(Sent::of(body.into()).is_err(), "{body}");
        }
    }

    #[test]
    fn bytes_of_another_encoding_are_odd_in_their_row_alone() {
        let body = b"[{\"id\":1,\"name\":\"Caf\xe9\"},{\"id\":2,\"name\":\"Caf\xc3\xa9\"}]";
        let sent = Sent::of(body.to_vec()).unwrap();
        let rows = json::entries(sent.json()).unwrap();
        assert_eq!((rows[1], sent.odd(&rows)), ("{\"id\":2,\"name\":\"Café\"}", Ok(vec![0])));
    }

    #[test]
    fn many_odd_rows_are_the_pages_failure() {
        let rows = |odd: usize| {
            let rows: Vec<String> =
                (0..20).map(|id| format!(r#"{{"id":{id},"x":{}}}"#, if id < odd { "NaN" } else { "1" })).collect();
            let sent = Sent::of(format!("[{}]", rows.join(",")).into_bytes()).unwrap();
            let rows = json::entries(sent.json()).unwrap();
            sent.odd(&rows).map(|odd| odd.len())
        };
        assert_eq!([rows(5), rows(6)], [Ok(5), Err(Malformed::Odd)]);
    }
}
