//! Documentation tests for README.md and docs/: examples are executed and show the real responses, every direct
//! dependency is explained in the README, and every link has a target. tests/clients runs the Node.js programs.
//!
//! `UPDATE_DOCS=1 cargo test --test it docs` rewrites the responses. `docs/run_page.rs` explains the syntax of examples.

mod blocks;
mod curl;
mod provider_list;
mod run_page;

pub use run_page::{StartApp, run_page};

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::json;

use crate::support::{TestApp, TestDatabase};

/// Cases that no page needs to show: these fields never fail, and errors.md has the result of `errorCodes` as a table.
const EXEMPT: [(&str, &str); 5] = [
    ("authenticated", "failing"),
    ("errorCodes", "failing"),
    ("errorCodes", "good"),
    ("games", "failing"),
    ("providers", "failing"),
];

#[tokio::test]
async fn examples_show_the_real_responses() {
    let start: StartApp = Arc::new(|settings| {
        let app = async move {
            let settings: Vec<(&str, &str)> =
                settings.iter().map(|(name, value)| (&**name, &**value)).collect();
            TestApp::with(&TestDatabase::Memory, &settings).await
        };
        app.boxed()
    });
    let (mut problems, mut cases) = (Vec::new(), BTreeSet::new());
    for path in pages() {
        let (name, text) = (path.display().to_string(), read(&path));
        let run = run_page(&start, (&name, &text), &mut cases).await;
        let (page, differences) = run.unwrap_or_else(|problem| panic!("{problem}"));
        match std::env::var_os("UPDATE_DOCS") {
            Some(_) => fs::write(root().join(&path), page).expect("the page can be written"),
            None => problems.extend(differences),
        }
    }
    for field in root_fields().await {
        for outcome in ["good", "failing"] {
            let is_shown = cases.contains(&(field.clone(), outcome));
            if !is_shown && !EXEMPT.contains(&(&field, outcome)) {
                problems.push(format!("no page shows a {outcome} case of `{field}`"));
            }
        }
    }
    assert!(problems.is_empty(), "{}\n(UPDATE_DOCS=1 rewrites the responses)", problems.join("\n"));
}

#[test]
fn the_listener_page_contains_the_files_of_the_example() {
    let page = read("docs/src/listener.md");
    for (language, file) in [("toml", "Cargo.toml"), ("rust", "src/main.rs")] {
        let text = read(Path::new("examples/listener").join(file));
        let block = format!("```{language} {file}\n{text}```\n");
        assert!(page.contains(&block), "docs/src/listener.md differs from {file}");
    }
}

#[test]
fn the_games_page_contains_the_formula_of_the_python_program() {
    let (page, program) = (read("docs/src/games.md"), read("docs/src/verify_round.py"));
    let (_, block) = page.split_once("```python\n").expect("a block of Python");
    let (formula, _) = block.split_once("```\n").expect("the end of the block");
    assert!(program.contains(formula), "docs/src/games.md differs from verify_round.py");
}

#[test]
fn direct_dependencies_are_explained_in_the_readme() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let tables = [
        &manifest["dependencies"],
        &manifest["dev-dependencies"],
        &manifest["workspace"]["dependencies"],
    ];
    let used: BTreeSet<&str> = tables
        .into_iter()
        .flat_map(|table| table.as_table().expect("a table"))
        .filter(|(_, requirement)| requirement.get("path").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Dependencies\n").expect("a section of dependencies");
    let section = section.split("\n## ").next().expect("the text of the section");
    let explained: BTreeSet<&str> = section
        .lines()
        .filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0))
        .collect();
    assert!(
        used == explained,
        "in Cargo.toml alone: {:?}, in the README alone: {:?}",
        &used - &explained,
        &explained - &used
    );
}

#[test]
fn pages_are_in_the_summary_and_links_have_targets() {
    let summary = read("docs/src/SUMMARY.md");
    for path in pages() {
        let name = path.strip_prefix("docs/src").unwrap_or(&path).display().to_string();
        assert!(
            ["README.md", "SUMMARY.md"].contains(&&*name) || summary.contains(&format!("({name})")),
            "{name} is not in SUMMARY.md"
        );
        let page = read(&path);
        let links = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains(':')) {
            assert!(
                root().join(&path).with_file_name(link).exists(),
                "{name} links to {link}, which does not exist"
            );
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of this repository.
pub fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).expect("a file of this repository")
}

/// The paths of the README and the book's pages, relative to the root.
pub fn pages() -> Vec<PathBuf> {
    let (mut pages, mut folders) =
        (vec![PathBuf::from("README.md")], vec![PathBuf::from("docs/src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            match path.extension() {
                None => folders.push(path),
                Some(extension) if extension == "md" => pages.push(path),
                // A program that a page links to.
                Some(_) => {}
            }
        }
    }
    pages.sort();
    pages
}

/// The fields of the schema's root types.
pub async fn root_fields() -> Vec<String> {
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } \
                 subscriptionType { fields { name } } } }";
    let response =
        TestApp::new(&TestDatabase::Memory).await.anonymous().send(query, json!({})).await;
    let fields_of =
        |root: &str| response.data("/__schema")[root]["fields"].as_array().expect("a list").clone();
    let fields = ["queryType", "mutationType", "subscriptionType"].map(fields_of).concat();
    fields.iter().map(|field| field["name"].as_str().expect("a name").to_owned()).collect()
}
