//! In-memory state of connections: the catalog of providers, and where calls may go.

use super::catalog::{CatalogSettings, ProviderCatalog};
use crate::config::Config;
use crate::config::connections::OAuthClient;
use crate::platform::outbound::AllowedAddress;

/// The in-memory state of connections, one per process.
pub struct Connections {
    /// The providers.
    pub catalog: ProviderCatalog,
    /// Private addresses that calls may go to, from OUTBOUND_ALLOW.
    pub outbound_allow: Vec<AllowedAddress>,
}

impl Connections {
    /// The state with the configured providers.
    ///
    /// # Errors
    /// Every problem of OUTBOUND_ALLOW, of the entries of providers and of the operator's OAuth clients.
    pub fn new(config: &Config) -> Result<Self, Vec<String>> {
        let settings = &config.connections;
        let (mut outbound_allow, mut problems) = (Vec::new(), Vec::new());
        for text in &settings.outbound_allow {
            match text.parse() {
                Ok(address) => outbound_allow.push(address),
                Err(problem) => problems.push(format!("OUTBOUND_ALLOW: {text}: {problem}")),
            }
        }
        let is_development = !config.is_production();
        let mut oauth_clients = settings.oauth_clients.clone();
        if is_development {
            let secret = Some("demo-secret".into());
            let demo_client = OAuthClient { id: "demo".into(), secret };
            oauth_clients.entry("DEMO".into()).or_insert(demo_client);
        }
        let catalog = ProviderCatalog::load(&CatalogSettings {
            file: settings.providers_file.as_deref(),
            oauth_clients: &oauth_clients,
            outbound_allow: &outbound_allow,
            public_url: config.base_url(),
            is_development,
        });
        match catalog {
            Ok(catalog) if problems.is_empty() => Ok(Self { catalog, outbound_allow }),
            catalog => {
                problems.extend(catalog.err().unwrap_or_default());
                Err(problems)
            }
        }
    }
}
