//! Reads a source's settings: a JSON object in which every key is optional and none may be unknown.
//!
//! A serde derive would stop at the first problem; a person who writes settings by hand wants all of them at once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use thiserror::Error;

/// Settings that are refused, with everything that is wrong with them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}", .0.join("; "))]
pub struct BadSettings(pub Vec<String>);

/// Settings being read: what was not taken yet, and what is wrong so far.
pub(crate) struct Settings {
    left: Vec<(String, Value)>,
    known: Vec<&'static str>,
    problems: Vec<String>,
}

impl Settings {
    /// Opens a JSON object; nothing at all is an empty one.
    pub(crate) fn open(text: &str) -> Self {
        let mut settings = Self { left: Vec::new(), known: Vec::new(), problems: Vec::new() };
        if text.trim().is_empty() {
            return settings;
        }
        match serde_json::from_str::<Pairs>(text) {
            Ok(Pairs(pairs)) => settings.left = pairs,
            Err(error) => settings.problems.push(format!(
                "the settings are not a JSON object (line {}, column {})",
                error.line(),
                error.column()
            )),
        }
        settings
    }

    /// Takes the value of `key`: `default` when it is missing or null, or when `read` makes nothing of it, which is then
    /// a problem: "`key` must be `wanted`".
    pub(crate) fn take<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        default: T,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> T {
        self.known.push(key);
        let Some(at) = self.left.iter().position(|(name, _)| name == key) else {
            return default;
        };
        let (_, value) = self.left.swap_remove(at);
        if value.is_null() {
            return default;
        }
        read(&value).unwrap_or_else(|| {
            self.problem(format!("\"{key}\" must be {wanted}"));
            default
        })
    }

    /// Takes one of these words; the default is that of the type.
    pub(crate) fn choose<T: Copy + Default, const N: usize>(
        &mut self,
        key: &'static str,
        choices: [(&str, T); N],
    ) -> T {
        let wanted = choices.map(|(word, _)| format!("\"{word}\"")).join(" or ");
        self.take(key, &wanted, T::default(), |value| {
            let word = value.as_str()?;
            choices.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice)
        })
    }

    /// Notes something else that is wrong.
    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Everything that is wrong, what was never taken included; empty when all is well.
    pub(crate) fn close(mut self) -> Vec<String> {
        self.left.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (key, _) in &self.left {
            let shown: String = key.chars().take(60).flat_map(char::escape_debug).collect();
            let problem = if self.known.iter().any(|known| known == key) {
                format!("\"{shown}\" is there twice")
            } else {
                format!("\"{shown}\" is unknown; the keys are {}", self.known.join(", "))
            };
            self.problems.push(problem);
        }
        self.problems
    }
}

/// The members of an object as they are written, so that a key written twice is seen.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A list of texts that are not empty.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter().map(|text| text.as_str().filter(|text| !text.trim().is_empty()));
    texts.map(|text| text.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (u64, Vec<String>) {
        let mut settings = Settings::open(text);
        let pages =
            settings.take("pages", "a number from 1 to 9", 5, |value| value.as_u64().filter(|n| (1..=9).contains(n)));
        settings.take("words", "a list of texts", Vec::new(), texts);
        (pages, settings.close())
    }

    #[test]
    fn nothing_is_all_defaults() {
        for text in ["", "  \n", "{}", r#"{"pages":null}"#] {
            assert_eq!(read(text), (5, Vec::new()), "{text}");
        }
        assert_eq!(read(r#"{"pages":7,"words":["a"]}"#), (7, Vec::new()));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let (pages, problems) = read(r#"{"pages":"x","words":["a",""],"pags":3,"pages":2,"b\u0000":1}"#);
        assert_eq!(pages, 5);
        assert_eq!(
            problems,
            [
                "\"pages\" must be a number from 1 to 9",
                "\"words\" must be a list of texts",
                "\"b\\0\" is unknown; the keys are pages, words",
                "\"pages\" is there twice",
                "\"pags\" is unknown; the keys are pages, words",
            ]
        );
    }

    #[test]
    fn what_is_no_object_is_a_problem_that_quotes_nothing() {
        for text in ["[]", "7", "\"api_key=s3cret\"", "{\"pages\":1", "{'pages':1}"] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{text}");
            assert!(problems[0].starts_with("the settings are not a JSON object"), "{problems:?}");
            assert!(!problems[0].contains("s3cret"));
        }
    }
}
