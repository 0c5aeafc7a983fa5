//! Cache of parsed documents: clients send the same few documents again and again.

use std::sync::Arc;

use async_graphql::ServerError;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::input_field_uniqueness::check_input_field_uniqueness;
use super::request_error::RequestError;
use super::text_limits::check_text_limits;
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, UserError};

/// The capacity in bytes of text. Parsed documents need far more memory: 20 MB when many clients send different ones.
const MAX_CACHED_BYTES: u64 = 256 << 10;
/// About as many documents as fit into the capacity.
const ESTIMATED_ITEMS: usize = 500;

/// Parser with a cache, whose keys are the texts.
pub struct ParserCache {
    limits: DocumentLimits,
    documents: Cache<Arc<str>, Arc<ExecutableDocument>, TextLength>,
}

#[derive(Clone)]
struct TextLength;

impl Weighter<Arc<str>, Arc<ExecutableDocument>> for TextLength {
    fn weight(&self, text: &Arc<str>, _: &Arc<ExecutableDocument>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).max(1)
    }
}

impl ParserCache {
    /// A parser that accepts documents within these limits.
    pub fn new(limits: DocumentLimits) -> Self {
        let documents = Cache::with_weighter(ESTIMATED_ITEMS, MAX_CACHED_BYTES, TextLength);
        Self { limits, documents }
    }

    /// Parses a text, or gets its document from the cache.
    ///
    /// # Errors
    /// QUERY_TOO_COMPLEX; GRAPHQL_PARSE_FAILED; GRAPHQL_VALIDATION_FAILED when an input object has a field twice.
    pub fn parse(&self, text: &Arc<str>) -> Result<ExecutableDocument, RequestError> {
        if let Some(document) = self.documents.get(text) {
            return Ok((*document).clone());
        }
        check_text_limits(text, &self.limits)?;
        let document = parse_query(&**text).map_err(|error| parse_error(&error.into()))?;
        check_input_field_uniqueness(text)?;
        self.documents.insert(text.clone(), Arc::new(document.clone()));
        Ok(document)
    }
}

/// The parser's message is a drawing of the position, which `locations` already has, and then what it expected.
fn parse_error(error: &ServerError) -> RequestError {
    let message = match error.message.rsplit_once("= ") {
        Some((_, expected)) => format!("Cannot be parsed: {}.", expected.trim()),
        None => "Cannot be parsed.".to_owned(),
    };
    RequestError {
        user_error: UserError::new(ErrorCode::GraphqlParseFailed, message),
        position: error.locations.first().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parser() -> ParserCache {
        let config = Config::from_values([].into()).expect("the defaults are good");
        ParserCache::new(config.graphql.document_limits)
    }

    #[test]
    fn cached_documents_equal_parsed_ones() {
        let parser = parser();
        let [long, short] = ["{ me { id } }", "{ me }"].map(Arc::<str>::from);
        let parse = |text| format!("{:?}", parser.parse(text).expect("a document"));
        assert_eq!(parse(&long), parse(&long));
        assert_ne!(parse(&long), parse(&short));
        assert_eq!(parser.documents.len(), 2);
    }

    #[test]
    fn invalid_documents_are_not_cached() {
        let parser = parser();
        for text in ["{ me {", &"{ me ".repeat(1_000)] {
            for _ in 0..2 {
                parser.parse(&text.into()).expect_err("no document");
            }
        }
        assert_eq!(parser.documents.len(), 0);
    }
}
