//! The direction of dependencies: functions on adapters, adapters on the engine, and each outside world in one crate.
#![expect(clippy::expect_used, reason = "a test's own expectation")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate of ours ships with, by name of crate.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace");
    let shipped = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), shipped(package))).collect()
}

/// Crates for development and measuring; they may use everything.
const NOT_SHIPPED: [&str; 3] = ["tidemark-bench", "tidemark-testkit", "tidemark-tests"];

#[test]
fn our_crates_depend_on_each_other_in_one_direction() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("tidemark-engine", [].as_slice()),
        ("tidemark-sources", &["tidemark-engine"]),
        ("tidemark-aws", &["tidemark-engine"]),
        ("tidemark-runtime", &["tidemark-engine", "tidemark-aws", "tidemark-sources"]),
        ("tidemark-testkit", &["tidemark-engine"]),
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
