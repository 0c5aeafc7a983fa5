//! Keys of leases.

use std::borrow::Cow;

/// The work that a lease is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseKey {
    /// The kind of work.
    pub kind: &'static str,
    /// Which work of this kind.
    pub key: Cow<'static, str>,
}

impl LeaseKey {
    /// The key of a background job that one instance runs for all.
    pub fn job(name: &'static str) -> Self {
        Self { kind: "job", key: name.into() }
    }
}
