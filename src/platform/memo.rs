//! What was made of a value that many share, kept beside it.

use std::any::Any;
use std::collections::HashMap;

use parking_lot::Mutex;

use super::vault::Hash;

/// The most that is kept beside one value: who asks in a way of their own gains nothing by it.
const MOST: usize = 64;

/// Kept by what was asked for, until the value itself is dropped.
#[derive(Debug, Default)]
pub struct Memo(Mutex<HashMap<Hash, Box<dyn Any + Send>>>);

impl Memo {
    /// What was kept, if it is of this type.
    pub fn get<T: Clone + 'static>(&self, key: &Hash) -> Option<T> {
        self.0.lock().get(key)?.downcast_ref().cloned()
    }

    /// Keeps it, as long as there is room.
    pub fn keep<T: Send + 'static>(&self, key: Hash, made: T) {
        let mut kept = self.0.lock();
        if kept.len() < MOST {
            kept.insert(key, Box::new(made));
        }
    }
}
