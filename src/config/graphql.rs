//! What a GraphQL document, a socket and an upload may ask for.

use std::path::PathBuf;

/// Bounds on documents. Each is checked before anything runs, on every transport.
#[derive(Clone, Debug)]
pub struct DocumentLimits {
    /// The longest document, in bytes.
    pub bytes: usize,
    /// The most tokens of a document.
    pub tokens: usize,
    /// The deepest nesting of brackets of all kinds.
    pub nesting: usize,
    /// The most selections, each counted as often as its fragments are spread.
    pub selections: u64,
    /// The most fields that an answer may have, as `first` multiplies them.
    pub cost: u64,
    /// The most levels of fields.
    pub depth: u64,
    /// The most fields at the top.
    pub root_fields: u64,
    /// The most aliases.
    pub aliases: u64,
    /// The most directives.
    pub directives: u64,
}

/// Bounds on sockets and other streams.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// The most sockets and streams of one user, or of one address without a user.
    pub per_owner: u32,
    /// The most operations that run at once on one socket.
    pub operations: usize,
}

/// Which documents run, and what they may ask for.
#[derive(Clone, Debug)]
pub struct Graphql {
    /// Bounds on documents.
    pub documents: DocumentLimits,
    /// Bounds on sockets and other streams.
    pub streams: StreamLimits,
    /// Whether the schema may be asked about itself.
    pub introspection: bool,
    /// Whether a document may be named by its hash once it was sent.
    pub persisted_queries: bool,
    /// The manifest of the only documents that run.
    pub trusted_documents: Option<PathBuf>,
    /// The most bytes of a multipart request.
    pub upload_bytes: u64,
}
