//! The catalog: all providers of this process, by key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::nearest::nearest;
use super::parse::{ParseContext, parse_providers};
use super::provider::Provider;
use crate::config::connections::OAuthClient;
use crate::error::{ErrorCode, UserError};
use crate::platform::outbound::AllowedAddress;

/// The providers that come with the program.
const BUILT_IN: &str = include_str!("../providers.toml");
/// Longer files are not read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// What an error repeats of an unknown key.
const MAX_KEY_LEN: usize = 40;

/// What the catalog is loaded with.
pub struct CatalogSettings<'a> {
    /// A file with more providers.
    pub file: Option<&'a Path>,
    /// The operator's OAuth clients by the provider's part of their settings' names ("GITHUB").
    pub oauth_clients: &'a BTreeMap<String, OAuthClient>,
    /// Private addresses that calls may go to.
    pub outbound_allow: &'a [AllowedAddress],
    /// The URL of this server, without a trailing slash.
    pub public_url: &'a str,
    /// Whether this is development, which has a provider `demo`.
    pub is_development: bool,
}

/// All providers.
#[derive(Debug)]
pub struct ProviderCatalog(BTreeMap<String, Arc<Provider>>);

impl ProviderCatalog {
    /// Reads the built-in providers and those of the file. An entry of the file replaces a built-in one with its key.
    ///
    /// # Errors
    /// Every problem of both, with its line.
    pub fn load(settings: &CatalogSettings<'_>) -> Result<Self, Vec<String>> {
        let context = ParseContext {
            public_url: settings.public_url,
            is_development: settings.is_development,
            outbound_allow: settings.outbound_allow,
        };
        let mut problems = Vec::new();
        let mut read = |file: &str, text: &str| {
            parse_providers(file, text, context).unwrap_or_else(|found| {
                problems.extend(found);
                Vec::new()
            })
        };
        let mut providers = read("providers.toml", BUILT_IN);
        let mut unreadable = None;
        if let Some(file) = settings.file {
            let name = file.display();
            match read_file(file) {
                Ok(text) => providers.extend(read(&format!("PROVIDERS_FILE {name}"), &text)),
                Err(problem) => unreadable = Some(format!("PROVIDERS_FILE: {name}: {problem}")),
            }
        }
        problems.extend(unreadable);
        let mut providers: BTreeMap<String, Provider> =
            providers.into_iter().map(|provider| (provider.key.clone(), provider)).collect();
        // The client of an entry that could not be read would be reported in vain.
        if problems.is_empty() {
            problems = assign_clients(&mut providers, settings.oauth_clients);
        }
        let shared = providers.into_iter().map(|(key, provider)| (key, Arc::new(provider)));
        if problems.is_empty() { Ok(Self(shared.collect())) } else { Err(problems) }
    }

    /// The provider of this key.
    ///
    /// # Errors
    /// UNKNOWN_PROVIDER at `provider`, with the nearest keys.
    pub fn get(&self, key: &str) -> Result<&Arc<Provider>, UserError> {
        self.0.get(key).ok_or_else(|| self.unknown(key))
    }

    /// All providers, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.0.values()
    }

    fn unknown(&self, key: &str) -> UserError {
        let shown: String = key.chars().filter(|c| !c.is_control()).take(MAX_KEY_LEN).collect();
        let names = self.iter().flat_map(|provider| [&*provider.key, &*provider.name]);
        let mut keys: Vec<&str> = Vec::new();
        for name in nearest(key, names) {
            let meant = self.iter().find(|it| it.key == name || it.name == name);
            keys.extend(meant.map(|it| &*it.key).filter(|meant| !keys.contains(meant)));
        }
        let hint = match keys.as_slice() {
            [] => "`providers` lists those that there are.".to_owned(),
            keys => format!("Is {} meant? `providers` lists all.", keys.join(" or ")),
        };
        let message = format!("There is no provider \"{shown}\". {hint}");
        UserError::new(ErrorCode::UnknownProvider, message).for_field("provider")
    }
}

fn read_file(file: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(format!("it must have at most {MAX_FILE_BYTES} bytes"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

/// Gives each provider the operator's client. Returns a problem for each client without a provider.
fn assign_clients(
    providers: &mut BTreeMap<String, Provider>,
    clients: &BTreeMap<String, OAuthClient>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, client) in clients {
        let provider = providers.values_mut().find(|provider| provider.setting_part() == *name);
        let token = provider.map(|provider| provider.token.as_mut());
        match token {
            Some(Some(token)) => token.operator_client = Some(client.clone()),
            Some(None) => problems.push(format!(
                "PROVIDER_{name}_CLIENT_ID: the provider renews no tokens, so it needs no client"
            )),
            None => problems
                .push(format!("PROVIDER_{name}_CLIENT_ID: there is no provider of this name")),
        }
    }
    problems
}
