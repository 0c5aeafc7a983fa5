//! Parsed source files of `src` for the architecture tests: the items that they define and the paths that they use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// A path without `super` and `self`: it starts with `crate` or the name of another crate.
pub type ItemPath = Vec<String>;

/// One file of `src`, without its unit tests.
pub struct Source {
    /// Its path below `src`.
    pub file: PathBuf,
    /// Its module path from the crate's root.
    pub module: Vec<String>,
    /// The items that it defines.
    pub items: BTreeSet<String>,
    /// The paths that its `use` declarations import, by the name in this file.
    pub imports: BTreeMap<String, ItemPath>,
    /// The modules of its glob imports.
    pub globs: BTreeSet<ItemPath>,
    /// All paths that it uses, except the re-exports of a mod.rs.
    pub paths: BTreeSet<ItemPath>,
    /// The number of lines, including unit tests.
    pub lines: usize,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a source file");
        let syntax =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = path.strip_prefix(root).expect("below the root").to_owned();
        let mut visitor = Visitor {
            is_module_root: file.ends_with("mod.rs") || file.ends_with("lib.rs"),
            source: Self {
                module: module_of(&file),
                file,
                items: BTreeSet::new(),
                imports: BTreeMap::new(),
                globs: BTreeSet::new(),
                paths: BTreeSet::new(),
                lines: text.lines().count(),
            },
            relative: BTreeSet::new(),
        };
        visitor.visit_file(&syntax);
        visitor.resolve_relative_paths();
        visitor.source
    }

    /// All source files below a folder.
    pub fn read_all(root: &Path) -> Vec<Self> {
        let (mut sources, mut folders) = (Vec::new(), vec![root.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    sources.push(Self::read(root, &path));
                }
            }
        }
        sources
    }

    /// The module below the crate's root to which the file belongs.
    pub fn top_module(&self) -> &str {
        self.module.first().map_or("lib", |name| name)
    }

    /// The paths into this crate, without `crate`.
    pub fn internal_paths(&self) -> impl Iterator<Item = &[String]> {
        self.paths.iter().filter(|path| path[0] == "crate" && path.len() > 1).map(|path| &path[1..])
    }

    /// Whether the file uses anything of a crate.
    pub fn uses_crate(&self, name: &str) -> bool {
        self.paths.iter().any(|path| path[0] == name)
    }
}

fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    module.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
    module
}

struct Visitor {
    source: Source,
    is_module_root: bool,
    /// Paths that start with a name from an import or a child module.
    relative: BTreeSet<Vec<String>>,
}

impl Visitor {
    /// The path from the crate's root. `None` for a path that starts with a name in scope.
    fn absolute(&self, path: &[String]) -> Option<ItemPath> {
        let levels_up = path.iter().take_while(|part| *part == "super").count();
        let base = &self.source.module;
        match path[0].as_str() {
            "crate" => Some(path.to_vec()),
            "self" => Some([&["crate".to_owned()], base.as_slice(), &path[1..]].concat()),
            "super" => {
                let base = &base[..base.len().saturating_sub(levels_up)];
                Some([&["crate".to_owned()], base, &path[levels_up..]].concat())
            }
            _ => None,
        }
    }

    fn import(&mut self, prefix: &[String], tree: &syn::UseTree, is_use: bool) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        let (path, name) = match tree {
            syn::UseTree::Path(path) => {
                return self.import(&with(&path.ident), &path.tree, is_use);
            }
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(prefix, tree, is_use));
            }
            syn::UseTree::Glob(_) => {
                let path = self.absolute(prefix).unwrap_or_else(|| prefix.to_vec());
                self.source.globs.insert(path);
                return;
            }
            syn::UseTree::Name(item) if item.ident == "self" => {
                (prefix.to_vec(), prefix.last().expect("a module").clone())
            }
            syn::UseTree::Name(item) => (with(&item.ident), item.ident.to_string()),
            syn::UseTree::Rename(item) if item.ident == "self" => {
                (prefix.to_vec(), item.rename.to_string())
            }
            syn::UseTree::Rename(item) => (with(&item.ident), item.rename.to_string()),
        };
        let path = self.absolute(&path).unwrap_or(path);
        if is_use {
            match path[0].as_str() {
                "crate" => _ = self.source.paths.insert(path.clone()),
                _ => _ = self.relative.insert(path.clone()),
            }
        }
        self.source.imports.insert(name, path);
    }

    fn record_path(&mut self, path: Vec<String>) {
        match self.absolute(&path) {
            Some(path) => _ = self.source.paths.insert(path),
            None => _ = self.relative.insert(path),
        }
    }

    /// Records the paths in tokens that syn does not parse: the arguments of macros and attributes.
    fn record_paths_in_tokens(&mut self, tokens: &str) {
        let text = tokens.replace(" :: ", "::");
        for path in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let path = path.trim_matches(':');
            if path.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                self.record_path(path.split("::").map(str::to_owned).collect());
            }
        }
    }

    fn resolve_relative_paths(&mut self) {
        for path in std::mem::take(&mut self.relative) {
            let absolute = match self.source.imports.get(&path[0]) {
                Some(import) if *import != path => [import.as_slice(), &path[1..]].concat(),
                _ => path,
            };
            self.source.paths.insert(absolute);
        }
    }

    fn define(&mut self, name: &syn::Ident) {
        self.source.items.insert(name.to_string());
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_export = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&[], &item.tree, !(is_export && self.is_module_root));
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Const(item) => self.define(&item.ident),
            syn::Item::Enum(item) => self.define(&item.ident),
            syn::Item::Fn(item) => self.define(&item.sig.ident),
            syn::Item::Static(item) => self.define(&item.ident),
            syn::Item::Struct(item) => self.define(&item.ident),
            syn::Item::Trait(item) => self.define(&item.ident),
            syn::Item::TraitAlias(item) => self.define(&item.ident),
            syn::Item::Type(item) => self.define(&item.ident),
            syn::Item::Macro(item) => item.ident.iter().for_each(|name| self.define(name)),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.record_path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.record_paths_in_tokens(&list.tokens.to_string());
        }
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.record_path(
            item.path.segments.iter().map(|segment| segment.ident.to_string()).collect(),
        );
        self.record_paths_in_tokens(&item.tokens.to_string());
    }

    /// Unit tests may import anything.
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }
}
