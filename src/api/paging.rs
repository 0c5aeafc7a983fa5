//! Keyset pagination: `first` and `after`, with an opaque cursor that stays valid while rows are added and removed.

use async_graphql::connection::{Connection, CursorType, Edge, EmptyFields, OpaqueCursor};
use async_graphql::{ObjectType, OutputType};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{CollectErrors, ForField, Result, UserError, check_optional};

/// The key of a row in its list, opaque to clients.
pub type Cursor<K> = OpaqueCursor<K>;

/// The page size without `first`.
pub const DEFAULT_PAGE_SIZE: i32 = 25;
/// The largest allowed `first`.
pub const MAX_PAGE_SIZE: i32 = 100;

/// A requested page.
#[derive(Clone, Debug)]
pub struct Page<K> {
    size: u64,
    /// The key of the row before the page.
    pub after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Page<K> {
    /// Parses the arguments: 1 to 100 rows, 25 by default.
    ///
    /// # Errors
    /// BAD_USER_INPUT at `first` and `after`.
    pub fn parse(first: Option<i32>, after: Option<&str>) -> Result<Self> {
        let size = match first.unwrap_or(DEFAULT_PAGE_SIZE) {
            size @ 1..=MAX_PAGE_SIZE => Ok(u64::from(size.unsigned_abs())),
            _ => Err(UserError::bad_input(format!("Must be 1 to {MAX_PAGE_SIZE}."))),
        };
        let after = check_optional(after, parse_cursor);
        let (size, after) = (size.for_field("first"), after.for_field("after")).collect_errors()?;
        Ok(Self { size, after })
    }

    /// How many rows to read: one more than the page has, to know whether there is a next page.
    pub fn rows_to_read(&self) -> u64 {
        self.size + 1
    }

    /// Builds the connection from the rows that were read.
    pub fn connection<R, N, F>(
        self,
        mut rows: Vec<R>,
        fields: F,
        node: impl Fn(R) -> (K, N),
    ) -> Connection<Cursor<K>, N, F>
    where
        K: Send + Sync,
        N: OutputType,
        F: ObjectType,
    {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let has_more = rows.len() > size;
        rows.truncate(size);
        let mut connection = Connection::<_, _, F, EmptyFields>::with_additional_fields(
            self.after.is_some(),
            has_more,
            fields,
        );
        connection.edges.extend(rows.into_iter().map(|row| {
            let (key, node) = node(row);
            Edge::new(OpaqueCursor(key), node)
        }));
        connection
    }
}

fn parse_cursor<K: Serialize + DeserializeOwned>(text: &str) -> Result<K, UserError> {
    let key = Cursor::<K>::decode_cursor(text).ok().map(|cursor| cursor.0);
    // PostgreSQL rejects NUL in texts, and no stored text has one.
    let has_no_nul =
        |key: &K| serde_json::to_string(key).is_ok_and(|json| !json.contains("\\u0000"));
    key.filter(has_no_nul).ok_or_else(|| UserError::bad_input("This is not a cursor of this list."))
}
