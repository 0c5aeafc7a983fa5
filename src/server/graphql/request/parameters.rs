//! GraphQL request parameters: document or its id, operation name, variables and extensions, from JSON or a query string
//! (GraphQL over HTTP, "Request").

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::platform::json::{self, UntrustedJson};

/// The longest request without files: room for the longest document and large variables.
pub const MAX_REQUEST_LEN: usize = 1 << 20;

/// A GraphQL request. Unknown members are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQLRequest {
    /// The document.
    pub query: Option<String>,
    /// The name of the operation to run.
    pub operation_name: Option<String>,
    /// The variables.
    pub variables: Option<Map<String, Value>>,
    /// `persistedQuery`; `cost` adds the cost to the response.
    pub extensions: Option<Map<String, Value>>,
    /// The name of a trusted document, instead of its text.
    pub document_id: Option<String>,
}

const MALFORMED: &str = "Not a GraphQL request: query, operationName and documentId are strings, variables \
                         and extensions are objects.";

impl GraphQLRequest {
    /// Reads a JSON object. The error is a message for the client.
    pub fn from_json(value: Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err("The request must be one JSON object; batches are not taken.".into());
        }
        let mut request: Self = serde_json::from_value(value).map_err(|_| MALFORMED.to_owned())?;
        request.operation_name = request.operation_name.filter(|name| !name.is_empty());
        Ok(request)
    }

    /// Reads a query string. An empty value counts as absent. The error is a message for the client.
    pub fn from_query_string(query: &str) -> Result<Self, String> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| "The query string cannot be read.".to_owned())?;
        let mut request = Self::default();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            let object = || match json::from_slice(value.as_bytes()) {
                Ok(UntrustedJson(Value::Object(object))) => Ok(Some(object)),
                Ok(UntrustedJson(Value::Null)) => Ok(None),
                Ok(_) => Err(format!("{name} must be a JSON object.")),
                Err(error) => Err(format!("{name} is not JSON: {error}.")),
            };
            match name.as_str() {
                "query" => request.query = Some(value),
                "operationName" => request.operation_name = Some(value),
                "variables" => request.variables = object()?,
                "extensions" => request.extensions = object()?,
                "documentId" => request.document_id = Some(value),
                _ => {}
            }
        }
        Ok(request)
    }

    /// Whether the client wants the cost in the response.
    pub fn wants_cost(&self) -> bool {
        self.extension("cost").is_some_and(|cost| *cost == Value::Bool(true))
    }

    /// An extension.
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.extensions.as_ref()?.get(name)
    }
}
