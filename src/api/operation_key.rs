//! The key by which equal operations share a response, and whether that response depends on the viewer.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::vault::Hash;

/// The key of an operation: equal operations have the same hash.
pub struct OperationKey {
    hash: Hash,
    is_viewer_dependent: AtomicBool,
}

impl OperationKey {
    /// A key from the hash of the document, the operation's name and the variables.
    pub fn new(hash: Hash) -> Self {
        Self { hash, is_viewer_dependent: AtomicBool::new(false) }
    }

    /// The hash.
    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    /// Marks the current response as dependent on the viewer.
    pub(super) fn mark_viewer_dependent(&self) {
        self.is_viewer_dependent.store(true, Ordering::Relaxed);
    }

    /// Starts another response, which is not marked yet.
    pub(super) fn reset(&self) {
        self.is_viewer_dependent.store(false, Ordering::Relaxed);
    }

    /// Whether the response since [`Self::reset`] depends on the viewer.
    pub(super) fn is_viewer_dependent(&self) -> bool {
        self.is_viewer_dependent.load(Ordering::Relaxed)
    }
}
