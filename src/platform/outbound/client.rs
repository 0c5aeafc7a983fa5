//! The client for calls to other services.

use std::sync::Arc;

use super::client_pool::ClientPool;
use super::isolation::Isolation;
use super::resolver::{NameResolver, SystemResolver};
use crate::platform::clock::Clock;

/// The client for calls to other services. Clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    pub(super) clients: Arc<ClientPool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) isolation: Option<Arc<Isolation>>,
}

impl Outbound {
    /// Creates a client that resolves names as the operating system does.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_resolver(clock, Arc::new(SystemResolver))
    }

    /// Creates a client with another source of addresses, for tests.
    pub fn with_resolver(clock: Arc<dyn Clock>, resolver: Arc<dyn NameResolver>) -> Self {
        let clients = Arc::new(ClientPool::new(clock.clone(), resolver));
        Self { clients, clock, isolation: None }
    }

    /// Sends requests on threads of their own, where the policy does not trust the server.
    #[must_use]
    pub fn isolate_untrusted(mut self) -> Self {
        self.isolation = Some(Arc::default());
        self
    }
}
