//! How many sockets and streams somebody holds open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::operation::Asker;
use crate::api::Caller;
use crate::ids::UserId;
use crate::platform::throttle::network_of;

/// Who holds them: a user, or without one an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    User(UserId),
    Address(IpAddr),
}

/// The open sockets and streams, counted by owner.
pub struct Slots {
    most: u32,
    held: Arc<Mutex<HashMap<Owner, u32>>>,
}

/// One socket or stream. It is given back when this is dropped.
pub struct Slot {
    owner: Owner,
    held: Arc<Mutex<HashMap<Owner, u32>>>,
}

impl Slots {
    /// None open, and at most so many for one owner.
    pub fn new(most: u32) -> Self {
        Self { most, held: Arc::default() }
    }

    /// Takes one, if the owner may have another.
    pub fn take(&self, asker: &Asker) -> Option<Slot> {
        let owner = match &asker.caller {
            Caller::SignedIn(viewer) => Owner::User(viewer.user),
            _ => Owner::Address(network_of(asker.client.address)),
        };
        let mut held = self.held.lock();
        let count = held.entry(owner.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Slot { owner, held: self.held.clone() })
    }
}

impl Drop for Slot {
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
