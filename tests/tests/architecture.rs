//! The direction of dependencies: functions and command line on adapters, adapters on the engine, and each outside world
//! in one crate.
#![expect(clippy::expect_used, reason = "a test's own expectation")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};
use tidemark_engine::stream::SourceKind;

/// What each of our crates ships with, by name of crate.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace");
    let shipped = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), shipped(package))).collect()
}

/// Crates for development and measuring; they may use everything.
const NOT_SHIPPED: [&str; 4] = ["tidemark-bench", "tidemark-fakes", "tidemark-testkit", "tidemark-tests"];

#[test]
fn our_crates_depend_on_each_other_in_one_direction() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("tidemark-engine", [].as_slice()),
        ("tidemark-sweep", &["tidemark-engine"]),
        ("tidemark-watch", &["tidemark-engine", "tidemark-sweep"]),
        ("tidemark-sources", &["tidemark-engine", "tidemark-sweep"]),
        ("tidemark-aws", &["tidemark-engine", "tidemark-sweep", "tidemark-watch"]),
        (
            "tidemark-runtime",
            &["tidemark-engine", "tidemark-sweep", "tidemark-watch", "tidemark-aws", "tidemark-sources"],
        ),
        ("tidemark-cli", &["tidemark-engine", "tidemark-sweep", "tidemark-watch", "tidemark-aws", "tidemark-sources"]),
        ("tidemark-testkit", &["tidemark-engine", "tidemark-sweep", "tidemark-watch"]),
        ("tidemark-fakes", &[]),
    ]);
    for (name, shipped) in dependencies() {
        let Some(allowed) = allowed.get(name.as_str()) else { continue };
        let ours: Vec<&String> = shipped.iter().filter(|other| other.starts_with("tidemark-")).collect();
        let wrong: Vec<_> = ours.into_iter().filter(|other| !allowed.contains(&other.as_str())).collect();
        assert!(wrong.is_empty(), "{name} must not depend on {wrong:?}");
    }
}

#[test]
fn each_outside_world_has_one_crate() {
    let home = |dependency: &str| match dependency {
        "reqwest" | "governor" | "md-5" => Some("tidemark-sources"),
        "clap" | "comfy-table" | "indicatif" => Some("tidemark-cli"),
        other if other.starts_with("aws-sdk-") || other == "aws-config" => Some("tidemark-aws"),
        _ => None,
    };
    for (name, shipped) in dependencies() {
        if NOT_SHIPPED.contains(&name.as_str()) {
            continue;
        }
        for dependency in shipped {
            let home = home(&dependency);
            assert!(home.is_none_or(|home| home == name), "{dependency} belongs to {home:?}, not to {name}");
        }
    }
}

#[test]
fn the_engine_knows_no_runtime() {
    let engine = &dependencies()["tidemark-engine"];
    for outside in ["tokio", "lambda_runtime", "reqwest", "axum"] {
        assert!(!engine.contains(outside), "the engine depends on {outside}");
    }
}

#[test]
fn nothing_of_development_is_shipped() {
    for (name, shipped) in dependencies() {
        if !NOT_SHIPPED.contains(&name.as_str()) {
            let found: Vec<_> = NOT_SHIPPED.iter().filter(|other| shipped.contains(**other)).collect();
            assert!(found.is_empty(), "{name} ships {found:?}");
        }
    }
}

/// A package's features are those that everything built with it asks for: so what is built for a deployment is the
/// functions alone.
#[test]
fn functions_are_built_without_the_switch_that_leaves_rules_out() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(root).no_deps().exec().expect("cargo describes the workspace");
    let built: BTreeSet<String> =
        metadata.workspace_default_packages().iter().map(|package| package.name.to_string()).collect();
    let functions = ["tidemark-fetcher", "tidemark-poller", "tidemark-watcher"].map(str::to_owned);
    assert_eq!(built, BTreeSet::from(functions));
    for package in metadata.packages.iter().filter(|package| !NOT_SHIPPED.contains(&package.name.as_str())) {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        let asks = normal.filter(|dependency| dependency.name == "tidemark-engine" && !dependency.features.is_empty());
        assert_eq!(asks.count(), 0, "{} asks for features of the engine", package.name);
    }
}

/// What the command line alone needs of AWS would make every function larger, and slower to start.
#[test]
fn functions_are_built_without_what_the_command_line_needs() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace");
    for package in &metadata.packages {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        let asks =
            normal.filter(|other| other.name == "tidemark-aws" && other.features.contains(&"operator".to_owned()));
        assert_eq!(asks.count() > 0, package.name.as_str() == "tidemark-cli", "{}", package.name);
    }
}

/// Who knows one source finds his way in the others.
#[test]
fn every_source_has_the_same_files() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sources/src");
    for kind in SourceKind::ALL {
        let folder = sources.join(kind.as_str());
        for module in ["streams", "call", "answer", "settings"] {
            let is_there =
                folder.join(module).with_extension("rs").exists() || folder.join(module).join("mod.rs").exists();
            assert!(is_there, "{kind} has no module {module}");
        }
    }
}

