//! Where a redirect leads, as far as it matters: whether it is the same address but for a slash at its end.

use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderMap, LOCATION};

/// Where a redirect leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To the same address, with a slash at its end or without one.
    Slash,
    /// To another address of the same host, such as a login page.
    SameHost,
    /// To another host, port or scheme.
    Elsewhere,
    /// It does not say.
    Nowhere,
}

impl Target {
    /// Where the answer to a call of `asked` leads.
    pub(super) fn of(asked: &Url, headers: &HeaderMap) -> Self {
        let Some(location) = headers.get(LOCATION) else { return Self::Nowhere };
        let Some(target) = location.to_str().ok().and_then(|text| asked.join(text).ok()) else {
            return Self::Nowhere;
        };
        if target.origin() != asked.origin() {
            return Self::Elsewhere;
        }
        let is_same_query = target.query().is_none() || target.query() == asked.query();
        if target.path() == toggled(asked.path()) && is_same_query { Self::Slash } else { Self::SameHost }
    }

    /// What a person can do.
    pub(super) const fn next_step(self) -> &'static str {
        match self {
            Self::Slash => "write the address as the vendor does: it only adds or removes a slash at the end",
            Self::SameHost => {
                "the vendor sends callers to another page, perhaps a login: compare the base URL and its path"
            }
            Self::Elsewhere => {
                "compare the base URL (scheme, host and port) with the vendor's: it sends callers elsewhere"
            }
            Self::Nowhere => "compare the base URL with the vendor's documentation",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slash => "a redirect that only adds or removes a slash",
            Self::SameHost => "a redirect to another page",
            Self::Elsewhere => "a redirect to another host",
            Self::Nowhere => "a redirect that leads nowhere",
        })
    }
}

/// The same address with a slash at the end of its path, or without the one that is there.
pub(super) fn with_other_slash(asked: &Url) -> Url {
    let mut other = asked.clone();
    other.set_path(&toggled(asked.path()));
    other
}

fn toggled(path: &str) -> String {
    path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn only_a_slash_at_the_end_is_the_same_address() {
        let asked = Url::parse("https://host.example/api/jobs?page=2").unwrap();
        for (location, expected) in [
            ("https://host.example/api/jobs/?page=2", Target::Slash),
            ("/api/jobs/", Target::Slash),
            ("/api/jobs/?page=1", Target::SameHost),
            ("/api/jobs//", Target::SameHost),
            ("/login", Target::SameHost),
            ("/api/jobs?page=2", Target::SameHost),
            ("http://host.example/api/jobs/?page=2", Target::Elsewhere),
            ("https://host.example:444/api/jobs/?page=2", Target::Elsewhere),
            ("https://evil.example/api/jobs/?page=2", Target::Elsewhere),
            ("//evil.example/api/jobs/?page=2", Target::Elsewhere),
            ("https://host.example@evil.example/api/jobs/", Target::Elsewhere),
            ("https://", Target::Nowhere),
            ("HTTPS://HOST.example:443/api/jobs/", Target::Slash),
            ("/api/jobs/#top", Target::Slash),
            ("jobs/", Target::Slash),
            ("/api/x/../jobs/", Target::Slash),
            ("/API/jobs/", Target::SameHost),
            ("/api/jobs%2F", Target::SameHost),
            ("/api/jobs/?page=2&next=x", Target::SameHost),
            ("/api/jobs/?", Target::SameHost),
            ("\\\\evil.example\\api\\jobs\\", Target::Elsewhere),
            ("javascript:alert(1)", Target::Elsewhere),
            ("ftp://host.example/api/jobs/", Target::Elsewhere),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            assert_eq!(Target::of(&asked, &headers), expected, "{location}");
        }
        assert_eq!(Target::of(&asked, &HeaderMap::new()), Target::Nowhere);
        let with = Url::parse("https://host.example/api/jobs/?page=2").unwrap();
        assert_eq!((with_other_slash(&asked), with_other_slash(&with)), (with, asked));
    }
}
