//! Architecture tests: which modules may import which, where GraphQL and queries may stand, no import cycles, short files.

use std::path::{Path, PathBuf};

mod cycles;
mod sources;

use cycles::ImportGraph;
use sources::Source;

/// Each top-level module with the modules that it may import.
const ALLOWED_IMPORTS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("error", &[]),
    ("ids", &[]),
    ("platform", &["config", "error"]),
    ("api", &["error", "ids", "platform"]),
    ("people", &["error", "ids", "platform", "api", "config"]),
    ("contacts", &["error", "ids", "platform", "api", "config", "people"]),
    ("avatars", &["error", "ids", "platform", "api", "config", "people", "contacts"]),
    ("coins", &["error", "ids", "platform", "api", "config", "people"]),
    ("games", &["error", "ids", "platform", "api", "config", "people", "coins"]),
    ("messages", &["error", "ids", "platform", "api", "config"]),
    ("bonuses", &["error", "ids", "platform", "api", "config", "people", "coins", "messages"]),
    ("connections", &["error", "ids", "platform", "api", "config"]),
    (
        "accounts",
        &[
            "error", "ids", "platform", "api", "config", "people", "contacts", "avatars", "coins",
            "games", "messages", "bonuses",
        ],
    ),
    (
        "dashboard",
        &[
            "error",
            "ids",
            "platform",
            "api",
            "config",
            "people",
            "contacts",
            "avatars",
            "coins",
            "games",
            "messages",
            "bonuses",
            "accounts",
            "connections",
        ],
    ),
    (
        "demo",
        &[
            "error",
            "ids",
            "platform",
            "people",
            "coins",
            "games",
            "messages",
            "bonuses",
            "accounts",
            "connections",
        ],
    ),
    (
        "schema",
        &[
            "api",
            "people",
            "contacts",
            "avatars",
            "coins",
            "games",
            "messages",
            "bonuses",
            "accounts",
            "connections",
            "dashboard",
        ],
    ),
    (
        "app",
        &[
            "config",
            "error",
            "ids",
            "platform",
            "api",
            "people",
            "contacts",
            "avatars",
            "coins",
            "games",
            "messages",
            "bonuses",
            "accounts",
            "connections",
            "dashboard",
            "schema",
        ],
    ),
    (
        "jobs",
        &[
            "error",
            "platform",
            "people",
            "avatars",
            "coins",
            "games",
            "messages",
            "bonuses",
            "accounts",
            "connections",
            "dashboard",
            "app",
        ],
    ),
    (
        "server",
        &[
            "config",
            "error",
            "ids",
            "platform",
            "api",
            "people",
            "contacts",
            "avatars",
            "coins",
            "games",
            "messages",
            "bonuses",
            "accounts",
            "connections",
            "dashboard",
            "schema",
            "app",
        ],
    ),
    (
        "commands",
        &[
            "config",
            "error",
            "ids",
            "platform",
            "api",
            "people",
            "contacts",
            "avatars",
            "coins",
            "games",
            "messages",
            "bonuses",
            "accounts",
            "connections",
            "dashboard",
            "demo",
            "schema",
            "app",
            "server",
        ],
    ),
];

/// Feature modules. Other modules may only use what their mod.rs exports.
const FEATURES: &[&str] = &[
    "people",
    "contacts",
    "avatars",
    "coins",
    "games",
    "messages",
    "bonuses",
    "accounts",
    "connections",
    "dashboard",
];
/// Submodules of features that other modules may import directly: GraphQL types, DataLoaders and names of statistics.
const OPEN_SUBMODULES: &[&str] = &["graphql", "loaders", "measures"];
/// The longest allowed file.
const MAX_LINES: usize = 500;

