//! Reads the GraphQL settings.

use std::path::PathBuf;

use super::values::{ON_OR_OFF, SettingsReader};
use crate::config::graphql::{DocumentLimits, GraphqlConfig, StreamLimits};

impl SettingsReader {
    pub(super) fn graphql(&mut self, introspection: bool) -> GraphqlConfig {
        GraphqlConfig {
            document_limits: DocumentLimits {
                max_bytes: self.parse_in_range("GRAPHQL_MAX_BYTES", 32 * 1024, 1024..=256 * 1024),
                max_tokens: self.parse_in_range("GRAPHQL_MAX_TOKENS", 4_000, 100..=100_000),
                // The parser overflows its stack somewhere above 500.
                max_nesting: self.parse_in_range("GRAPHQL_MAX_NESTING", 64, 8..=200),
                max_selections: self.parse_in_range("GRAPHQL_MAX_SELECTIONS", 2_000, 10..=20_000),
                max_cost: self.parse_in_range("GRAPHQL_MAX_COST", 10_000, 10..=1_000_000),
                // The usual introspection query is 15 deep; the executor stops at 32.
                max_depth: self.parse_in_range("GRAPHQL_MAX_DEPTH", 20, 4..=30),
                max_root_fields: self.parse_in_range("GRAPHQL_MAX_ROOT_FIELDS", 20, 1..=1_000),
                max_aliases: self.parse_in_range("GRAPHQL_MAX_ALIASES", 50, 0..=1_000),
                max_directives: self.parse_in_range("GRAPHQL_MAX_DIRECTIVES", 100, 0..=1_000),
            },
            stream_limits: StreamLimits {
                max_per_owner: self.parse_in_range("STREAMS_PER_USER", 50, 1..=1_000_000),
                max_operations_per_socket: self.parse_in_range(
                    "OPERATIONS_PER_SOCKET",
                    50,
                    1..=1_000,
                ),
            },
            allows_introspection: introspection,
            allows_persisted_queries: self.choice("PERSISTED_QUERIES", &ON_OR_OFF, true),
            trusted_documents: self.text("TRUSTED_DOCUMENTS").map(PathBuf::from),
            max_upload_bytes: self.parse_in_range("UPLOAD_MAX_BYTES", 64 << 20, 1024..=16 << 30),
        }
    }
}
