//! Addresses: what a request asks for, read from its path and query.

use percent_encoding::percent_decode_str;

use super::Resource;
use crate::{vendor::CallKind, wire::Request};

const BASE: &str = "/api/v1/";

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Its pattern; of an address that is none of the vendor's, the path.
    pub(super) pattern: String,
    pub(super) kind: CallKind,
    pub(super) resource: Option<&'static Resource>,
    pub(super) id: Option<String>,
    /// Whether the id is a part of the path.
    pub(super) is_by_path: bool,
    query: Vec<(String, String)>,
}

impl Address {
    /// Reads an address.
    pub(super) fn of(request: &Request) -> Self {
        let query = pairs(&request.query);
        let path = request.path.strip_prefix(BASE).unwrap_or_default();
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let asked = query.iter().find(|(name, _)| name == "id").map(|(_, id)| id.clone());
        let address_query = query.clone();
        let mut address = Self {
            pattern: request.path.clone(),
            kind: CallKind::Other,
            resource: Resource::at(name),
            id: None,
            is_by_path: rest.is_some(),
            query,
        };
        let has =
            |(key, value): (&str, &str)| address_query.iter().any(|(known, given)| known == key && given == value);
        (address.pattern, address.kind, address.id) = match (address.resource, rest, asked) {
            (Some(_), None, None) => (format!("GET /{name}"), CallKind::List, None),
            (Some(of), None, Some(id)) if of.children(|parent| has(parent.query)).is_some() => {
                address.resource = of.children(|parent| has(parent.query));
                (format!("GET /{name}?id=..&.."), CallKind::Detail, Some(id))
            }
            (Some(_), None, Some(id)) => (format!("GET /{name}?id=.."), CallKind::Detail, Some(id)),
            (Some(_), Some(id), _) if !id.contains('/') => {
                (format!("GET /{name}/{{id}}"), CallKind::Detail, Some(decoded(id)))
            }
            (Some(of), Some(rest), _) => match rest.split_once('/') {
                Some((id, last)) if of.children(|parent| parent.segment == last).is_some() => {
                    address.resource = of.children(|parent| parent.segment == last);
                    (format!("GET /{name}/{{id}}/{last}"), CallKind::Detail, Some(decoded(id)))
                }
                _ => return Self { resource: Resource::at(name), ..address },
            },
            (None, _, _) => return address,
        };
        address
    }

    /// The first value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The names of the parameters in order.
    pub(super) fn parameters(&self) -> Vec<String> {
        self.query.iter().map(|(name, _)| name.clone()).collect()
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " "))))
        .collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(target: &str) -> Address {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Address::of(&Request {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        })
    }

    #[test]
    fn lists_and_both_styles_of_details_are_told_apart() {
        for (target, pattern, kind, id) in [
            ("/api/v1/jobs", "GET /jobs", CallKind::List, None),
            ("/api/v1/jobs?page=2&per_page=50", "GET /jobs", CallKind::List, None),
            ("/api/v1/jobs?id=a%2Fb+c", "GET /jobs?id=..", CallKind::Detail, Some("a/b c")),
            ("/api/v1/assets/a%2Fb%20c", "GET /assets/{id}", CallKind::Detail, Some("a/b c")),
            ("/api/v1/customers/1/locations", "GET /customers/{id}/locations", CallKind::Detail, Some("1")),
            ("/api/v1/customers?id=1&locations=1", "GET /customers?id=..&..", CallKind::Detail, Some("1")),
            ("/api/v1/assets?id=1&sub=service_history", "GET /assets?id=..&..", CallKind::Detail, Some("1")),
            ("/api/v1/customers/1/ships", "/api/v1/customers/1/ships", CallKind::Other, None),
            ("/api/v1/inventory", "GET /inventory", CallKind::List, None),
            ("/api/v1/customer_locations", "/api/v1/customer_locations", CallKind::Other, None),
            ("/jobs", "/jobs", CallKind::Other, None),
        ] {
            let address = address(target);
            assert_eq!(
                (address.pattern.as_str(), address.kind, address.id.as_deref()),
                (pattern, kind, id),
                "{target}"
            );
        }
    }

    #[test]
    fn parameters_are_read_as_they_arrived() {
        let address = address("/api/v1/jobs?page=1&updated_since=2026-02-23T00%3A00%3A00Z");
        assert_eq!(address.parameters(), ["page", "updated_since"]);
        assert_eq!(address.parameter("updated_since"), Some("2026-02-23T00:00:00Z"));
        assert_eq!(address.parameter("id"), None);
    }
}
