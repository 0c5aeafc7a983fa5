//! Memo of the responses that were rendered from a shared value, stored with the value.

use std::any::Any;
use std::collections::HashMap;

use parking_lot::Mutex;

use super::vault::Hash;

/// How many responses one value holds at most: requests that differ from all others gain nothing from a memo.
const MAX_ENTRIES: usize = 64;

/// Responses by the hash of the operation, kept until the value is dropped.
#[derive(Debug, Default)]
pub struct ResponseMemo(Mutex<HashMap<Hash, Box<dyn Any + Send>>>);

impl ResponseMemo {
    /// Returns the entry of a key, if it has this type.
    pub fn get<T: Clone + 'static>(&self, key: &Hash) -> Option<T> {
        self.0.lock().get(key)?.downcast_ref().cloned()
    }

    /// Adds an entry, unless the memo is full.
    pub fn insert<T: Send + 'static>(&self, key: Hash, response: T) {
        let mut entries = self.0.lock();
        if entries.len() < MAX_ENTRIES {
            entries.insert(key, Box::new(response));
        }
    }
}
