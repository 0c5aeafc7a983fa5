//! Parsing documents: clients send the same few again and again, so what was parsed is kept.

use std::sync::Arc;

use async_graphql::ServerError;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::engine::Fault;
use super::{guard, repeated};
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, Failure};

/// How many bytes of text are kept parsed, which takes up far more: a flood of other documents makes it 20 MB. And
/// about how many documents that is.
const MOST_BYTES: u64 = 256 << 10;
const ABOUT: usize = 500;

/// Documents that were parsed, by their texts.
pub struct Parser {
    limits: DocumentLimits,
    parsed: Cache<Arc<str>, Arc<ExecutableDocument>, Length>,
}

#[derive(Clone)]
struct Length;

impl Weighter<Arc<str>, Arc<ExecutableDocument>> for Length {
    fn weight(&self, text: &Arc<str>, _: &Arc<ExecutableDocument>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).max(1)
    }
}

impl Parser {
    /// That takes documents within these limits.
    pub fn new(limits: DocumentLimits) -> Self {
        Self { limits, parsed: Cache::with_weighter(ABOUT, MOST_BYTES, Length) }
    }

    /// What a text says.
    ///
    /// # Errors
    /// Those of the limits; GRAPHQL_PARSE_FAILED; GRAPHQL_VALIDATION_FAILED when an object has a field twice.
    pub fn parse(&self, text: &Arc<str>) -> Result<ExecutableDocument, Fault> {
        if let Some(parsed) = self.parsed.get(text) {
            return Ok((*parsed).clone());
        }
        guard::check(text, &self.limits).map_err(|failure| (failure, None))?;
        let document = parse_query(&**text).map_err(|error| failed(&error.into()))?;
        repeated::check(text)?;
        self.parsed.insert(text.clone(), Arc::new(document.clone()));
        Ok(document)
    }
}

/// The parser draws the place, which `locations` tells already; what it expected comes last.
fn failed(error: &ServerError) -> Fault {
    let message = match error.message.rsplit_once("= ") {
        Some((_, expected)) => format!("Cannot be parsed: {}.", expected.trim()),
        None => "Cannot be parsed.".to_owned(),
    };
    let failure = Failure::new(ErrorCode::GraphqlParseFailed, message);
    (failure, error.locations.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parser() -> Parser {
        let config = Config::from_values([].into()).expect("the defaults are good");
        Parser::new(config.graphql.documents)
    }

    #[test]
    fn a_text_says_the_same_each_time() {
        let parser = parser();
        let [long, short] = ["{ me { id } }", "{ me }"].map(Arc::<str>::from);
        let told = |text| format!("{:?}", parser.parse(text).expect("a document"));
        assert_eq!(told(&long), told(&long));
        assert_ne!(told(&long), told(&short));
        assert_eq!(parser.parsed.len(), 2);
    }

    #[test]
    fn what_is_no_document_is_not_kept() {
        let parser = parser();
        for text in ["{ me {", &"{ me ".repeat(1_000)] {
            for _ in 0..2 {
                parser.parse(&text.into()).expect_err("no document");
            }
        }
        assert_eq!(parser.parsed.len(), 0);
    }
}
