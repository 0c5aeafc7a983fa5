//! Statistics of accounts.

use crate::platform::statistics::Source;

/// People who signed up.
pub const NEW_USERS: &str = "new_users";
/// People whose account was deleted.
pub const DELETED_USERS: &str = "deleted_users";

/// How the rows are counted again.
pub const SOURCES: [Source; 2] = [
    Source {
        table: "users",
        condition: "true",
        time_column: Some("created_at"),
        dimension: "''",
        amounts: &[(NEW_USERS, "COUNT(*)")],
    },
    Source {
        table: "users",
        condition: "deleted_at IS NOT NULL",
        time_column: Some("deleted_at"),
        dimension: "''",
        amounts: &[(DELETED_USERS, "COUNT(*)")],
    },
];
