//! The GraphQL settings: limits of documents, streams and uploads.

use std::path::PathBuf;

/// Limits of documents. All transports check them before execution.
#[derive(Clone, Debug)]
pub struct DocumentLimits {
    /// The maximum length of a document in bytes.
    pub max_bytes: usize,
    /// The maximum number of tokens.
    pub max_tokens: usize,
    /// The maximum nesting depth of brackets of all kinds.
    pub max_nesting: usize,
    /// The maximum number of selections. The selections of a fragment count once per spread.
    pub max_selections: u64,
    /// The maximum cost: the estimated number of fields in the response, multiplied by page sizes (`first`).
    pub max_cost: u64,
    /// The maximum depth of fields.
    pub max_depth: u64,
    /// The maximum number of root fields.
    pub max_root_fields: u64,
    /// The maximum number of aliases.
    pub max_aliases: u64,
    /// The maximum number of directives.
    pub max_directives: u64,
}

/// Limits of WebSockets and other streams.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// The maximum number of sockets and streams per user, or per address without a user.
    pub max_per_owner: u32,
    /// The maximum number of concurrent operations on one socket.
    pub max_operations_per_socket: usize,
}

/// The GraphQL settings.
#[derive(Clone, Debug)]
pub struct GraphqlConfig {
    /// Limits of documents.
    pub document_limits: DocumentLimits,
    /// Limits of WebSockets and other streams.
    pub stream_limits: StreamLimits,
    /// Whether introspection is allowed.
    pub allows_introspection: bool,
    /// Whether automatic persisted queries are allowed: a client sends a document once and then only its hash.
    pub allows_persisted_queries: bool,
    /// The manifest of trusted documents. With it, no other documents run.
    pub trusted_documents: Option<PathBuf>,
    /// The maximum size of a multipart request in bytes.
    pub max_upload_bytes: u64,
}
