//! JSON as a text: its bounds, and what can be read of one that is odd or cut short.

use super::{DEPTH_MAX, ENTRIES_DEPTH, Malformed, is_json};

/// Whether brackets outside of texts are nested too deeply, or hold too many entries.
pub(super) fn within_bounds(json: &[u8], entries_max: usize) -> Result<(), Malformed> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut entries = [0_usize; ENTRIES_DEPTH + 1];
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Malformed::Deep);
                }
                if let Some(count) = entries.get_mut(depth) {
                    *count = 1;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                if let Some(count) = entries.get_mut(depth) {
                    *count += 1;
                    if *count > entries_max {
                        return Err(Malformed::Crowded);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The JSON that is left of a text when what JSON does not have is read as `null`: numbers that are none, and texts in
/// another encoding or with raw control characters. None when it is no JSON even so, or was JSON before.
pub(super) fn mended(body: &[u8]) -> Option<String> {
    let mut json = String::with_capacity(body.len());
    let mut is_mended = false;
    let mut rest = body;
    while let Some((first, _)) = rest.split_first() {
        let length = match first {
            b'"' => text_length(rest)?,
            b'[' | b']' | b'{' | b'}' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => 1,
            _ => rest.iter().position(|byte| b"[]{},:\" \t\r\n".contains(byte)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at_checked(length)?;
        match str::from_utf8(token) {
            Ok(text) if !is_odd(text) => json.push_str(text),
            Err(_) if *first != b'"' => return None,
            Ok(_) | Err(_) => {
                json.push_str("null");
                is_mended = true;
            }
        }
        rest = after;
    }
    let is_alone = json == "null";
    (is_mended && !is_alone && is_json(&json)).then_some(json)
}

/// How long the text is that a JSON begins with, both quotes included; none when it has no end.
fn text_length(json: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What some writers of JSON write and JSON does not have.
fn is_odd(token: &str) -> bool {
    if token.starts_with('"') {
        return token.bytes().any(|byte| byte < b' ');
    }
    matches!(
        token.trim_start_matches(['-', '+']).to_ascii_lowercase().as_str(),
        "nan" | "inf" | "infinity" | "undefined" | "none"
    )
}

/// A JSON text that may have been cut short, closed: what was open is closed where that makes JSON of it, else dropped.
/// None when it is no JSON even so.
pub(crate) fn completed(text: &str) -> Option<String> {
    if is_json(text) {
        return Some(text.to_owned());
    }
    let mut open = Vec::new();
    // Where all that is open could be closed: before a comma, after a bracket.
    let mut sound = None;
    let (mut text_at, mut escaped) = (None, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text_at.is_some() => escaped = true,
            b'"' => text_at = if text_at.is_some() { None } else { Some(at) },
            _ if text_at.is_some() => {}
            b'[' | b'{' => {
                open.push(if byte == b'[' { ']' } else { '}' });
                sound = Some((at + 1, open.len()));
            }
            b']' | b'}' => {
                open.pop()?;
                sound = Some((at + 1, open.len()));
            }
            b',' => sound = Some((at, open.len())),
            _ => {}
        }
    }
    let closed = |at: usize, depth: usize, quote: &str| {
        let brackets = open.get(..depth)?.iter().rev().collect::<String>();
        let json = format!("{}{quote}{brackets}", text.get(..at)?);
        is_json(&json).then_some(json)
    };
    // The text that was cut, without an escape of which the end is missing.
    let in_text = text_at.and_then(|start| {
        let backslash = text.get(start..)?.rfind('\\').map(|at| start + at);
        [Some(text.len()), backslash].into_iter().flatten().find_map(|end| closed(end, open.len(), "\""))
    });
    let whole = || closed(text.len(), open.len(), "");
    in_text.or_else(whole).or_else(|| sound.and_then(|(at, depth)| closed(at, depth, "")))
}

#[cfg(test)]
mod tests {
    use super::super::{checked, tolerated_up_to};
    use super::*;

    #[test]
    fn a_text_that_was_cut_is_closed_where_that_makes_json_of_it() {
        for (text, expected) in [
            (r#"{"error":"not logged in"}"#, Some(r#"{"error":"not logged in"}"#)),
            (r#"{"error":"a long te"#, Some(r#"{"error":"a long te"}"#)),
            (r#"{"error":"caf\u00"#, Some(r#"{"error":"caf"}"#)),
            (r#"{"error":"a\"#, Some(r#"{"error":"a"}"#)),
            (r#"{"error":{"name":"X","mess"#, Some(r#"{"error":{"name":"X"}}"#)),
            (r#"{"success":false,"errors":[{"a":[1,2"#, Some(r#"{"success":false,"errors":[{"a":[1,2]}]}"#)),
            (r#"{"a":"#, Some("{}")),
            (r#"{"error":"x""#, Some(r#"{"error":"x"}"#)),
            ("[1,tr", Some("[1]")),
            ("[]", Some("[]")),
            (r#""text"#, Some(r#""text""#)),
            ("404 page not found", None),
            ("{'error':1}", None),
            ("[]]", None),
            ("", None),
        ] {
            assert_eq!(completed(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_json_does_not_have_is_read_as_null() {
        for (body, expected) in [
            (&b"[\"1\",NaN,-Infinity,undefined,2]"[..], r#"["1",null,null,null,2]"#),
            (b"[\"1\",\"caf\xe9\",\"a\nb\"]", r#"["1",null,null]"#),
            (b"{\"0\":\"1\",\"1\":nan}", r#"{"0":"1","1":null}"#),
        ] {
            assert_eq!(mended(body).as_deref(), Some(expected));
            assert_eq!(checked(body.to_vec()), Err(Malformed::Odd));
            assert_eq!(tolerated_up_to(9, body.to_vec()).as_deref(), Ok(expected));
        }
        for body in
            [&b"[1,2]"[..], b"[NaN", b"[\"caf\xe9", b"{\"caf\xe9\":1}", b"NaN]", b"NaN", b"[\xff]", b"no \"key", b""]
        {
            assert_eq!(mended(body), None, "{body:?}");
        }
    }
}
