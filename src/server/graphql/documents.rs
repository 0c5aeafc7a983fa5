//! Documents that are named by a hash: Apollo's automatic persisted queries, and trusted documents.
//!
//! A document is kept only after it was executed once. It is no protection: whoever may send documents
//! may name them. A manifest is one: with it, no other document runs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_graphql::parser::parse_query;
use data_encoding::HEXLOWER_PERMISSIVE;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;

use super::guard;
use super::question::Question;
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, Failure};
use crate::platform::vault::{self, Hash};

/// How many bytes of documents are kept, and about how many documents that is.
const MOST_BYTES: u64 = 16 << 20;
const ABOUT: usize = 8_000;

/// The documents that have a name.
pub struct Documents {
    /// Those that clients registered; `None` when that is switched off.
    registered: Option<Cache<Hash, Arc<str>, Length>>,
    /// Those of the manifest, by their names; `None` when every document runs.
    trusted: Option<HashMap<String, Arc<str>>>,
}

/// The document of a request.
#[derive(Debug)]
pub struct Document {
    /// Its text.
    pub text: Arc<str>,
    /// The name it is to be kept by, when it was executed.
    pub register_as: Option<Hash>,
}

#[derive(Clone)]
struct Length;

impl Weighter<Hash, Arc<str>> for Length {
    fn weight(&self, _: &Hash, text: &Arc<str>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).max(1)
    }
}

/// `extensions.persistedQuery`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQuery {
    version: u32,
    sha256_hash: String,
}

impl Documents {
    /// Nothing registered yet.
    pub fn new(may_register: bool, trusted: Option<HashMap<String, Arc<str>>>) -> Self {
        let may_register = may_register && trusted.is_none();
        let registered = may_register.then(|| Cache::with_weighter(ABOUT, MOST_BYTES, Length));
        Self { registered, trusted }
    }

    /// The document that a request sends or names.
    ///
    /// # Errors
    /// BAD_REQUEST, PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_NOT_SUPPORTED
    pub fn find(&self, question: &mut Question) -> Result<Document, Failure> {
        let persisted = match question.extension("persistedQuery") {
            None | Some(serde_json::Value::Null) => None,
            Some(value) => Some(
                PersistedQuery::deserialize(value)
                    .ok()
                    .filter(|query| query.version == 1)
                    .ok_or_else(|| {
                        bad_request("persistedQuery must be {version: 1, sha256Hash}.")
                    })?,
            ),
        };
        if let Some(trusted) = &self.trusted {
            return find_trusted(trusted, question, persisted);
        }
        let text = question.query.take();
        let Some(persisted) = persisted else {
            return match (text, &question.document_id) {
                (Some(text), _) => Ok(Document { text: text.into(), register_as: None }),
                (None, Some(_)) => Err(not_supported("There are no trusted documents here.")),
                (None, None) => Err(bad_request("There is no query.")),
            };
        };
        let Some(registered) = &self.registered else {
            let text = text.ok_or_else(|| not_supported("PersistedQueryNotSupported"))?;
            return Ok(Document { text: text.into(), register_as: None });
        };
        let hash: Hash = HEXLOWER_PERMISSIVE
            .decode(persisted.sha256_hash.as_bytes())
            .ok()
            .and_then(|hash| hash.try_into().ok())
            .ok_or_else(|| bad_request("sha256Hash must have 64 hexadecimal digits."))?;
        match (text, registered.get(&hash)) {
            (None, Some(text)) => Ok(Document { text, register_as: None }),
            (None, None) => Err(not_found()),
            (Some(text), _) if vault::sha256(text.as_bytes()) != hash => {
                Err(bad_request("sha256Hash is not the hash of the query."))
            }
            (Some(text), known) => {
                let register_as = known.is_none().then_some(hash);
                Ok(Document { text: text.into(), register_as })
            }
        }
    }

    /// Keeps a document that was executed.
    pub fn register(&self, hash: Hash, text: Arc<str>) {
        if let Some(registered) = &self.registered {
            registered.insert(hash, text);
        }
    }
}

/// With a manifest, a document runs by its name, or by its text when that is the manifest's.
fn find_trusted(
    trusted: &HashMap<String, Arc<str>>,
    question: &Question,
    persisted: Option<PersistedQuery>,
) -> Result<Document, Failure> {
    let named = question.document_id.as_deref().map(|id| id.strip_prefix("sha256:").unwrap_or(id));
    let named = named.map(Cow::Borrowed).or(persisted.map(|query| query.sha256_hash.into()));
    let text = match (named, &question.query) {
        (Some(name), _) => trusted.get(&*name).cloned().ok_or_else(not_found)?,
        (None, Some(sent)) => trusted
            .values()
            .find(|text| &***text == sent.as_str())
            .cloned()
            .ok_or_else(|| not_supported("Only the documents of the manifest run here."))?,
        (None, None) => return Err(bad_request("There is no query.")),
    };
    Ok(Document { text, register_as: None })
}

/// Reads a manifest: Apollo's format, or an object of names and texts as GraphQL Code Generator writes it.
///
/// # Errors
/// What is wrong with it, or with one of its documents.
pub fn read_manifest(
    path: &Path,
    limits: &DocumentLimits,
) -> Result<HashMap<String, Arc<str>>, String> {
    #[derive(Deserialize)]
    struct Operation {
        id: String,
        body: String,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Manifest {
        Apollo { operations: Vec<Operation> },
        Plain(HashMap<String, String>),
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|_| {
        "neither a manifest of Apollo's format nor an object of names and texts".to_owned()
    })?;
    let documents: HashMap<String, Arc<str>> = match manifest {
        Manifest::Apollo { operations } => {
            operations.into_iter().map(|operation| (operation.id, operation.body.into())).collect()
        }
        Manifest::Plain(texts) => {
            texts.into_iter().map(|(name, text)| (name, text.into())).collect()
        }
    };
    for (name, text) in &documents {
        guard::check(text, limits).map_err(|failure| format!("{name}: {}", failure.message))?;
        parse_query(&**text).map_err(|_| format!("{name}: not a GraphQL document"))?;
    }
    Ok(documents)
}

/// Clients look for this message, or for the code.
fn not_found() -> Failure {
    Failure::new(ErrorCode::PersistedQueryNotFound, "PersistedQueryNotFound")
}

fn not_supported(message: &str) -> Failure {
    Failure::new(ErrorCode::PersistedQueryNotSupported, message)
}

fn bad_request(message: &str) -> Failure {
    Failure::new(ErrorCode::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        const LENGTH: usize = 32_000;
        let documents = Documents::new(true, None);
        let names: Vec<Hash> = (0..2_000_u32).map(|n| vault::sha256(&n.to_le_bytes())).collect();
        for name in &names {
            documents.register(*name, "x".repeat(LENGTH).into());
        }
        let is_known = |name: &Hash| {
            let persisted = json!({ "version": 1, "sha256Hash": HEXLOWER.encode(name) });
            let extensions = json!({ "extensions": { "persistedQuery": persisted } });
            documents.find(&mut Question::from_json(extensions).expect("a question")).is_ok()
        };
        let known = names.iter().filter(|name| is_known(name)).count();
        let most = usize::try_from(MOST_BYTES).expect("small") / LENGTH;
        assert!((most / 2..=most).contains(&known), "{known} of {most}");
    }
}
