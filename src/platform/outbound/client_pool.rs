//! HTTP clients, each with its own connection pool: one per policy, so that a connection made under a permissive policy
//! is never used under a strict one.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use reqwest::{Client, ClientBuilder, redirect};

use super::address_guard::AddressGuard;
use super::connect_timeout::{CONNECT_TIMEOUT, ConnectTimeoutLayer};
use super::policy::Destinations;
use super::resolver::{GuardedResolver, NameResolver};
use crate::platform::clock::Clock;

/// Maximum number of clients. Those that are used least are closed when their requests have ended.
const MAX_CLIENTS: usize = 64;
/// Time after which an unused connection is closed.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// The clients of all policies.
pub(super) struct ClientPool {
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn NameResolver>,
    clients: Cache<ClientKey, Client>,
}

/// What requests must have in common to share connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    /// Where the policy allows requests to go.
    pub(super) destinations: Arc<Destinations>,
    /// What it allows for this host and port.
    pub(super) guard: Arc<AddressGuard>,
}

impl ClientPool {
    pub(super) fn new(clock: Arc<dyn Clock>, resolver: Arc<dyn NameResolver>) -> Self {
        Self { clock, resolver, clients: Cache::new(MAX_CLIENTS) }
    }

    /// The client for a key. Made at its first use.
    pub(super) fn get(&self, key: &ClientKey) -> Client {
        let created: Result<_, std::convert::Infallible> =
            self.clients.get_or_insert_with(key, || Ok(self.create(key)));
        let Ok(client) = created;
        client
    }

    fn create(&self, key: &ClientKey) -> Client {
        let client = self.builder(key).build().or_else(|error| {
            // The system has no CA certificates. An installation without HTTPS calls works anyway.
            tracing::warn!(?error, "calls by HTTPS will fail");
            self.builder(key).tls_certs_only([]).build()
        });
        client.expect("a TLS backend is built in")
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that makes a client")]
    fn builder(&self, key: &ClientKey) -> ClientBuilder {
        let guard = key.guard.clone();
        Client::builder()
            .user_agent(concat!("Switchboard/", env!("CARGO_PKG_VERSION")))
            // Redirects are followed by the policy, hop by hop.
            .redirect(redirect::Policy::none())
            // The configuration alone decides where calls go, not an environment variable for a proxy.
            .no_proxy()
            .referer(false)
            .dns_resolver(GuardedResolver { resolver: self.resolver.clone(), guard })
            .connector_layer(ConnectTimeoutLayer(self.clock.clone()))
            // Divides the time among the addresses of a host.
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
    }
}
