//! Configuration from the environment: read once, every problem reported together.
//!
//! A setting is read together with the sentence that says what it should be and what to do. Nothing falls back to a
//! default that could hide a mistake, and no value is repeated that could hold a credential.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// The prefix of all our variables.
const PREFIX: &str = "TIDEMARK_";

/// The variables of a function, and what is wrong with them so far.
#[derive(Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    problems: Vec<Problem>,
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what to do about it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.what)
    }
}

/// A configuration that a function cannot start with: everything that is wrong with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the configuration has {}: {}", count(.0.len()), list(.0))]
pub struct BadConfig(pub Vec<Problem>);

fn count(problems: usize) -> String {
    if problems == 1 { "a problem".to_owned() } else { format!("{problems} problems") }
}

fn list(problems: &[Problem]) -> String {
    let numbered = problems.iter().enumerate().map(|(at, problem)| format!("({}) {problem}", at + 1));
    numbered.collect::<Vec<_>>().join("; ")
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self::of(named.filter(|(name, _)| name.starts_with(PREFIX)))
    }

    /// An environment of these variables.
    pub fn of<N: Into<String>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, problems: Vec::new() }
    }

    /// Notes a problem.
    pub fn problem(&mut self, variable: &str, what: impl Into<String>) {
        self.problems.push(Problem { variable: variable.to_owned(), what: what.into() });
    }

    /// The value of a variable without space around it, also when it is empty; none when it is not set.
    pub fn given(&mut self, variable: &str) -> Option<String> {
        let value = self.variables.get(variable)?.to_str().map(|text| text.trim().to_owned());
        if value.is_none() {
            self.problem(variable, "is not readable text (UTF-8); write it again");
        }
        value
    }

    /// The value of a variable that has to be there and not empty; `wanted` says what it should be.
    pub fn text(&mut self, variable: &str, wanted: &str) -> Option<String> {
        let problems_before = self.problems.len();
        let value = self.given(variable);
        match value {
            Some(value) if value.is_empty() => self.problem(variable, format!("is empty; set it to {wanted}")),
            Some(value) => return Some(value),
            None if self.problems.len() > problems_before => {}
            None => self.problem(variable, format!("is not set; set it to {wanted}")),
        }
        None
    }

    /// The name of the deployment, which its metrics carry.
    pub fn stack(&mut self) -> Option<String> {
        self.text("TIDEMARK_STACK", "the stack's name")
    }

    /// The value of a variable, as `read` understands it; what `read` objects to is the problem.
    pub fn read<T, E: fmt::Display>(
        &mut self,
        variable: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(variable, wanted)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.problem(variable, format!("is not right: {wrong}; set it to {wanted}"));
                None
            }
        }
    }

    /// A span of time in whole seconds, `least` or more.
    pub fn seconds(&mut self, variable: &str, least: Duration, wanted: &str) -> Option<Duration> {
        self.read(variable, wanted, |text| {
            let seconds = text.parse().map_err(|_| format!("{} is not a whole number of seconds", shown(text)))?;
            let span = Duration::from_secs(seconds);
            if span < least { Err(format!("{seconds} is less than {}", least.as_secs())) } else { Ok(span) }
        })
    }

    /// The configuration, unless there was a problem.
    ///
    /// # Errors
    /// [`BadConfig`] with all problems noted. A configuration that is missing without a reason is an error, too.
    pub fn finish<T>(mut self, config: Option<T>) -> Result<T, BadConfig> {
        match config {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => {
                if self.problems.is_empty() {
                    self.problem(PREFIX, "could not be read");
                }
                Err(BadConfig(self.problems))
            }
        }
    }
}

/// A value for a message: short, quoted, control characters escaped.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_in_one_error() {
        let mut environment = Environment::of([("TIDEMARK_A", " "), ("TIDEMARK_C", "soon\n")]);
        let a = environment.text("TIDEMARK_A", "the name of a table");
        let b = environment.text("TIDEMARK_B", "the name of another");
        let c = environment.seconds("TIDEMARK_C", Duration::from_secs(1), "60 or more");
        let error = environment.finish(a.zip(b).zip(c)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration has 3 problems: (1) TIDEMARK_A is empty; set it to the name of a table; \
             (2) TIDEMARK_B is not set; set it to the name of another; \
             (3) TIDEMARK_C is not right: \"soon\" is not a whole number of seconds; set it to 60 or more"
        );
    }

    #[test]
    fn a_problem_beside_a_whole_configuration_still_fails_it() {
        let mut environment = Environment::of([("TIDEMARK_A", "a")]);
        let a = environment.text("TIDEMARK_A", "anything");
        environment.problem("TIDEMARK_B", "is wrong; fix it");
        let error = environment.finish(a).unwrap_err();
        assert_eq!(error.to_string(), "the configuration has a problem: (1) TIDEMARK_B is wrong; fix it");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_one_problem() {
        use std::os::unix::ffi::OsStringExt;
        let mut environment = Environment::of([("TIDEMARK_A", OsString::from_vec(vec![0x66, 0xff]))]);
        let a = environment.text("TIDEMARK_A", "anything");
        assert_eq!(environment.finish(a).unwrap_err().0.len(), 1);
    }

    #[test]
    fn seconds_have_a_floor() {
        let least = Duration::from_secs(41);
        for (text, good) in
            [("41", true), ("40", false), ("-1", false), ("1.5", false), ("99999999999999999999", false)]
        {
            let mut environment = Environment::of([("TIDEMARK_A", text)]);
            assert_eq!(environment.seconds("TIDEMARK_A", least, "41 or more").is_some(), good, "{text}");
        }
    }
}
