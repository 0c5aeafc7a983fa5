//! Statistics of accounts.

use crate::platform::database::Work;
use crate::platform::statistics::Source;
use sea_orm::ConnectionTrait;

/// People who signed up.
pub const NEW_USERS: &str = "new_users";
/// People whose account was deleted.
pub const DELETED_USERS: &str = "deleted_users";

/// How the rows are counted again.
pub fn sources(tx: &Work) -> [Source; 2] {
    let (backend, count) = (tx.get_database_backend(), "COUNT(*)");
    let deleted = "users WHERE deleted_at IS NOT NULL";
    [
        Source::new(backend, "created_at", &[(NEW_USERS, "''", count)], "users", &[NEW_USERS]),
        Source::new(
            backend,
            "deleted_at",
            &[(DELETED_USERS, "''", count)],
            deleted,
            &[DELETED_USERS],
        ),
    ]
}
