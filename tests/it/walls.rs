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
    ("avatars", &["error", "ids", "platform", "api", "config", "people", "contacts"]),
    ("coins", &["error", "ids", "platform", "api", "config", "people"]),
    ("games", &["error", "ids", "platform", "api", "config", "people", "coins"]),
    ("messages", &["error", "ids", "platform", "api", "config"]),
    (
        "accounts",
        &[
            "error", "ids", "platform", "api", "config", "people", "contacts", "avatars", "coins",
            "games", "messages",
        ],
    ),
    ("schema", &["api", "people", "contacts", "avatars", "coins", "games", "messages", "accounts"]),
    (
        "app",
        &[
            "config", "error", "ids", "platform", "api", "people", "contacts", "avatars", "coins",
            "games", "messages", "accounts", "schema",
        ],
    ),
    (
        "server",
        &[
            "config", "error", "ids", "platform", "api", "people", "contacts", "avatars", "coins",
            "games", "messages", "accounts", "schema", "app",
        ],
    ),
    (
        "commands",
        &[
            "config", "error", "ids", "platform", "api", "people", "contacts", "avatars", "coins",
            "games", "messages", "accounts", "schema", "app", "server",
        ],
    ),
];

/// The rooms that have doors: their insides are theirs alone.
const FEATURES: &[&str] =
    &["people", "contacts", "avatars", "coins", "games", "messages", "accounts"];
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
        let within = path.strip_prefix(sources()).expect("below src");
        let mut paths = Paths { module: module_of(within), found: BTreeSet::new() };
        paths.visit_file(&file);
        let room = within.components().next().expect("a component").as_os_str().to_string_lossy();
        Self {
            path: within.to_owned(),
            room: room.trim_end_matches(".rs").to_owned(),
            paths: paths.found,
        }
    }

    /// The paths into this crate, without `crate`.
    fn internal(&self) -> impl Iterator<Item = &[String]> {
        self.paths.iter().filter(|path| path[0] == "crate" && path.len() > 1).map(|path| &path[1..])
    }

    fn uses_crate(&self, name: &str) -> bool {
        self.paths.iter().any(|path| path[0] == name)
    }
}

/// The module that a file is, from the crate's root.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    module.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
    module
}

/// Finds the paths of a file. Those that start with `super` are told from the crate's root.
struct Paths {
    module: Vec<String>,
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn add(&mut self, path: &[String]) {
        let above = path.iter().take_while(|part| *part == "super").count();
        let whole = match above {
            0 => path.to_vec(),
            // One more `super` than there are modules is a module of tests within the file.
            _ => {
                let base = &self.module[..self.module.len().saturating_sub(above)];
                [&["crate".to_owned()], base, &path[above..]].concat()
            }
        };
        self.found.insert(whole);
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(path.ident.to_string()), &path.tree),
            syn::UseTree::Name(name) => self.add(&with(name.ident.to_string())),
            syn::UseTree::Rename(name) => self.add(&with(name.ident.to_string())),
            syn::UseTree::Glob(_) => self.add(&with("*".into())),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.tree(before, item));
            }
        }
    }

    /// Paths in what is not parsed: attributes and macros.
    fn tokens(&mut self, tokens: &str) {
        for part in tokens.replace(' ', "").split("crate::").skip(1) {
            let end = part
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .unwrap_or(part.len());
            let names = part[..end].split("::").filter(|name| !name.is_empty()).map(str::to_owned);
            self.found.insert(std::iter::once("crate".to_owned()).chain(names).collect());
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let path_names: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&path_names);
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(&list.tokens.to_string());
        }
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(&item.tokens.to_string());
    }

    /// Unit tests may look over the walls.
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
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
        let speaks_graphql = ["graphql.rs", "graphql", "loaders.rs"]
            .iter()
            .any(|name| source.path.iter().any(|part| part == *name));
        let knows_api = source.internal().any(|path| path[0] == "api");
        if !speaks_graphql && (source.uses_crate("async_graphql") || knows_api) {
            broken.push(format!("{place}: GraphQL outside of graphql.rs"));
        }
        if speaks_graphql && source.uses_crate("sea_orm") {
            broken.push(format!("{place}: a query outside of an entity"));
        }
        let is_entity = source.path.iter().any(|part| part == "entity" || part == "entity.rs");
        let builds_rows = |path: &Vec<String>| {
            path.iter().any(|part| part == "ActiveModel" || part == "ActiveModelTrait")
        };
        if !is_entity && source.paths.iter().any(builds_rows) {
            broken.push(format!("{place}: a row written outside of an entity"));
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