/// A module of the engine, by the names on the way to it.
type Module = Vec<String>;

/// The sources of the engine without their unit tests, by module.
fn engine() -> BTreeMap<Module, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/engine/src");
    let mut files = Vec::new();
    files_below(&root, &mut files);
    let module_of = |path: &Path| -> Module {
        let inner = path.strip_prefix(&root).expect("it is below the root").with_extension("");
        inner
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name != "lib" && name != "mod")
            .collect()
    };
    let text_of = |path: &Path| {
        let text = fs::read_to_string(path).expect("a file can be read");
        text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
    };
    files.iter().map(|path| (module_of(path), text_of(path))).collect()
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

/// The single paths of a path with braces: `a::{b, c::{d, e}}` names three.
fn single_paths(path: &str) -> Vec<String> {
    let Some((head, inner)) = path.split_once('{') else { return vec![path.trim().to_owned()] };
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for letter in inner.chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        match parts.last_mut() {
            Some(part) if letter != ',' || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts.iter().flat_map(|part| single_paths(part)).map(|part| format!("{}{part}", head.trim())).collect()
}

/// The paths that a module imports, or names in full, from `crate` or `super` on.
fn named_in(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let continues = |letter: char| letter.is_alphanumeric() || "_:".contains(letter);
    let mut named = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let is_whole = !code.get(..at).unwrap_or_default().ends_with(continues);
            let rest = code.get(at..).unwrap_or_default();
            let path = rest.split(|letter| !continues(letter)).next().unwrap_or_default();
            match rest.strip_prefix(path).is_some_and(|behind| behind.starts_with('{')) {
                _ if !is_whole => {}
                true => named.extend(single_paths(rest.split(';').next().unwrap_or_default())),
                false => named.push(path.to_owned()),
            }
        }
    }
    named
}

/// Whether a module defines a public item of this name.
fn defines(text: &str, name: &str) -> bool {
    let is_it = |line: &str| {
        let words: Vec<&str> = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        let kinds = ["struct", "enum", "trait", "fn", "type", "const", "static"];
        words.iter().zip(words.iter().skip(1)).any(|(kind, named)| kinds.contains(kind) && *named == name)
    };
    text.lines().filter(|line| line.starts_with("pub")).any(is_it)
}

/// The modules that each module takes something from. That a parent names its children is no import. Names at the root of
/// the crate are those of its modules, which the root imports whole.
fn imports(modules: &BTreeMap<Module, String>) -> BTreeMap<&Module, BTreeSet<&Module>> {
    let resolved = |from: &Module, path: &str| {
        let mut at: Module = Vec::new();
        for (n, name) in path.split("::").map(str::trim).enumerate() {
            match name {
                "crate" => {}
                "super" if n == 0 => at = from.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default(),
                "super" => drop(at.pop()),
                name => at.push(name.to_owned()),
            }
        }
        if let Some(name) = at.first().filter(|_| !modules.contains_key(at.get(..1).unwrap_or_default())) {
            let of_root = |(module, text): &(&Module, &String)| module.len() == 1 && defines(text, name);
            return modules.iter().find(of_root).map(|(module, _)| module);
        }
        while !at.is_empty() && !modules.contains_key(&at) {
            at.pop();
        }
        modules.keys().find(|module| **module == at)
    };
    let of = |from: &Module, text: &str| {
        let paths = named_in(text);
        let found = paths.iter().filter_map(|path| resolved(from, path));
        found.filter(|to| !to.is_empty() && !to.starts_with(from)).collect()
    };
    modules.iter().map(|(from, text)| (from, of(from, text))).collect()
}

#[test]
fn no_module_of_the_engine_imports_one_that_imports_it_back() {
    let modules = engine();
    let imports = imports(&modules);
    let edges: usize = imports.values().map(BTreeSet::len).sum();
    assert!(modules.len() > 30 && edges > 100, "the sources are read: {} modules, {edges} imports", modules.len());
    let mut cycles = Vec::new();
    for start in imports.keys() {
        let mut ways: Vec<Vec<&Module>> = vec![vec![start]];
        let mut met = BTreeSet::new();
        while let Some(way) = ways.pop() {
            let Some(last) = way.last() else { continue };
            for next in imports.get(last).into_iter().flatten() {
                let longer = || way.iter().copied().chain([*next]).collect::<Vec<_>>();
                if next == start {
                    cycles.push(longer().iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" -> "));
                } else if met.insert(*next) {
                    ways.push(longer());
                }
            }
        }
    }
    assert!(cycles.is_empty(), "these import each other: {cycles:#?}");
}

#[test]
fn imports_are_read_in_every_form() {
    let text =
        "use crate::a::{B, c::{D, e::F}};\nuse super::g::H;\nfn x(y: crate::i::J) {}\nuse crate::k;\n// crate::no\n";
    let mut named = named_in(text);
    named.sort();
    assert_eq!(named, ["crate::a::B", "crate::a::c::D", "crate::a::c::e::F", "crate::i::J", "crate::k", "super::g::H"]);
}
