//! Paths and tokens, taken out of what the vendor sends.
//!
//! An address in an answer is never requested: it may name another host, and the request has the credential. Only its
//! path is read, and only if every segment is plain; that path is then asked for at the configured host.

use std::fmt;

/// How many segments a path may have: the longest known one has four.
const SEGMENTS_MAX: usize = 8;
/// How long a token may be.
const TOKEN_BYTES_MAX: usize = 200;
/// What stands below `/changes/` beside tokens.
const NO_TOKENS: [&str; 3] = ["latest", "previous", "token"];

/// A path of plain segments: letters, digits, `-` and `_`. Written without slashes at its ends, so that one path has one
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<String>);

impl Path {
    /// Reads a path; a slash at either end means nothing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let segments: Vec<String> = text.split('/').map(str::to_owned).collect();
        let is_plain = segments.len() <= SEGMENTS_MAX && segments.iter().all(|segment| is_segment(segment));
        is_plain.then_some(Self(segments))
    }

    /// Reads the path of an absolute or relative address, whatever its host.
    pub(super) fn of_address(address: &str) -> Option<Self> {
        Self::parse(path_text(address)?)
    }

    /// The same with one more segment.
    pub(super) fn join(mut self, segment: &str) -> Option<Self> {
        self.0.push(segment.to_owned());
        (self.0.len() <= SEGMENTS_MAX && is_segment(segment)).then_some(self)
    }

    /// The last segment: the uuid of the record that the path leads to.
    pub(super) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The segments.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// Whether a text can be a segment of a path: never empty, `.`, `..` or percent-encoded.
pub(super) fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Whether a text can be a token.
pub(super) fn is_token(text: &str) -> bool {
    is_segment(text) && text.len() <= TOKEN_BYTES_MAX && !NO_TOKENS.contains(&text)
}

/// The token that an address of the feed, such as `https://host/changes/63252980/`, names. Whatever stands before
/// `changes` is the base path of somebody's gateway.
pub(super) fn token_of_address(address: &str) -> Option<String> {
    let path = Path::of_address(address)?;
    let mut from_the_end = path.segments().collect::<Vec<_>>().into_iter().rev();
    let (token, before) = (from_the_end.next()?, from_the_end.next()?);
    (before == "changes" && is_token(token)).then(|| token.to_owned())
}

/// The path of an address, without query and fragment. Refuses what parsers disagree about.
fn path_text(address: &str) -> Option<&str> {
    let is_odd = |c: char| c == '\\' || !c.is_ascii_graphic();
    if address.contains(is_odd) {
        return None;
    }
    let address = address.split(['?', '#']).next()?;
    let below_scheme = ["https://", "http://", "//"].iter().find_map(|start| address.strip_prefix(start));
    match below_scheme {
        Some(rest) => rest.find('/').and_then(|host_end| rest.get(host_end..)),
        None => Some(address),
    }
}

/// A uuid in the one way in which it is compared: 32 small hex digits. Anything else is compared as it is written.
pub(super) fn canonical(id: &str) -> String {
    if is_uuid(id) { id.replace('-', "").to_ascii_lowercase() } else { id.to_owned() }
}

/// Whether a text is a uuid, with or without dashes.
pub(super) fn is_uuid(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(address: &str) -> Option<String> {
        Path::of_address(address).map(|path| path.to_string())
    }

    #[test]
    fn of_an_address_only_its_path_is_read() {
        for (address, expected) in [
            ("https://api.fieldaware.net/job/7cc5e2", "job/7cc5e2"),
            ("https://api.fieldaware.com/webquote/7cc5e2/", "webquote/7cc5e2"),
            ("http://169.254.169.254/job/1", "job/1"),
            ("https://api.fieldaware.net@evil.example/job/1?api_key=x#y", "job/1"),
            ("//evil.example/job/1", "job/1"),
            ("/job/1", "job/1"),
            ("job/1", "job/1"),
        ] {
            assert_eq!(path(address).as_deref(), Some(expected), "{address}");
        }
    }

    #[test]
    fn paths_that_could_lead_elsewhere_are_refused() {
        for address in [
            "",
            "/",
            "https://evil.example",
            "https://evil.example/",
            "//evil.example",
            "\\\\evil.example\\job\\1",
            "https:\\\\evil.example/job/1",
            "/job/../admin",
            "/job/..%2fadmin",
            "/job/%2e%2e/admin",
            "/job/./1",
            "/job//1",
            "//evil.example//job/1",
            "/job/1;x=y",
            "/job/a:b",
            "/job/@1",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://evil\u{3002}example/job/1",
            "/job/\u{ff0e}\u{ff0e}/1",
            "/job/1\r\nHost: evil.example",
            "/job/1 HTTP/1.1",
            "/1/2/3/4/5/6/7/8/9",
        ] {
            assert_eq!(path(address), None, "{address}");
        }
    }

    #[test]
    fn tokens_are_taken_from_addresses_of_the_feed_alone() {
        for (address, expected) in [
            ("https://api.fieldaware.net/changes/63252980/", "63252980"),
            ("https://other.example/changes/dcae3660ec84eac94", "dcae3660ec84eac94"),
            ("/changes/63252980/?pageSize=10", "63252980"),
            ("changes/63252980", "63252980"),
            ("https://gateway.example/fieldaware/changes/5/", "5"),
        ] {
            assert_eq!(token_of_address(address).as_deref(), Some(expected), "{address}");
        }
        for address in [
            "https://api.fieldaware.net/changes/latest/",
            "https://api.fieldaware.net/changes/previous/2014-10-14/",
            "https://api.fieldaware.net/changes/token",
            "https://api.fieldaware.net/changes/",
            "https://api.fieldaware.net/changes/5/6/",
            "https://api.fieldaware.net/job/5/",
            "https://changes/5",
            "63252980",
            "",
        ] {
            assert_eq!(token_of_address(address), None, "{address}");
        }
    }

    #[test]
    fn a_uuid_is_compared_without_dashes_and_case() {
        let plain = "7cc5e2d8879a43829dcc07655f5ca606";
        assert_eq!(canonical("7CC5E2D8-879A-4382-9DCC-07655F5CA606"), plain);
        assert_eq!(canonical(plain), plain);
        assert_eq!(canonical("INV-007"), "INV-007");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_path_of_other_segments_than_plain_ones(text in "\\PC{0,60}") {
            if let Some(path) = Path::of_address(&text) {
                prop_assert!(path.segments().all(is_segment));
                prop_assert_eq!(Path::parse(&path.to_string()), Some(path));
            }
            let _token = token_of_address(&text);
        }
    }
}
