//! README.md and docs/: every example is executed, and shows what the program answers.
//!
//! `UPDATE_DOCS=1 cargo test --test it docs` writes the answers anew. A page is played from top to bottom
//! against an app of its own. An example is a block `graphql`, a block `json variables` if it has any,
//! and a block `json answer`; or a block `console` with commands of curl and what they print. Comments
//! between them direct the play:
//!
//! | comment | meaning |
//! |---|---|
//! | `<!-- as ann -->` | Asks with this kept token from here on. A name that is not kept signs up by it first; `nobody` has no token. |
//! | `<!-- by MyGame/1.4 -->` | Asks by this program (`User-Agent`) from here on. |
//! | `<!-- keep contact = /addContact/id -->` | Names a value of the last answer's data, for `as` and `send` and as a shell's variable. |
//! | `<!-- send contact at /input/id -->` | Puts a kept value into the variables that follow. |
//! | `<!-- later 600 s -->` | Moves the clock. |
//! | `<!-- start LIMIT_LOOKUPS=1 -->` | Goes on with a new app, configured so. |
//! | `<!-- error codes -->` | Is followed by their table, up to `<!-- end -->`. |
//!
//! Long values without spaces (tokens, cursors) show their beginning only, wherever they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_graphql::Value as Ordered;
use async_graphql::resolver_utils::EnumType;
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use switchboard::error::ErrorCode;

use crate::support::{Place, TestApp};

/// Where the transcripts of curl say that the program listens.
const ADDRESS: &str = "http://127.0.0.1:8000";
/// Longer values without a space show only [`BEGINNING`] characters.
const LONGEST: usize = 40;
const BEGINNING: usize = 8;
/// They answer always, so no page can show them failing.
const NEVER_FAIL: &[&str] = &["authenticated", "errorCodes"];

#[tokio::test]
async fn every_example_shows_what_the_program_answers() {
    let (mut problems, mut shown) = (Vec::new(), BTreeSet::new());
    for path in pages() {
        let page = read(&path);
        match play(&page, &mut shown).await {
            Err(problem) => problems.push(format!("{}:{problem}", path.display())),
            Ok(played) if played == page => {}
            Ok(played) if std::env::var_os("UPDATE_DOCS").is_some() => {
                fs::write(root().join(&path), played).expect("the page is ours to write");
            }
            Ok(played) => problems.push(difference(&path, &page, &played)),
        }
    }
    for field in root_fields().await {
        for outcome in [true, false] {
            let expected = outcome || !NEVER_FAIL.contains(&field.as_str());
            if expected && !shown.contains(&(field.clone(), outcome)) {
                let case = if outcome { "good" } else { "failing" };
                problems.push(format!("docs: no page shows a {case} case of `{field}`"));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{}\n\nUPDATE_DOCS=1 cargo test --test it docs writes the answers anew.",
        problems.join("\n")
    );
}

#[test]
fn every_direct_dependency_has_its_reason_in_the_readme() {
    let manifest: toml::Table = read(Path::new("Cargo.toml")).parse().expect("TOML");
    let tables =
        [&manifest["dependencies"], &manifest["dev-dependencies"], &manifest["workspace"]["dependencies"]];
    let used: BTreeSet<String> = tables
        .into_iter()
        .flat_map(|table| table.as_table().expect("a table"))
        .filter(|(_, wanted)| wanted.get("path").is_none())
        .map(|(name, _)| name.clone())
        .collect();
    let readme = read(Path::new("README.md"));
    let (_, section) = readme.split_once("\n## Dependencies\n").expect("a section of dependencies");
    let section = section.split("\n## ").next().expect("its text");
    let explained: BTreeSet<String> = section
        .lines()
        .filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>();
    assert_eq!(only(&used, &explained), [""; 0], "are in Cargo.toml, but not in the README's table");
    assert_eq!(only(&explained, &used), [""; 0], "are in the README's table, but not in Cargo.toml");
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let summary = read(Path::new("docs/src/SUMMARY.md"));
    for path in pages() {
        let name = path.strip_prefix("docs/src").unwrap_or(&path).display().to_string();
        let is_book = path.starts_with("docs/src") && name != "SUMMARY.md";
        assert!(!is_book || summary.contains(&format!("({name})")), "{name} is not in SUMMARY.md");
        let page = read(&path);
        let links = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains(':')) {
            let target = root().join(&path).with_file_name(link);
            assert!(target.exists(), "{}: there is no {link}", path.display());
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README and the book's pages, by their paths from the root.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            match root().join(&path).is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "md") => pages.push(path),
                false => {}
            }
        }
    }
    pages.sort();
    pages
}

