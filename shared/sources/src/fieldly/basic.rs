//! HTTP Basic authentication: how the client id and secret are presented to the token endpoint.
//!
//! RFC 6749 (2.3.1) has both percent-encoded as in a form before they are joined; RFC 7617 joins them as they are, and so
//! does the guide's own call, `curl -u 'client_id:client_secret'`. This follows the guide. For credentials of letters,
//! digits, `-`, `_` and `.`, of which generated ones are made, both come to the same.

use reqwest::header::HeaderValue;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of an `Authorization` header; none when the two cannot be written so: a colon in the id would be taken for
/// the end of it, and neither may hold a control character (RFC 7617, 2).
pub(super) fn authorization(id: &str, secret: &str) -> Option<HeaderValue> {
    if id.contains(':') || [id, secret].iter().any(|text| text.contains(char::is_control)) {
        return None;
    }
    let mut value = "Basic ".to_owned();
    value.extend(format!("{id}:{secret}").as_bytes().chunks(3).flat_map(digits));
    HeaderValue::from_str(&value).ok()
}

/// Up to three bytes as four digits of base 64 (RFC 4648, 4).
fn digits(bytes: &[u8]) -> [char; 4] {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let bits = u32::from_be_bytes([0, byte(0), byte(1), byte(2)]);
    let digit = |place: usize| {
        let six = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or(0);
        let letter = ALPHABET.get(six).copied().unwrap_or(b'=');
        if place > bytes.len() { '=' } else { char::from(letter) }
    };
    [digit(0), digit(1), digit(2), digit(3)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(id: &str, secret: &str) -> Option<String> {
        Some(authorization(id, secret)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn credentials_are_joined_as_the_guide_and_the_standard_do() {
        for (id, secret, expected) in [
            ("client_id", "client_secret", "Basic Y2xpZW50X2lkOmNsaWVudF9zZWNyZXQ="),
            ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123\u{a3}", "Basic dGVzdDoxMjPCow=="),
            ("a", "b:c", "Basic YTpiOmM="),
            ("ab", "~?/+", "Basic YWI6fj8vKw=="),
        ] {
            assert_eq!(value(id, secret).as_deref(), Some(expected), "{id}:{secret}");
        }
    }

    #[test]
    fn the_standards_vectors_hold() {
        let encoded = |text: &str| text.as_bytes().chunks(3).flat_map(digits).collect::<String>();
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("\u{3ff}~", "z79+")]
        {
            assert_eq!(encoded(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        assert_eq!(value("a:b", "c"), None);
        assert_eq!(value("a", "b\nc"), None);
        assert_eq!(value("a\u{7f}", "b"), None);
    }
}
