//! What a client asks for, however it is sent (GraphQL over HTTP, "Request").

use serde::Deserialize;
use serde_json::{Map, Value};

/// A GraphQL request. Members that we do not know are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The document.
    pub query: Option<String>,
    /// Which of its operations.
    pub operation_name: Option<String>,
    /// The variables.
    pub variables: Option<Map<String, Value>>,
    /// `persistedQuery`, and `cost` for whoever wants to know it.
    pub extensions: Option<Map<String, Value>>,
    /// A trusted document's name, in place of its text.
    pub document_id: Option<String>,
}

const MALFORMED: &str = "Not a GraphQL request: query, operationName and documentId are strings, variables \
                         and extensions are objects.";

impl Question {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// Why it is none.
    pub fn from_json(value: Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err("The request must be one JSON object; batches are not taken.".into());
        }
        let mut question: Self = serde_json::from_value(value).map_err(|_| MALFORMED.to_owned())?;
        question.operation_name = question.operation_name.filter(|name| !name.is_empty());
        Ok(question)
    }

    /// Reads a query string. What is empty counts as absent.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn from_query(query: &str) -> Result<Self, String> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| "The query string cannot be read.".to_owned())?;
        let mut question = Self::default();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            let object = || {
                serde_json::from_str::<Option<Map<String, Value>>>(&value)
                    .map_err(|_| format!("{name} must be a JSON object."))
            };
            match name.as_str() {
                "query" => question.query = Some(value),
                "operationName" => question.operation_name = Some(value),
                "variables" => question.variables = object()?,
                "extensions" => question.extensions = object()?,
                "documentId" => question.document_id = Some(value),
                _ => {}
            }
        }
        Ok(question)
    }

    /// Whether the answer shall say what the operation costs.
    pub fn wants_cost(&self) -> bool {
        self.extension("cost").is_some_and(|cost| *cost == Value::Bool(true))
    }

    /// One of the extensions.
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.extensions.as_ref()?.get(name)
    }
}