/// What can be asked at the roots of the schema.
async fn root_fields() -> Vec<String> {
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let app = TestApp::new(&Place::Memory).await;
    let schema = app.anonymous().send(query, json!({})).await;
    let fields = ["queryType", "mutationType"].map(|root| schema.data("/__schema")[root]["fields"].clone());
    let fields = fields.iter().flat_map(|fields| fields.as_array().expect("a list"));
    fields.map(|field| field["name"].as_str().expect("a name").to_owned()).collect()
}

/// A part of a page.
enum Piece<'p> {
    Prose(&'p str),
    /// A comment that stands on a line of its own.
    Note(&'p str),
    Code { info: &'p str, body: String },
}

/// The parts of a page, each with the number of its first line.
fn pieces(page: &str) -> Vec<(usize, Piece<'_>)> {
    let mut lines = (1..).zip(page.split_inclusive('\n'));
    let mut pieces = Vec::new();
    while let Some((number, line)) = lines.next() {
        let note = line.trim().strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        let piece = match (line.strip_prefix("```"), note) {
            (Some(info), _) => {
                let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
                Piece::Code { info: info.trim(), body: body.collect() }
            }
            (_, Some(note)) => Piece::Note(note),
            _ => Piece::Prose(line),
        };
        pieces.push((number, piece));
    }
    pieces
}

/// Executes a page's examples and answers the page as it should be. Adds to `shown` which fields of the
/// roots answered (true) or failed (false).
async fn play(page: &str, shown: &mut BTreeSet<(String, bool)>) -> Result<String, String> {
    let (mut stage, mut played, mut replaced) = (Stage::new(&[]).await, String::new(), false);
    for (line, piece) in pieces(page) {
        let at = |problem| format!("{line}: {problem}");
        match piece {
            Piece::Note("end") => {
                replaced = false;
                played += "<!-- end -->\n";
            }
            _ if replaced => {}
            Piece::Prose(text) => played += text,
            Piece::Note(note) => {
                played += &format!("<!-- {note} -->\n");
                if note == "error codes" {
                    replaced = true;
                    played += &error_codes();
                } else {
                    stage.follow(note).await.map_err(at)?;
                }
            }
            Piece::Code { info, body } => {
                let body = stage.perform(info, body).await.map_err(at)?;
                played += &format!("```{info}\n{body}```\n");
                stage.note_what_was_shown(shown);
            }
        }
    }
    match stage.query {
        Some(query) => Err(format!(" this example has no answer:\n{query}")),
        None => Ok(played),
    }
}

fn error_codes() -> String {
    let mut table = String::from("\n| code | status | retryable | meaning |\n|---|---|---|---|\n");
    for item in ErrorCode::items() {
        let code = item.value;
        let retryable = if code.retryable() { "yes" } else { "no" };
        let (status, meaning) = (code.status().as_str(), code.description());
        let _ = writeln!(table, "| `{}` | {status} | {retryable} | {meaning} |", item.name);
    }
    table + "\n"
}

/// The app that a page is played against, and where the play stands.
struct Stage {
    app: TestApp,
    kept: BTreeMap<String, String>,
    /// Whose token is sent.
    asks: Option<String>,
    program: String,
    /// Kept values for the variables that follow, and where they belong.
    sends: Vec<(String, String)>,
    /// The operation that waits for its answer.
    query: Option<String>,
    variables: Value,
    /// The last answer, until it has been noted, and its data.
    answer: Option<Value>,
    data: Value,
}

impl Stage {
    async fn new(settings: &[(&str, &str)]) -> Self {
        Self {
            app: TestApp::with(&Place::Memory, settings).await,
            kept: BTreeMap::new(),
            asks: None,
            program: "Mozilla/5.0".into(),
            sends: Vec::new(),
            query: None,
            variables: json!({}),
            answer: None,
            data: Value::Null,
        }
    }

    /// Follows the direction of a comment.
    async fn follow(&mut self, note: &str) -> Result<(), String> {
        match note.split(' ').collect::<Vec<_>>()[..] {
            ["as", "nobody"] => self.asks = None,
            ["as", name] => {
                if !self.kept.contains_key(name) {
                    let token = self.app.signed_in(name).await.token.expect("signed in");
                    self.kept.insert(name.into(), token);
                }
                self.asks = Some(name.into());
            }
            ["by", ..] => self.program = note["by ".len()..].into(),
            ["keep", name, "=", pointer] => {
                let value = self.data.pointer(pointer).and_then(Value::as_str);
                let value = value.ok_or_else(|| format!("nothing at {pointer} of {}", self.data))?;
                self.kept.insert(name.into(), value.into());
            }
            ["send", name, "at", pointer] => self.sends.push((name.into(), pointer.into())),
            ["later", seconds, "s"] => {
                let seconds = seconds.parse().map_err(|_| format!("{seconds} is no number"))?;
                self.app.advance(Duration::from_secs(seconds)).await;
            }
            ["start", ref settings @ ..] => {
                let settings: Vec<_> = settings.iter().filter_map(|one| one.split_once('=')).collect();
                *self = Self::new(&settings).await;
            }
            _ => return Err(format!("nobody understands <!-- {note} -->")),
        }
        Ok(())
    }

    /// Performs what a block of code asks for, and answers the block's body as it should be.
    async fn perform(&mut self, info: &str, body: String) -> Result<String, String> {
        match info {
            "graphql" => match self.query.replace(body.clone()) {
                Some(query) => Err(format!("the example before has no answer:\n{query}")),
                None => Ok(body),
            },
            "json variables" => self.fill(body),
            "json answer" => {
                let query = self.query.take().ok_or("an answer to no question")?;
                let variables = std::mem::replace(&mut self.variables, json!({}));
                let mut request =
                    Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
                if let Some(name) = &self.asks {
                    let token = format!("Bearer {}", self.kept[name]);
                    request = request.header(header::AUTHORIZATION, token);
                }
                let body = json!({ "query": query, "variables": variables }).to_string();
                Ok(pretty(&self.send(request, body).await?.1)? + "\n")
            }
            "console" => self.console(&body).await,
            "json" => Err("say `json variables` or `json answer`".into()),
            _ => Ok(body),
        }
    }

    /// Takes variables, with the kept values in their places.
    fn fill(&mut self, mut body: String) -> Result<String, String> {
        self.variables = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        for (name, pointer) in std::mem::take(&mut self.sends) {
            let value = self.kept.get(&name).ok_or_else(|| format!("{name} is not kept"))?;
            let place = self.variables.pointer_mut(&pointer);
            let place = place.ok_or_else(|| format!("there is no {pointer} in the variables"))?;
            body = body.replacen(&place.to_string(), &json!(short(value)).to_string(), 1);
            *place = json!(value);
        }
        Ok(body)
    }

    async fn send(
        &mut self,
        request: axum::http::request::Builder,
        body: String,
    ) -> Result<(u16, String), String> {
        let request = request.header(header::USER_AGENT, &self.program).body(Body::from(body));
        let (status, _, body) = self.app.request(request.map_err(|error| error.to_string())?).await;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        self.data = answer["data"].clone();
        self.answer = Some(answer);
        Ok((status.as_u16(), String::from_utf8(body).expect("JSON is UTF-8")))
    }

    fn note_what_was_shown(&mut self, shown: &mut BTreeSet<(String, bool)>) {
        let Some(answer) = self.answer.take() else { return };
        for (field, value) in answer["data"].as_object().into_iter().flatten() {
            if !value.is_null() || answer.get("errors").is_some() {
                shown.insert((field.clone(), !value.is_null()));
            }
        }
    }

    /// Runs the commands of a transcript, and answers it with what they print.
    async fn console(&mut self, transcript: &str) -> Result<String, String> {
        let (mut played, mut lines) = (String::new(), transcript.lines());
        while let Some(line) = lines.next() {
            if !line.starts_with("$ ") {
                continue;
            }
            let mut command = line.to_owned();
            while command.ends_with('\\') || command.matches('\'').count() % 2 == 1 {
                command = command + "\n" + lines.next().ok_or("the command has no end")?;
            }
            let _ = writeln!(played, "{command}\n{}", self.curl(&command[2..]).await?);
        }
        Ok(played)
    }

    /// What a command of curl prints.
    async fn curl(&mut self, command: &str) -> Result<String, String> {
        let mut command = command.to_owned();
        for (name, value) in &self.kept {
            command = command.replace(&format!("${name}"), value);
        }
        let mut words = words(&command).into_iter().peekable();
        let (mut request, mut body, mut pairs, mut path) =
            (Request::builder(), String::new(), Vec::new(), String::new());
        let (mut with_status, mut with_jq, mut is_get) = (false, false, false);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default();
            match word.as_str() {
                "curl" | "-s" => {}
                "-G" => is_get = true,
                "-X" => request = request.method(value().as_str()),
                "-H" => {
                    let line = value();
                    let (name, value) = line.split_once(": ").ok_or("a header is `Name: value`")?;
                    request = request.header(name, value);
                }
                "--json" => {
                    body = value();
                    let kinds = [header::CONTENT_TYPE, header::ACCEPT];
                    request = kinds.into_iter().fold(request.method("POST"), |request, name| {
                        request.header(name, "application/json")
                    });
                }
                "--data-urlencode" => {
                    pairs.extend(value().split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())));
                }
                "-w" if value() == r"\n%{http_code}\n" => with_status = true,
                "|" if value() == "jq" => with_jq = true,
                url if url.starts_with(ADDRESS) => path = url[ADDRESS.len()..].to_owned(),
                other => return Err(format!("curl's {other} is not known to this test")),
            }
        }
        if is_get {
            path = path + "?" + &serde_urlencoded::to_string(pairs).expect("text");
        }
        let (status, printed) = self.send(request.uri(path), body).await?;
        let printed = if with_jq { pretty(&printed)? } else { printed };
        Ok(if with_status { format!("{printed}\n{status}") } else { printed })
    }
}

