//! GraphQL responses in tests, and assertions about them.

use serde_json::Value;

/// A GraphQL response.
#[derive(Debug)]
pub struct GraphQLResponse {
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl GraphQLResponse {
    /// The data at a JSON pointer. Panics when there are errors.
    #[track_caller]
    pub fn data(&self, pointer: &str) -> &Value {
        assert!(self.body.get("errors").is_none(), "{:#}", self.body);
        self.body["data"]
            .pointer(pointer)
            .unwrap_or_else(|| panic!("nothing at {pointer}: {:#}", self.body))
    }

    /// The text at a JSON pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> &str {
        self.data(pointer)
            .as_str()
            .unwrap_or_else(|| panic!("no text at {pointer}: {:#}", self.body))
    }

    /// The nodes of the connection at a JSON pointer ("/me/contacts").
    #[track_caller]
    pub fn nodes(&self, pointer: &str) -> &[Value] {
        let nodes = self.data(&format!("{pointer}/nodes")).as_array();
        nodes.unwrap_or_else(|| panic!("no nodes at {pointer}: {:#}", self.body))
    }

    /// Asserts that there is one error, with this code and this `field`; an empty one stands for none.
    #[track_caller]
    pub fn assert_error(&self, code: &str, field: &str) {
        assert_eq!(self.errors(), [format!("{code} {field}").trim()], "{:#}", self.body);
    }

    /// Every error as its code and field ("IDENTIFIER_TAKEN phone").
    pub fn errors(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let errors = errors.iter().map(|error| {
            let extension =
                |name: &str| error["extensions"][name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", extension("code"), extension("field")).trim().to_owned()
        });
        errors.collect()
    }

    /// A member of the `extensions` of the only error.
    #[track_caller]
    pub fn extension(&self, name: &str) -> &Value {
        assert_eq!(self.errors().len(), 1, "{:#}", self.body);
        &self.body["errors"][0]["extensions"][name]
    }
}
