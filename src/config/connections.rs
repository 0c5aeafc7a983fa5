//! The settings of API connections.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

/// The client that the operator registered at a provider's OAuth server.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// The public identifier.
    pub id: String,
    /// The secret. Public clients have none.
    pub secret: Option<SecretString>,
}

/// The settings of API connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionsConfig {
    /// A file with more providers.
    pub providers_file: Option<PathBuf>,
    /// The operator's OAuth clients by the provider's part of their settings' names ("GITHUB").
    pub oauth_clients: BTreeMap<String, OAuthClient>,
    /// The hosts, addresses and networks that calls may go to although they are private, as the setting spells them.
    pub outbound_allow: Vec<String>,
}
