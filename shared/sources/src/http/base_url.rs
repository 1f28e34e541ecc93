//! The address of a vendor's API.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use thiserror::Error;

/// Where a vendor's API is: scheme, host, port and the path that all calls start with.
///
/// Every request of a source goes to exactly this scheme, host and port. Plain `http` is for a fake vendor on the same
/// machine; anywhere else it would send credentials in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// A base URL that is not used. Shows nothing of the text, which may hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadBaseUrl {
    /// There is none.
    #[error("the base URL is missing; write the vendor's address, such as https://host.example")]
    Missing,
    /// It cannot be read.
    #[error("the base URL is not an address of the form https://host/path")]
    Unreadable,
    /// Its scheme is neither `https` nor `http`.
    #[error("the base URL does not start with https://")]
    Scheme,
    /// It is plain `http` to another machine.
    #[error("the base URL is plain http; that is allowed to this machine (loopback) alone, write https://")]
    PlainToOtherHost,
    /// It holds a user name or password.
    #[error("the base URL holds a user name or password; credentials belong into the source's secret")]
    UserInfo,
    /// It holds a query.
    #[error("the base URL holds a query (?); write the address alone")]
    Query,
    /// It holds a fragment.
    #[error("the base URL holds a fragment (#); write the address alone")]
    Fragment,
}

impl BaseUrl {
    /// Reads an address. Space around it and slashes at its end mean nothing.
    ///
    /// # Errors
    /// [`BadBaseUrl`], the first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadBaseUrl> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadBaseUrl::Missing);
        }
        // The URL standard forgives backslashes, inner white space, missing and doubled slashes, dots and letters that only
        // look Latin; a person who writes them means something else than the parser makes of it.
        let odd = |c: char| c == '\\' || c.is_whitespace() || c.is_control() || !c.is_ascii();
        if text.contains(odd) {
            return Err(BadBaseUrl::Unreadable);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadBaseUrl::Unreadable)?;
        let plain = match scheme.to_ascii_lowercase().as_str() {
            "https" => false,
            "http" => true,
            _ => return Err(BadBaseUrl::Scheme),
        };
        let is_odd = |part: &str| part.is_empty() || are_dots(&part.to_ascii_lowercase().replace("%2e", "."));
        if rest.trim_end_matches('/').split('/').any(is_odd) {
            return Err(BadBaseUrl::Unreadable);
        }
        let mut url = Url::parse(text).map_err(|_| BadBaseUrl::Unreadable)?;
        // Behind a port that is left out, dots are a host to the parser.
        if url.host_str().is_some_and(are_dots) {
            return Err(BadBaseUrl::Unreadable);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadBaseUrl::UserInfo);
        }
        if url.query().is_some() {
            return Err(BadBaseUrl::Query);
        }
        if url.fragment().is_some() {
            return Err(BadBaseUrl::Fragment);
        }
        if plain && !url.host_str().is_some_and(is_loopback) {
            return Err(BadBaseUrl::PlainToOtherHost);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The same address with `path`, unless it has a path already.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> Self {
        if self.0.path().trim_matches('/').is_empty() {
            self.0.set_path(path);
        }
        self
    }

    /// Whether requests travel in the clear, to this machine.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The segments of the path that all calls start with.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty())
    }

    /// The address of a path below this one, each segment percent-encoded so that it stays one.
    pub(super) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({self})")
    }
}

/// Whether a text can be one segment of a path. Dots alone mean another address, for some servers even with parameters
/// behind them (`..;x`); of control characters some are dropped on the way, so that another record would be asked for.
pub(super) fn can_be_a_segment(text: &str) -> bool {
    !text.split(';').next().is_some_and(are_dots) && !text.contains(char::is_control)
}

