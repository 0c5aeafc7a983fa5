//! README.md and docs/: every example is executed, and shows what the program answers; every direct
//! dependency has its reason in the README; every link leads somewhere. The programs in Node.js are run by
//! tests/clients.
//!
//! `UPDATE_DOCS=1 cargo test --test it docs` writes the answers anew. How an example is written stands in
//! `docs/play.rs`.

mod curl;
mod pieces;
mod play;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::{Place, TestApp};

/// What no page needs to show: these always answer, `errorCodes` with the table of errors.md.
const NOT_SHOWN: [(&str, &str); 4] = [
    ("authenticated", "failing"),
    ("errorCodes", "failing"),
    ("errorCodes", "good"),
    ("games", "failing"),
];

#[tokio::test]
async fn every_example_shows_what_the_program_answers() {
    let (mut problems, mut shown) = (Vec::new(), BTreeSet::new());
    for path in pages() {
        let (page, differences) =
            play::page(&path.display().to_string(), &read(&path), &mut shown).await;
        match std::env::var_os("UPDATE_DOCS") {
            Some(_) => fs::write(root().join(&path), page).expect("the page can be written"),
            None => problems.extend(differences),
        }
    }
    for field in root_fields().await {
        for outcome in ["good", "failing"] {
            let is_shown = shown.contains(&(field.clone(), outcome));
            if !is_shown && !NOT_SHOWN.contains(&(&field, outcome)) {
                problems.push(format!("no page shows a {outcome} case of `{field}`"));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{}\n(UPDATE_DOCS=1 writes the answers anew)",
        problems.join("\n")
    );
}

#[test]
fn the_page_of_the_listener_has_the_files_of_the_program() {
    let page = read("docs/src/listener.md");
    for (language, file) in [("toml", "Cargo.toml"), ("rust", "src/main.rs")] {
        let text = read(Path::new("examples/listener").join(file));
        let shown = format!("```{language} {file}\n{text}```\n");
        assert!(page.contains(&shown), "docs/src/listener.md has another {file}");
    }
}

#[test]
fn the_page_of_the_games_has_the_formula_of_its_program() {
    let (page, program) = (read("docs/src/games.md"), read("docs/src/verify_round.py"));
    let (_, shown) = page.split_once("```python\n").expect("a block of Python");
    let (shown, _) = shown.split_once("```\n").expect("its end");
    assert!(program.contains(shown), "docs/src/games.md has another formula");
}

#[test]
fn every_direct_dependency_has_its_reason_in_the_readme() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let tables = [
        &manifest["dependencies"],
        &manifest["dev-dependencies"],
        &manifest["workspace"]["dependencies"],
    ];
    let used: BTreeSet<&str> = tables
        .into_iter()
        .flat_map(|table| table.as_table().expect("a table"))
        .filter(|(_, wanted)| wanted.get("path").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Dependencies\n").expect("a section of dependencies");
    let section = section.split("\n## ").next().expect("its text");
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
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
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
            assert!(root().join(&path).with_file_name(link).exists(), "{name} leads to no {link}");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).expect("a file of this repository")
}

/// The README and the book's pages, by their paths from the root.
fn pages() -> Vec<PathBuf> {
    let (mut pages, mut folders) =
        (vec![PathBuf::from("README.md")], vec![PathBuf::from("docs/src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            match path.extension() {
                None => folders.push(path),
                Some(extension) if extension == "md" => pages.push(path),
                // A program that a page leads to.
                Some(_) => {}
            }
        }
    }
    pages.sort();
    pages
}

/// What can be asked at the roots of the schema.
async fn root_fields() -> Vec<String> {
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } \
                 subscriptionType { fields { name } } } }";
    let answer = TestApp::new(&Place::Memory).await.anonymous().send(query, json!({})).await;
    let of =
        |root: &str| answer.data("/__schema")[root]["fields"].as_array().expect("a list").clone();
    let fields = ["queryType", "mutationType", "subscriptionType"].map(of).concat();
    fields.iter().map(|field| field["name"].as_str().expect("a name").to_owned()).collect()
}
