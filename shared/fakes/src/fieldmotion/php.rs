//! The PHP in the vendor: how it reads a form and writes JSON.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// PHP ignores what comes after so many parameters.
const MAX_INPUT_VARS: usize = 1000;

/// A received form, in the order of its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, Field)>);

/// A parameter: PHP makes arrays of names with brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Text(String),
    Array(Vec<(String, Self)>),
}

impl Form {
    /// Reads a form body; `None` if it is not UTF-8, which PHP's JSON cannot hold.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let body = std::str::from_utf8(body).ok()?;
        let mut fields = Vec::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()).take(MAX_INPUT_VARS) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let path = path_of(&name);
            if let Some((first, rest)) = path.split_first().filter(|(first, _)| !first.is_empty()) {
                put(&mut fields, first, rest, value);
            }
        }
        Some(Self(fields))
    }

    /// A parameter that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, Field::Text(text))) => Some(text),
            Some((_, Field::Array(_))) | None => None,
        }
    }

    /// The names of the parameters in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// `json_encode` of the parameters without those named.
    pub(super) fn json_without(&self, names: &[&str]) -> String {
        let kept: Vec<_> = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).collect();
        let mut json = String::new();
        encode_fields(&mut json, kept.into_iter());
        json
    }
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// `a.b[c][]` is `["a_b", "c", ""]`.
fn path_of(name: &str) -> Vec<String> {
    let name = name.trim_start_matches(' ');
    let (base, brackets) = name.split_once('[').map_or((name, None), |(base, rest)| (base, Some(rest)));
    let mut path = vec![base.replace(['.', ' '], "_")];
    let mut rest = brackets;
    while let Some((key, after)) = rest.and_then(|rest| rest.split_once(']')) {
        path.push(key.to_owned());
        rest = after.strip_prefix('[');
    }
    path
}

fn put(fields: &mut Vec<(String, Field)>, name: &str, rest: &[String], value: String) {
    let name = if name.is_empty() { fields.len().to_string() } else { name.to_owned() };
    let at = fields.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        fields.push((name, Field::Text(String::new())));
        fields.len() - 1
    });
    let Some((_, field)) = fields.get_mut(at) else { return };
    match rest.split_first() {
        None => *field = Field::Text(value),
        Some((next, rest)) => {
            if matches!(field, Field::Text(_)) {
                *field = Field::Array(Vec::new());
            }
            if let Field::Array(inner) = field {
                put(inner, next, rest, value);
            }
        }
    }
}

/// A list if the keys are 0, 1, 2 and so on, an object otherwise; nothing at all is a list.
fn encode_fields<'form>(json: &mut String, fields: impl Iterator<Item = &'form (String, Field)> + Clone) {
    let is_list = fields.clone().enumerate().all(|(at, (name, _))| *name == at.to_string());
    json.push(if is_list { '[' } else { '{' });
    for (at, (name, field)) in fields.enumerate() {
        if at > 0 {
            json.push(',');
        }
        if !is_list {
            encode_text(json, name);
            json.push(':');
        }
        match field {
            Field::Text(text) => encode_text(json, text),
            Field::Array(inner) => encode_fields(json, inner.iter()),
        }
    }
    json.push(if is_list { ']' } else { '}' });
}

/// `json_encode` of a text, with default flags: `\/`, `\uXXXX` in lower case, U+007F as it is.
pub(super) fn encode_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '/' => json.push_str("\\/"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            ' '..='\u{7f}' => json.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    json.push_str("\\u");
                    for shift in [12, 8, 4, 0] {
                        json.extend(char::from_digit(u32::from(*unit >> shift & 0xf), 16));
                    }
                }
            }
        }
    }
    json.push('"');
}

/// `json_encode` of any value.
pub(super) fn encode_value(json: &mut String, value: &Value) {
    match value {
        Value::String(text) => encode_text(json, text),
        Value::Array(values) => {
            json.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                encode_value(json, value);
            }
            json.push(']');
        }
        Value::Object(fields) => encode_object(json, fields.iter().map(|(name, value)| (name.as_str(), value))),
        Value::Null | Value::Bool(_) | Value::Number(_) => json.push_str(&value.to_string()),
    }
}

/// `json_encode` of named values in order.
pub(super) fn encode_object<'row>(json: &mut String, fields: impl Iterator<Item = (&'row str, &'row Value)>) {
    json.push('{');
    for (at, (name, value)) in fields.enumerate() {
        if at > 0 {
            json.push(',');
        }
        encode_text(json, name);
        json.push(':');
        encode_value(json, value);
    }
    json.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> String {
        Form::parse(body.as_bytes()).unwrap().json_without(&[])
    }

    #[test]
    fn order_is_kept_and_plus_is_a_space() {
        assert_eq!(json("b=1+2&a=3%2B4"), r#"{"b":"1 2","a":"3+4"}"#);
    }

    #[test]
    fn brackets_make_lists_and_objects() {
        assert_eq!(json("ids[0]=a&ids[1]=b"), r#"{"ids":["a","b"]}"#);
        assert_eq!(json("ids%5B%5D=a&ids%5B%5D=b"), r#"{"ids":["a","b"]}"#);
        assert_eq!(json("ids[0]=a&ids[2]=b"), r#"{"ids":{"0":"a","2":"b"}}"#);
        assert_eq!(json("a[x][0]=1"), r#"{"a":{"x":["1"]}}"#);
    }

    #[test]
    fn names_are_mangled_and_repeated_ones_keep_their_first_place() {
        assert_eq!(json("a.b=1&c+d=2&a.b=3"), r#"{"a_b":"3","c_d":"2"}"#);
    }

    #[test]
    fn text_is_escaped_as_php_does() {
        let mut text = String::new();
        encode_text(&mut text, "é/\"\\\u{7f}<&'>\n\u{1}😀");
        assert_eq!(text, "\"\\u00e9\\/\\\"\\\\\u{7f}<&'>\\n\\u0001\\ud83d\\ude00\"");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(Form::parse(b"a=%ff"), None);
        assert_eq!(Form::parse(b"a=\xff"), None);
    }

    #[test]
    fn only_the_first_thousand_parameters_count() {
        let body = (0..1001).map(|at| format!("p{at}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(Form::parse(body.as_bytes()).unwrap().names().len(), 1000);
    }
}
