//! What `make new-source` left to be written.

use std::fs;
use std::path::Path;

use tidemark_engine::stream::SourceKind;

/// Every place that is left says so in these words.
const MARK: &str = "not written yet, see docs/add-a-source.md";

/// The places of a source that are left.
fn places(kind: SourceKind) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![format!("shared/sources/tests/contract/{kind}.rs"), format!("docs/sources/{kind}.md")];
    for folder in [format!("shared/sources/src/{kind}"), format!("shared/fakes/src/{kind}")] {
        let entries = fs::read_dir(root.join(&folder)).unwrap().map(|entry| entry.unwrap().file_name());
        files.extend(entries.map(|name| format!("{folder}/{}", name.to_string_lossy())));
    }
    files.retain(|file| root.join(file).is_file());
    let of = |file: &String| -> Vec<String> {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains(MARK));
        lines.map(|(at, line)| format!("{file}:{}: {}", at + 1, line.trim())).collect()
    };
    files.iter().flat_map(of).collect()
}

#[test]
fn every_source_is_written() {
    let left: Vec<String> = SourceKind::ALL.iter().flat_map(|kind| places(*kind)).collect();
    assert!(left.is_empty(), "these places are left to be written:\n{}", left.join("\n"));
}
