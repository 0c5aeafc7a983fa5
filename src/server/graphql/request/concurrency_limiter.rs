//! Concurrency limit per user, or per network without a user: open sockets and streams, uploads in progress.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::requester::Requester;
use crate::ids::UserId;
use crate::platform::rate_limiter::rate_limit_network;

/// Who holds permits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    User(UserId),
    Network(IpAddr),
}

/// Counts the permits of each owner.
pub struct ConcurrencyLimiter {
    max_per_owner: u32,
    held: Arc<Mutex<HashMap<Owner, u32>>>,
}

/// A permit, released when it is dropped.
pub struct ConcurrencyPermit {
    owner: Owner,
    held: Arc<Mutex<HashMap<Owner, u32>>>,
}

impl ConcurrencyLimiter {
    /// Creates a limiter.
    pub fn new(max_per_owner: u32) -> Self {
        Self { max_per_owner, held: Arc::default() }
    }

    /// Acquires a permit, unless the requester holds the maximum.
    pub fn acquire(&self, requester: &Requester) -> Option<ConcurrencyPermit> {
        let owner = match requester.caller.viewer() {
            Ok(viewer) => Owner::User(viewer.user),
            Err(_) => Owner::Network(rate_limit_network(requester.client.address)),
        };
        let mut held = self.held.lock();
        let count = held.entry(owner.clone()).or_default();
        if *count >= self.max_per_owner {
            return None;
        }
        *count += 1;
        Some(ConcurrencyPermit { owner, held: self.held.clone() })
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.owner);
            }
        }
    }
}
