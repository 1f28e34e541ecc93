//! The vendor's token endpoint: who may have a token, and which tokens are good.
//!
//! The client's credential is decoded by an implementation of its own: sharing the client's would let both be wrong
//! together.

use serde_json::json;

use super::settings::Settings;
use crate::wire::{Reply, Request};

/// A client, as the vendor shows it in its integration settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: String,
}

#[derive(Debug)]
struct Token {
    text: String,
    client_id: String,
    expires_at_ms: i64,
}

/// All tokens that are good or were.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: Vec<Token>,
    /// Makes every token another one, and says how often one was handed out.
    pub(super) handed_out: usize,
}

impl Tokens {
    /// Ends every token.
    pub(super) fn revoke(&mut self) {
        self.issued.clear();
    }

    /// Checks the token of a request; the reason of a refusal is for the log only.
    pub(super) fn verify(&self, request: &Request, now_ms: i64) -> Result<(), String> {
        let header = request.header("authorization").ok_or("there is no Authorization header")?;
        let text = header.strip_prefix("Bearer ").ok_or("the Authorization is no Bearer")?;
        let token = self.issued.iter().find(|token| token.text == text).ok_or("the token is not known")?;
        if now_ms < token.expires_at_ms { Ok(()) } else { Err("the token has expired".to_owned()) }
    }

    /// Answers a request whose client is known.
    pub(super) fn grant(&mut self, request: &Request, settings: &Settings, seed: u64, now_ms: i64) -> Reply {
        if request.body != b"grant_type=client_credentials" {
            return Reply::json(400, r#"{"error":"unsupported_grant_type"}"#);
        }
        let client_id = basic(request).map(|client| client.id).unwrap_or_default();
        self.handed_out += 1;
        let is_good = |token: &&Token| token.client_id == client_id && now_ms < token.expires_at_ms;
        let earlier = self.issued.iter().rev().find(is_good).filter(|_| settings.reuse_tokens);
        let (text, expires_at_ms) = if let Some(token) = earlier {
            (token.text.clone(), token.expires_at_ms)
        } else {
            let text = format!("t0k3n-{seed}-{}", self.handed_out);
            let expires_at_ms = now_ms.saturating_add(settings.token_seconds.saturating_mul(1000));
            self.issued.push(Token { text: text.clone(), client_id, expires_at_ms });
            (text, expires_at_ms)
        };
        let body = json!({
            "access_token": text,
            "token_type": "Bearer",
            "expires_in": (expires_at_ms - now_ms).div_euclid(1000),
            "scope": "public",
            "created_at": now_ms.div_euclid(1000),
        });
        Reply::json(200, body.to_string())
    }
}

/// Checks the client of a token request; the reason of a refusal is for the log only.
pub(super) fn verify_client(request: &Request, accepted: &[Client]) -> Result<(), String> {
    if request.method != "POST" {
        return Err(format!("{} instead of POST", request.method));
    }
    let client = basic(request).ok_or("there is no Basic authorization that can be read")?;
    if accepted.contains(&client) { Ok(()) } else { Err(format!("client {:?} or its secret is not known", client.id)) }
}

/// The client that a request names (RFC 7617).
fn basic(request: &Request) -> Option<Client> {
    let text = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(decoded(text)?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some(Client { id: id.to_owned(), secret: secret.to_owned() })
}

/// What a text in base 64 stands for, bit by bit; padding must be there.
fn decoded(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bits, mut bit_count, mut bytes) = (0_u32, 0_u32, Vec::new());
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push(u8::try_from(bits >> bit_count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_vectors_hold() {
        for (text, expected) in [
            ("Y2xpZW50X2lkOmNsaWVudF9zZWNyZXQ=", "client_id:client_secret"),
            ("QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin:open sesame"),
            ("Zm9vYmFy", "foobar"),
            ("", ""),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(expected.as_bytes()), "{text}");
        }
        for text in ["Zg", "Zg=", "Z===", "Zm9v!mFy", "Zm-_"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
