//! The pages of `docs/sources`: they document every stream and every setting, and each test that they name exists.
#![expect(clippy::expect_used, reason = "a test's own expectation")]

use std::fs;
use std::path::{Path, PathBuf};

use tidemark_engine::stream::SourceKind;
use tidemark_sources::registry::{is_on_by_default, streams_of};

const RULES: &str = "## Rules and tests";
const SETTINGS: &str = "## Settings";
/// Where tests of sources and of the engine under them are.
const PLACES: [&str; 4] = ["shared/sources/src", "shared/sources/tests", "shared/engine/src", "tests/tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the root").to_owned()
}

fn page(kind: SourceKind) -> String {
    let path = root().join("docs/sources").join(format!("{kind}.md"));
    fs::read_to_string(&path).unwrap_or_else(|_| String::from("no page"))
}

/// What stands under a title, up to the next title of its level.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let rest = page.split_once(&format!("\n{title}\n")).map_or("", |(_, rest)| rest);
    rest.split("\n## ").next().unwrap_or_default()
}

/// The last cell of each row of a page's table of rules.
fn rules(kind: SourceKind) -> Vec<String> {
    let page = page(kind);
    let lines = section(&page, RULES).lines().skip_while(|line| !line.starts_with("|---"));
    let rows = lines.skip(1).take_while(|line| line.starts_with("| "));
    rows.map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default().to_owned()).collect()
}

fn all_rules() -> Vec<String> {
    SourceKind::ALL.iter().flat_map(|kind| rules(*kind)).collect()
}

/// The tests that a cell names, each as `name` with its file in parentheses behind it.
fn named(cell: &str) -> Vec<(String, String)> {
    let names = cell.split('`').skip(1).step_by(2).map(str::to_owned);
    let behind = cell.split('`').skip(2).step_by(2);
    let file = |text: &str| {
        let file = text.strip_prefix(" (").and_then(|rest| rest.split(')').next());
        file.unwrap_or("no file").to_owned()
    };
    names.zip(behind.map(file)).collect()
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

/// Every key that the code knows, as its own refusal of an unknown one lists them.
fn keys(kind: SourceKind) -> Vec<String> {
    let refusal = streams_of(kind, r#"{"?":1}"#).expect_err("an unknown key is refused").to_string();
    let (_, keys) = refusal.split_once("the keys are ").expect("the refusal lists the keys");
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_test_that_a_page_names_is_in_its_file() {
    let mut files = Vec::new();
    for place in PLACES {
        files_below(&root().join(place), &mut files);
    }
    let holds = |name: &str, file: &str| {
        files.iter().filter(|path| path.ends_with(file)).any(|path| {
            let text = fs::read_to_string(path).expect("a file can be read");
            text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"))
        })
    };
    let all = all_rules().iter().flat_map(|cell| named(cell)).collect::<Vec<_>>();
    let missing: Vec<_> = all.iter().filter(|(name, file)| !holds(name, file)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_rule_has_a_test_or_a_reason() {
    for cell in all_rules() {
        let has_reason = cell.strip_prefix("not covered: ").is_some_and(|reason| !reason.is_empty());
        assert!(has_reason || !named(&cell).is_empty(), "{cell}");
    }
    for kind in SourceKind::ALL {
        assert!(rules(*kind).len() > 20, "the table of {kind} is read whole");
    }
}

#[test]
fn every_setting_is_documented_with_its_default() {
    for kind in SourceKind::ALL {
        let page = page(*kind);
        let rows: Vec<&str> = section(&page, SETTINGS).lines().filter(|line| line.starts_with("| `")).collect();
        let documented = |key: &String| rows.iter().any(|row| row.starts_with(&format!("| `{key}` | ")));
        let missing: Vec<_> = keys(*kind).into_iter().filter(|key| !documented(key)).collect();
        assert!(missing.is_empty(), "docs/sources/{kind}.md lacks {missing:?}");
        assert_eq!(rows.len(), keys(*kind).len(), "docs/sources/{kind}.md documents a setting twice, or one too many");
    }
}

#[test]
fn every_example_of_settings_is_accepted() {
    for kind in SourceKind::ALL {
        let page = page(*kind);
        let section = section(&page, SETTINGS);
        let mut examples = section.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).peekable();
        assert!(examples.peek().is_some(), "docs/sources/{kind}.md has no example");
        for example in examples {
            let problem = streams_of(*kind, example).err();
            assert!(problem.is_none(), "{kind}: {problem:?}");
        }
    }
}

#[test]
fn every_stream_is_documented() {
    for kind in SourceKind::ALL {
        let page = page(*kind);
        for stream in streams_of(*kind, "{}").expect("the defaults are good").into_iter().map(|stream| stream.name) {
            assert!(page.contains(&format!("`{stream}`")), "docs/sources/{kind}.md lacks the stream {stream}");
            let is_marked = page.lines().any(|line| line.starts_with(&format!("| `{stream}` | no |")));
            assert_eq!(is_marked, !is_on_by_default(*kind, &stream), "whether {kind} {stream} is on by default");
        }
    }
}
