//! `docs/faults.md` names a test for every fault. It is read here, so that it cannot rot.
#![expect(clippy::expect_used, reason = "a test's own expectation")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

const FAULTS: usize = 144;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A row of the page: `| number | fault | what comes of it | file: tests; file: tests; words |`.
struct Row {
    number: usize,
    shown_by: String,
}

fn rows() -> Vec<Row> {
    let page = read_to_string(root().join("docs/faults.md")).expect("the page is there");
    let row = |line: &str| {
        let mut cells = line.trim().trim_start_matches("| ").trim_end_matches(" |").split(" | ");
        let number = cells.next()?.parse().ok()?;
        Some(Row { number, shown_by: cells.last()?.to_owned() })
    };
    page.lines().filter_map(row).collect()
}

impl Row {
    /// The tests that it names, each with its file.
    fn tests(&self) -> Vec<(&str, &str)> {
        let named = self.shown_by.split("; ").filter_map(|part| part.split_once(": `"));
        named
            .flat_map(|(file, tests)| tests.split("`, `").map(move |test| (file, test.trim_end_matches('`'))))
            .collect()
    }
}

/// All files with tests of a folder, by path; of each the names of its tests.
fn tests_in(folder: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            tests_in(&path, found);
        } else if name.ends_with(".rs") || name.ends_with(".py") {
            let text = read_to_string(&path).expect("the file can be read");
            found.insert(path.to_string_lossy().into_owned(), tests_of(&text));
        }
    }
}

/// The names of the functions that are marked as tests (Rust), named as tests (Python), or tests of every source (the
/// contract suite, whose macro marks them).
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_marked = false;
    for line in text.lines().map(str::trim) {
        let marked = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").filter(|_| is_marked);
        let named = line.strip_prefix("def ").filter(|name| name.starts_with("test_"));
        let of_all = line.strip_prefix("pub(crate) async fn ").filter(|name| name.contains("<V: Vendor>"));
        found.extend(marked.or(named).or(of_all).and_then(|name| name.split(['(', '<']).next()).map(str::to_owned));
        // Other attributes and comments may stand between the mark and the function.
        is_marked = line.ends_with("test]")
            || line.starts_with("#[tokio::test(")
            || (is_marked && (line.starts_with("#[") || line.starts_with("//")));
    }
    found
}

#[test]
fn every_fault_is_on_the_page_once_and_in_order() {
    let numbers: Vec<usize> = rows().iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=FAULTS).collect::<Vec<_>>());
}

#[test]
fn every_test_on_the_page_is_in_its_file() {
    let mut files = BTreeMap::new();
    for folder in ["functions", "shared", "tests"] {
        tests_in(&root().join(folder), &mut files);
    }
    let is_there = |file: &str, test: &str| {
        files.iter().any(|(path, tests)| path.ends_with(&format!("/{file}")) && tests.contains(test))
    };
    let rows = rows();
    let named = rows.iter().flat_map(|row| row.tests().into_iter().map(|(file, test)| (row.number, file, test)));
    let missing: Vec<_> = named.filter(|(_, file, test)| !is_there(file, test)).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
}

#[test]
fn a_fault_without_a_test_says_why() {
    for row in rows() {
        let why = ["belongs to", "not shown"];
        let says_why = why.iter().any(|words| row.shown_by.contains(words));
        assert!(says_why || !row.tests().is_empty(), "fault {} has neither a test nor a reason", row.number);
    }
}
