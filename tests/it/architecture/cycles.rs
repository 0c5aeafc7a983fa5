//! Import cycles: files that use each other's items, directly or through other files.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::Source;

/// The source files, and which of them uses items of which.
pub struct ImportGraph<'s> {
    sources: &'s [Source],
    by_module: BTreeMap<&'s [String], usize>,
    edges: Vec<BTreeMap<usize, BTreeSet<String>>>,
}

impl<'s> ImportGraph<'s> {
    pub fn new(sources: &'s [Source]) -> Self {
        let by_module = sources
            .iter()
            .enumerate()
            .filter(|(_, source)| !source.file.ends_with("main.rs"))
            .map(|(index, source)| (source.module.as_slice(), index))
            .collect();
        let mut graph = Self { sources, by_module, edges: Vec::new() };
        graph.edges = (0..sources.len()).map(|from| graph.edges_of(from)).collect();
        graph
    }

    fn edges_of(&self, from: usize) -> BTreeMap<usize, BTreeSet<String>> {
        let source = &self.sources[from];
        let mut edges: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for path in &source.paths {
            let target = match path[0].as_str() {
                "crate" => self.defining_file(&path[1..], 0),
                // A child module, or something of this file or another crate.
                _ => self.defining_file(&[&source.module, path.as_slice()].concat(), 0),
            };
            if let Some(to) = target.filter(|to| *to != from) {
                edges.entry(to).or_default().insert(path.join("::"));
            }
        }
        edges
    }

    /// The file that defines the item at a path from the crate's root, through re-exports.
    fn defining_file(&self, path: &[String], depth: usize) -> Option<usize> {
        // Modules that glob-import each other would recurse forever.
        if depth > 8 {
            return None;
        }
        let is_module = |length: &usize| self.by_module.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(is_module)?;
        let (module, rest) = path.split_at(length);
        let (name, inside) = rest.split_first()?;
        let index = self.by_module[module];
        let source = &self.sources[index];
        if source.items.contains(name) {
            return Some(index);
        }
        let absolute = |target: &[String]| match target[0].as_str() {
            "crate" => target[1..].to_vec(),
            _ => [module, target].concat(),
        };
        if let Some(import) = source.imports.get(name) {
            let target = [absolute(import).as_slice(), inside].concat();
            return if target == path { None } else { self.defining_file(&target, depth + 1) };
        }
        source.globs.iter().find_map(|glob| {
            self.defining_file(&[absolute(glob).as_slice(), rest].concat(), depth + 1)
        })
    }

    /// Returns each cycle as the list of its imports: "a.rs uses crate::b::Item of b.rs".
    pub fn cycles(&self) -> Vec<Vec<String>> {
        let reachable: Vec<BTreeSet<usize>> =
            (0..self.sources.len()).map(|from| self.reachable(from)).collect();
        let mut cycles = Vec::new();
        let mut reported = BTreeSet::new();
        for from in 0..self.sources.len() {
            let members: BTreeSet<usize> = reachable[from]
                .iter()
                .copied()
                .filter(|to| reachable[*to].contains(&from))
                .collect();
            if members.len() > 1 && reported.insert(members.clone()) {
                cycles.push(self.imports_within(&members));
            }
        }
        cycles
    }

    fn reachable(&self, from: usize) -> BTreeSet<usize> {
        let (mut reached, mut queue) = (BTreeSet::new(), vec![from]);
        while let Some(file) = queue.pop() {
            queue.extend(self.edges[file].keys().filter(|to| reached.insert(**to)));
        }
        reached
    }

    fn imports_within(&self, members: &BTreeSet<usize>) -> Vec<String> {
        let mut imports = Vec::new();
        for from in members {
            for (to, paths) in self.edges[*from].iter().filter(|(to, _)| members.contains(to)) {
                let [from, to] = [*from, *to].map(|index| self.sources[index].file.display());
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                imports.push(format!("{from} uses {} of {to}", paths.join(", ")));
            }
        }
        imports
    }
}