fn sources() -> Vec<Source> {
    Source::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn modules_import_only_the_modules_below_them() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.top_module() != "lib") {
        let (_, allowed) = ALLOWED_IMPORTS
            .iter()
            .find(|(module, _)| *module == source.top_module())
            .unwrap_or_else(|| panic!("{} is missing in ALLOWED_IMPORTS", source.top_module()));
        for path in source.internal_paths().filter(|path| path[0] != source.top_module()) {
            if !allowed.contains(&path[0].as_str()) {
                violations.push(format!("{}: crate::{}", source.file.display(), path.join("::")));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn features_are_used_only_through_their_exports() {
    let mut violations = Vec::new();
    for source in sources() {
        let others = source.internal_paths().filter(|path| path[0] != source.top_module());
        for path in others.filter(|path| FEATURES.contains(&path[0].as_str()) && path.len() > 2) {
            let is_module = path[1].starts_with(char::is_lowercase);
            if is_module && !OPEN_SUBMODULES.contains(&path[1].as_str()) {
                violations.push(format!("{}: crate::{}", source.file.display(), path.join("::")));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn graphql_is_used_only_in_graphql_files_and_rows_are_written_only_in_entities() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| FEATURES.contains(&source.top_module())) {
        let file = source.file.display();
        let is_graphql = ["graphql.rs", "graphql", "loaders.rs"]
            .iter()
            .any(|name| source.file.iter().any(|part| part == *name));
        let uses_api = source.internal_paths().any(|path| path[0] == "api");
        if !is_graphql && (source.uses_crate("async_graphql") || uses_api) {
            violations.push(format!("{file}: GraphQL outside of graphql.rs"));
        }
        if is_graphql && source.uses_crate("sea_orm") {
            violations.push(format!("{file}: a query outside of an entity"));
        }
        let is_entity = source.file.iter().any(|part| part == "entity" || part == "entity.rs");
        let builds_rows = |path: &Vec<String>| {
            path.iter().any(|part| part == "ActiveModel" || part == "ActiveModelTrait")
        };
        if !is_entity && source.paths.iter().any(builds_rows) {
            violations.push(format!("{file}: a row written outside of an entity"));
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn files_do_not_import_each_other_in_a_cycle() {
    let cycles = ImportGraph::new(&sources()).cycles();
    assert!(cycles.is_empty(), "{cycles:#?}");
}

#[test]
fn cycles_through_exports_imports_and_macros_are_detected() {
    let count_cycles = |files: &[(&str, &str)]| -> usize {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path: PathBuf = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            std::fs::write(path, text).expect("written");
        }
        ImportGraph::new(&Source::read_all(folder.path())).cycles().len()
    };
    let lib = ("lib.rs", "mod a;");
    let exports = ("a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;");
    let b = |text| ("a/b.rs", text);
    let c = |text| ("a/c.rs", text);
    let plain_b = "pub struct B;";
    let imports_b = "use super::B; pub struct C;";
    assert_eq!(count_cycles(&[lib, exports, b(plain_b), c(imports_b)]), 0);
    for cycle in [
        "use crate::a::C; pub struct B;",
        "use super::c; pub struct B; fn f() -> c::C { c::C }",
        "use super::*; pub struct B; fn f(_: super::C) {}",
        "pub struct B; fn f() { dbg!(crate::a::C); }",
        "use super::c; pub struct B; fn f() { dbg!(c::C); }",
    ] {
        assert_eq!(count_cycles(&[lib, exports, b(cycle), c(imports_b)]), 1, "{cycle}");
    }
    let in_tests = "pub struct B; mod tests { use super::super::C; }";
    assert_eq!(count_cycles(&[lib, exports, b(in_tests), c(imports_b)]), 0);
    let parent = ("a/mod.rs", "mod b; pub struct A; fn f() -> b::B { b::B }");
    assert_eq!(
        count_cycles(&[lib, parent, b("use super::A; pub struct B;")]),
        1,
        "a parent and its child"
    );
    let three_modules = ("a/mod.rs", "mod b; mod c; mod d;");
    let d = ("a/d.rs", "use super::c::C; pub struct D;");
    assert_eq!(
        count_cycles(&[
            lib,
            three_modules,
            b("use super::d::D; pub struct B;"),
            c(imports_b.replace("super::B", "super::b::B").as_str()),
            d
        ]),
        1
    );
}

#[test]
fn files_are_short() {
    for source in sources() {
        assert!(
            source.lines <= MAX_LINES,
            "{} has {} lines: split it",
            source.file.display(),
            source.lines
        );
    }
}
