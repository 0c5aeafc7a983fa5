//! Persisted documents: Apollo's automatic persisted queries, and the manifest of trusted documents.
//!
//! A document is registered once it was executed. This saves bandwidth, it does not protect: any client can register
//! documents. The manifest protects: with it, no other document runs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_graphql::parser::parse_query;
use data_encoding::HEXLOWER_PERMISSIVE;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::Number;

use super::parameters::GraphQLRequest;
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, UserError};
use crate::platform::vault::{self, Hash};
use crate::server::graphql::validation::text_limits::check_text_limits;

/// The capacity in bytes of text.
const MAX_REGISTERED_BYTES: u64 = 16 << 20;
/// About as many documents as fit into the capacity.
const ESTIMATED_ITEMS: usize = 8_000;

/// The documents that clients can send by name.
pub struct PersistedDocuments {
    /// Registered by clients, by hash. `None` when that is switched off.
    registered: Option<Cache<Hash, Arc<str>, TextLength>>,
    /// The documents of the manifest, by name. `None` when every document runs.
    trusted: Option<HashMap<String, Arc<str>>>,
}

/// The document of a request.
#[derive(Debug)]
pub struct ResolvedDocument {
    /// The text.
    pub text: Arc<str>,
    /// The hash to register it by, once it was executed.
    pub register_as: Option<Hash>,
}

#[derive(Clone)]
struct TextLength;

impl Weighter<Hash, Arc<str>> for TextLength {
    fn weight(&self, _: &Hash, text: &Arc<str>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).max(1)
    }
}

/// `extensions.persistedQuery`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQuery {
    /// 1, which some clients write as 1.0.
    version: Number,
    sha256_hash: String,
}

impl PersistedDocuments {
    /// Creates a store. Without a manifest, clients register documents if `can_register`.
    pub fn new(can_register: bool, trusted: Option<HashMap<String, Arc<str>>>) -> Self {
        let can_register = can_register && trusted.is_none();
        let registered = can_register
            .then(|| Cache::with_weighter(ESTIMATED_ITEMS, MAX_REGISTERED_BYTES, TextLength));
        Self { registered, trusted }
    }

    /// The document that a request contains or names.
    ///
    /// # Errors
    /// BAD_REQUEST, PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_NOT_SUPPORTED
    pub fn resolve(&self, request: &mut GraphQLRequest) -> Result<ResolvedDocument, UserError> {
        let persisted = match request.extension("persistedQuery") {
            None | Some(serde_json::Value::Null) => None,
            Some(value) => Some(
                PersistedQuery::deserialize(value)
                    .ok()
                    .filter(|query| query.version.as_f64() == Some(1.0))
                    .ok_or_else(|| {
                        bad_request("persistedQuery must be {version: 1, sha256Hash}.")
                    })?,
            ),
        };
        if let Some(trusted) = &self.trusted {
            return resolve_trusted(trusted, request, persisted);
        }
        let text = request.query.take();
        let Some(persisted) = persisted else {
            return match (text, &request.document_id) {
                (Some(text), _) => Ok(ResolvedDocument { text: text.into(), register_as: None }),
                (None, Some(_)) => Err(not_supported("There are no trusted documents here.")),
                (None, None) => Err(bad_request("There is no query.")),
            };
        };
        let Some(registered) = &self.registered else {
            let text = text.ok_or_else(|| not_supported("PersistedQueryNotSupported"))?;
            return Ok(ResolvedDocument { text: text.into(), register_as: None });
        };
        let hash: Hash = HEXLOWER_PERMISSIVE
            .decode(persisted.sha256_hash.as_bytes())
            .ok()
            .and_then(|hash| hash.try_into().ok())
            .ok_or_else(|| bad_request("sha256Hash must have 64 hexadecimal digits."))?;
        match (text, registered.get(&hash)) {
            (None, Some(text)) => Ok(ResolvedDocument { text, register_as: None }),
            (None, None) => Err(not_found()),
            (Some(text), _) if vault::sha256(text.as_bytes()) != hash => {
                Err(bad_request("sha256Hash is not the hash of the query."))
            }
            (Some(text), registered) => {
                let register_as = registered.is_none().then_some(hash);
                Ok(ResolvedDocument { text: text.into(), register_as })
            }
        }
    }

    /// Registers a document that was executed.
    pub fn register(&self, hash: Hash, text: Arc<str>) {
        if let Some(registered) = &self.registered {
            registered.insert(hash, text);
        }
    }
}

/// Finds a document of the manifest by its name or by its text.
fn resolve_trusted(
    trusted: &HashMap<String, Arc<str>>,
    request: &GraphQLRequest,
    persisted: Option<PersistedQuery>,
) -> Result<ResolvedDocument, UserError> {
    let name = request.document_id.as_deref().map(|id| id.strip_prefix("sha256:").unwrap_or(id));
    let name = name.map(Cow::Borrowed).or(persisted.map(|query| query.sha256_hash.into()));
    let text = match (name, &request.query) {
        (Some(name), _) => trusted.get(&*name).cloned().ok_or_else(not_found)?,
        (None, Some(query)) => trusted
            .values()
            .find(|text| &***text == query.as_str())
            .cloned()
            .ok_or_else(|| not_supported("Only the documents of the manifest run here."))?,
        (None, None) => return Err(bad_request("There is no query.")),
    };
    Ok(ResolvedDocument { text, register_as: None })
}

/// Reads a manifest: Apollo's format, or an object of names and texts as GraphQL Code Generator writes it.
///
/// # Errors
/// Why the manifest, or one of its documents, is invalid.
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
        check_text_limits(text, limits).map_err(|error| format!("{name}: {}", error.message))?;
        parse_query(&**text).map_err(|_| format!("{name}: not a GraphQL document"))?;
    }
    Ok(documents)
}

/// Clients recognise it by this message or by the code.
fn not_found() -> UserError {
    UserError::new(ErrorCode::PersistedQueryNotFound, "PersistedQueryNotFound")
}

fn not_supported(message: &str) -> UserError {
    UserError::new(ErrorCode::PersistedQueryNotSupported, message)
}

fn bad_request(message: &str) -> UserError {
    UserError::new(ErrorCode::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::json;

    use super::*;

    #[test]
    fn registered_documents_are_limited() {
        const LENGTH: usize = 32_000;
        let documents = PersistedDocuments::new(true, None);
        let hashes: Vec<Hash> = (0..2_000_u32).map(|n| vault::sha256(&n.to_le_bytes())).collect();
        for hash in &hashes {
            documents.register(*hash, "x".repeat(LENGTH).into());
        }
        let is_registered = |hash: &Hash| {
            let persisted = json!({ "version": 1, "sha256Hash": HEXLOWER.encode(hash) });
            let extensions = json!({ "extensions": { "persistedQuery": persisted } });
            documents
                .resolve(&mut GraphQLRequest::from_json(extensions).expect("a request"))
                .is_ok()
        };
        let registered = hashes.iter().filter(|hash| is_registered(hash)).count();
        let max = usize::try_from(MAX_REGISTERED_BYTES).expect("small") / LENGTH;
        assert!((max / 2..=max).contains(&registered), "{registered} of {max}");
    }
}
