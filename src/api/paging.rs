//! Pages of lists that can grow: `first` and `after`, by a key that stays where it is when rows come
//! and go before it.

use async_graphql::connection::{Connection, CursorType, Edge, EmptyFields, OpaqueCursor};
use async_graphql::{ObjectType, OutputType};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{At, Checked, Failure, Result, optional};

/// Where a row stands in its list: opaque to clients.
pub type Cursor<K> = OpaqueCursor<K>;

const DEFAULT_SIZE: i32 = 25;
/// The most rows of a page.
pub const LARGEST_PAGE: i32 = 100;

/// Which rows are asked for.
#[derive(Clone, Debug)]
pub struct Page<K> {
    size: u64,
    /// The key of the row that the page starts after.
    pub after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Page<K> {
    /// Checks what the client asked for: 1 to 100 rows, 25 when it does not say.
    ///
    /// # Errors
    /// BAD_USER_INPUT with the field.
    pub fn parse(first: Option<i32>, after: Option<&str>) -> Result<Self> {
        let size = match first.unwrap_or(DEFAULT_SIZE) {
            size @ 1..=LARGEST_PAGE => Ok(u64::from(size.unsigned_abs())),
            _ => Err(Failure::bad_input(format!("Must be 1 to {LARGEST_PAGE}."))),
        };
        let after = optional(after, read_cursor);
        let (size, after) = (size.at("first"), after.at("after")).all()?;
        Ok(Self { size, after })
    }

    /// How many rows to read: one more than the page has, to see whether there are others.
    pub fn rows_to_read(&self) -> u64 {
        self.size + 1
    }

    /// Makes the connection of the rows that were read.
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

fn read_cursor<K: Serialize + DeserializeOwned>(text: &str) -> Result<K, Failure> {
    let key = Cursor::<K>::decode_cursor(text).ok().map(|cursor| cursor.0);
    // No row's text has a NUL, which PostgreSQL does not take.
    let is_plain = |key: &K| serde_json::to_string(key).is_ok_and(|json| !json.contains("\\u0000"));
    key.filter(is_plain).ok_or_else(|| Failure::bad_input("This is not a cursor of this list."))
}