/// The words of a command, as a shell would see them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.replace("\\\n", " ").chars().chain([' ']) {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            (c, _) => word.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// JSON as GraphiQL and jq show it: indented, its members in the order in which they were sent.
fn pretty(json: &str) -> Result<String, String> {
    let mut value: Ordered = serde_json::from_str(json).map_err(|error| error.to_string())?;
    shorten(&mut value);
    serde_json::to_string_pretty(&value).map_err(|error| error.to_string())
}

fn shorten(value: &mut Ordered) {
    match value {
        Ordered::String(text) => *text = short(text),
        Ordered::List(items) => items.iter_mut().for_each(shorten),
        Ordered::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}

fn short(text: &str) -> String {
    match text.chars().count() > LONGEST && !text.contains(' ') {
        true => text.chars().take(BEGINNING).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// The lines in which two texts differ, with their numbers in the first.
fn difference(path: &Path, old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    // How many lines the texts from here on have in common.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut told, mut within) = (0, 0, String::new(), false);
    while i < old.len() || j < new.len() {
        let is_same = i < old.len() && j < new.len() && old[i] == new[j];
        if !is_same && !within {
            let _ = writeln!(told, "{}:{}:", path.display(), i + 1);
        }
        within = !is_same;
        if is_same {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            let _ = writeln!(told, "-{}", old[i]);
            i += 1;
        } else {
            let _ = writeln!(told, "+{}", new[j]);
            j += 1;
        }
    }
    told
}