fn are_dots(text: &str) -> bool {
    matches!(text, "." | "..")
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_without_their_last_slash() {
        for (text, shown) in [
            ("https://cp13.fieldmotion.com", "https://cp13.fieldmotion.com/"),
            (" https://cp13.fieldmotion.com/a/ \n", "https://cp13.fieldmotion.com/a"),
            ("HTTPS://Cp13.FieldMotion.com:8443/a", "https://cp13.fieldmotion.com:8443/a"),
            ("http://localhost:9100", "http://localhost:9100/"),
            ("http://127.0.0.1:9100/a", "http://127.0.0.1:9100/a"),
            ("http://127.9.8.7", "http://127.9.8.7/"),
            ("http://[::1]:9100", "http://[::1]:9100/"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_safe_address_is_refused_with_its_reason() {
        for (text, why) in [
            ("", BadBaseUrl::Missing),
            (" \n", BadBaseUrl::Missing),
            ("cp13.fieldmotion.com", BadBaseUrl::Unreadable),
            ("https:cp13.fieldmotion.com", BadBaseUrl::Unreadable),
            ("https://", BadBaseUrl::Unreadable),
            ("https:\\\\evil.example", BadBaseUrl::Unreadable),
            ("https://good.example\\@evil.example", BadBaseUrl::Unreadable),
            ("https://ho st.example", BadBaseUrl::Unreadable),
            ("ftp://host.example", BadBaseUrl::Scheme),
            ("file:///etc/passwd", BadBaseUrl::Scheme),
            ("http://cp13.fieldmotion.com", BadBaseUrl::PlainToOtherHost),
            ("http://localhost.evil.example", BadBaseUrl::PlainToOtherHost),
            ("http://0.0.0.0", BadBaseUrl::PlainToOtherHost),
            ("http://169.254.169.254", BadBaseUrl::PlainToOtherHost),
            ("http://[::ffff:10.0.0.1]", BadBaseUrl::PlainToOtherHost),
            ("https://user@host.example", BadBaseUrl::UserInfo),
            ("https://:password@host.example", BadBaseUrl::UserInfo),
            ("http://localhost@evil.example", BadBaseUrl::UserInfo),
            ("https://host.example/?a=1", BadBaseUrl::Query),
            ("https://host.example/#a", BadBaseUrl::Fragment),
            ("https://https://host.example", BadBaseUrl::Unreadable),
            ("https://host.example//a", BadBaseUrl::Unreadable),
            ("https://host.example/a/../b", BadBaseUrl::Unreadable),
            ("https://host.example/a/%2E%2e/b", BadBaseUrl::Unreadable),
            ("https://\u{ff48}ost.example", BadBaseUrl::Unreadable),
            ("https://host.example:99999", BadBaseUrl::Unreadable),
            ("https://[::1", BadBaseUrl::Unreadable),
            ("https://..:/", BadBaseUrl::Unreadable),
            ("https://.:443", BadBaseUrl::Unreadable),
            ("https//host.example", BadBaseUrl::Unreadable),
            ("ws://host.example", BadBaseUrl::Scheme),
            ("http://localhost.:9100", BadBaseUrl::PlainToOtherHost),
            ("http://127.0.0.1.nip.io", BadBaseUrl::PlainToOtherHost),
            ("http://host.example:443", BadBaseUrl::PlainToOtherHost),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(why), "{text}");
            assert!(!why.to_string().contains("password@"));
        }
    }

    #[test]
    fn a_segment_stays_one_segment() {
        let base = BaseUrl::parse("https://host.example/a").unwrap();
        assert_eq!(base.join(&["Jobs_getById"]).as_str(), "https://host.example/a/Jobs_getById");
        assert_eq!(base.join(&["../x?y#z"]).as_str(), "https://host.example/a/..%2Fx%3Fy%23z");
        let without_path = BaseUrl::parse("https://host.example").unwrap();
        assert_eq!(without_path.join(&["x"]).as_str(), "https://host.example/x");
    }

    #[test]
    fn what_cannot_be_one_segment_is_none() {
        for text in [".", "..", "..;", ".;x", "..;a=1", "a\tb", "\n", "a\0", "\u{7f}", "\u{85}"] {
            assert!(!can_be_a_segment(text), "{text:?}");
        }
        let base = BaseUrl::parse("https://host.example").unwrap();
        for text in ["", "...", "a b", "%2e", "%2E%2e", ".%2e", "a/../b", "\\", "é", "7", "a;..", ";.."] {
            assert!(can_be_a_segment(text), "{text:?}");
            let url = base.join(&["jobs", text]);
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            let back = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
            assert_eq!((segments.len(), &*back), (2, text));
        }
    }

    #[test]
    fn a_path_is_added_only_where_there_is_none() {
        let with = |text| BaseUrl::parse(text).unwrap().or_path("/a").to_string();
        assert_eq!(with("https://host.example/"), "https://host.example/a");
        assert_eq!(with("https://host.example/b/"), "https://host.example/b");
    }
}
