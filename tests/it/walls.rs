//! The walls between rooms: which room may know which, and which file of a room may know what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// A room, and the rooms beside itself that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("error", &[]),
    ("ids", &[]),
    ("platform", &["config", "error"]),
    ("api", &["error", "ids", "platform"]),
    ("people", &["error", "ids", "platform", "api", "config"]),
    ("contacts", &["error", "ids", "platform", "api", "config", "people"]),
    ("accounts", &["error", "ids", "platform", "api", "config", "people", "contacts"]),
    ("schema", &["people", "contacts", "accounts"]),
    (
        "app",
        &["config", "error", "ids", "platform", "api", "people", "contacts", "accounts", "schema"],
    ),
    (
        "server",
        &[
            "config", "error", "ids", "platform", "api", "people", "contacts", "accounts",
            "schema", "app",
        ],
    ),
    (
        "commands",
        &[
            "config", "error", "ids", "platform", "api", "people", "contacts", "accounts",
            "schema", "app", "server",
        ],
    ),
];

/// The rooms that have doors: their insides are theirs alone.
const FEATURES: &[&str] = &["people", "contacts", "accounts"];
/// What stands in a door beside the items of `mod.rs`.
const OPEN_INSIDE: &[&str] = &["graphql", "loaders"];

struct Source {
    path: PathBuf,
    room: String,
    /// Every path that starts with `crate`, `super` or the name of a crate.
    paths: BTreeSet<Vec<String>>,
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a source file");
        let file =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut paths = Paths::default();
        paths.visit_file(&file);
        let within = path.strip_prefix(sources()).expect("below src");
        let room = within.components().next().expect("a component").as_os_str().to_string_lossy();
        Self {
            path: within.to_owned(),
            room: room.trim_end_matches(".rs").to_owned(),
            paths: paths.0,
        }
    }

    fn name(&self) -> &str {
        self.path.file_stem().and_then(|name| name.to_str()).expect("a name")
    }

    /// The paths into this crate, without `crate`.
    fn internal(&self) -> impl Iterator<Item = &[String]> {
        self.paths.iter().filter(|path| path[0] == "crate" && path.len() > 1).map(|path| &path[1..])
    }

    fn uses_crate(&self, name: &str) -> bool {
        self.paths.iter().any(|path| path[0] == name)
    }
}

#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(path.ident.to_string()), &path.tree),
            syn::UseTree::Name(name) => drop(self.0.insert(with(name.ident.to_string()))),
            syn::UseTree::Rename(name) => drop(self.0.insert(with(name.ident.to_string()))),
            syn::UseTree::Glob(_) => drop(self.0.insert(with("*".into()))),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.tree(before, item));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        // #[graphql(remote = "crate::…")] names a path in a string.
        let text = match &attribute.meta {
            syn::Meta::List(list) => list.tokens.to_string(),
            _ => return,
        };
        for part in text.split('"').filter(|part| part.starts_with("crate::")) {
            self.0.insert(part.split("::").map(str::to_owned).collect());
        }
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn all_sources() -> Vec<Source> {
    fn collect(folder: &Path, found: &mut Vec<Source>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source::read(&path));
            }
        }
    }
    let mut found = Vec::new();
    collect(&sources(), &mut found);
    found
}

#[test]
fn a_room_knows_the_rooms_below_it_alone() {
    let mut broken = Vec::new();
    for source in
        all_sources().iter().filter(|source| !matches!(source.room.as_str(), "main" | "lib"))
    {
        let (_, allowed) = ROOMS
            .iter()
            .find(|(room, _)| *room == source.room)
            .unwrap_or_else(|| panic!("{} has no line in the table", source.room));
        for path in source.internal().filter(|path| path[0] != source.room) {
            if !allowed.contains(&path[0].as_str()) {
                broken.push(format!("{}: crate::{}", source.path.display(), path.join("::")));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_room_is_entered_by_its_door() {
    let mut broken = Vec::new();
    for source in all_sources() {
        let into_others = source.internal().filter(|path| path[0] != source.room);
        for path in
            into_others.filter(|path| FEATURES.contains(&path[0].as_str()) && path.len() > 2)
        {
            let is_module = path[1].starts_with(char::is_lowercase);
            if is_module && !OPEN_INSIDE.contains(&path[1].as_str()) {
                broken.push(format!("{}: crate::{}", source.path.display(), path.join("::")));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn deeds_and_entities_speak_no_graphql_and_resolvers_build_no_query() {
    let mut broken = Vec::new();
    for source in all_sources().iter().filter(|source| FEATURES.contains(&source.room.as_str())) {
        let place = source.path.display();
        let speaks_graphql = matches!(source.name(), "graphql" | "loaders");
        let knows_api = source.internal().any(|path| path[0] == "api");
        if !speaks_graphql && (source.uses_crate("async_graphql") || knows_api) {
            broken.push(format!("{place}: GraphQL outside of graphql.rs"));
        }
        if speaks_graphql && source.uses_crate("sea_orm") {
            broken.push(format!("{place}: a query outside of an entity"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_file_stays_readable() {
    for source in all_sources() {
        let text = std::fs::read_to_string(sources().join(&source.path)).expect("a source file");
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= 400, "{} has {lines} lines: it wants splitting", source.path.display());
    }
}
