//! What `docs/sources.md` says of tests: each one that it names is there.
#![expect(clippy::expect_used, reason = "a test's own expectation")]

use std::fs;
use std::path::{Path, PathBuf};

const TITLE: &str = "### Rules and traps of the vendor's API";
/// Where tests of sources and of the engine under them are.
const PLACES: [&str; 4] = ["shared/sources/src", "shared/sources/tests", "shared/engine/src", "tests/tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the root").to_owned()
}

/// The last cell of each row of the tables of rules, by table.
fn tables() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/sources.md")).expect("the page is there");
    let sections = page.split(TITLE).skip(1);
    let rows = |section: &str| {
        let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
        let cells = lines
            .skip(1)
            .take_while(|line| line.starts_with("| "))
            .map(|line| line.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default().to_owned());
        cells.collect()
    };
    sections.map(rows).collect()
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

#[test]
fn every_test_that_the_page_of_sources_names_is_in_its_file() {
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
    let all = tables().concat().iter().flat_map(|cell| named(cell)).collect::<Vec<_>>();
    let missing: Vec<_> = all.iter().filter(|(name, file)| !holds(name, file)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_rule_on_the_page_of_sources_has_a_test_or_a_reason() {
    let tables = tables();
    assert_eq!(tables.len(), 4, "one table a source");
    for cell in tables.concat() {
        let has_reason = cell.strip_prefix("not covered: ").is_some_and(|reason| !reason.is_empty());
        assert!(has_reason || !named(&cell).is_empty(), "{cell}");
    }
    assert!(tables.iter().all(|rows| rows.len() > 20), "the tables are read whole");
}
