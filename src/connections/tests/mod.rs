//! Tests of the catalog, of credentials in requests, and of the token exchange.

mod credentials;
mod files;
mod requests;
mod token_exchange;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use chrono::{TimeZone, Utc};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::catalog::{
    AuthScheme, CatalogSettings, CredentialSet, Provider, ProviderCatalog, Scheme,
};
use crate::config::connections::OAuthClient;
use crate::error::{Error, Result};
use crate::platform::clock::Timestamp;
use crate::platform::outbound::AllowedAddress;

/// The fifteen providers that the product comes with.
const BUILT_IN: [&str; 15] = [
    "airtable",
    "discord",
    "github",
    "gitlab",
    "google",
    "hubspot",
    "messagebird",
    "notion",
    "pipedrive",
    "salesforce",
    "shopify",
    "slack",
    "stripe",
    "twilio",
    "zendesk",
];

/// What a test loads the catalog with.
#[derive(Default)]
struct Setup<'a> {
    file: Option<&'a Path>,
    clients: &'a [(&'a str, &'a str, Option<&'a str>)],
    allow: &'a [&'a str],
    is_production: bool,
}

impl Setup<'_> {
    fn allowed(&self) -> Vec<AllowedAddress> {
        self.allow.iter().map(|text| text.parse().expect("a pattern")).collect()
    }

    fn load(&self) -> Result<ProviderCatalog, Vec<String>> {
        let client = |(name, id, secret): &(&str, &str, Option<&str>)| {
            let secret = secret.map(|secret| secret.to_owned().into());
            ((*name).to_owned(), OAuthClient { id: (*id).to_owned(), secret })
        };
        let oauth_clients: BTreeMap<_, _> = self.clients.iter().map(client).collect();
        ProviderCatalog::load(&CatalogSettings {
            file: self.file,
            oauth_clients: &oauth_clients,
            outbound_allow: &self.allowed(),
            public_url: "http://127.0.0.1:8000",
            is_development: !self.is_production,
        })
    }

    fn provider(&self, key: &str) -> Arc<Provider> {
        self.load().expect("a valid catalog").get(key).expect("a provider").clone()
    }
}

/// The catalog without settings.
static CATALOG: LazyLock<ProviderCatalog> =
    LazyLock::new(|| Setup::default().load().expect("a valid catalog"));

fn provider(key: &str) -> Arc<Provider> {
    CATALOG.get(key).expect("a provider").clone()
}

fn scheme(provider: &Provider, kind: AuthScheme) -> &Scheme {
    provider.scheme(Some(kind)).unwrap_or_else(|| panic!("{} has {kind:?}", provider.key))
}

/// Parses credentials that fit.
fn credentials(provider: &Provider, kind: AuthScheme, json: &Value) -> CredentialSet {
    let set = provider.parse_credentials(scheme(provider, kind), json, &[]);
    set.unwrap_or_else(|error| panic!("{}: {}", provider.key, error.describe()))
}

/// Each error as its field and message.
fn errors(result: Result<CredentialSet>) -> Vec<String> {
    let error: Error = result.expect_err("an error");
    let line = |error: &crate::error::UserError| {
        format!("{}: {}", error.field.as_deref().unwrap_or_default(), error.message)
    };
    error.user_errors().iter().map(line).collect()
}

fn now() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 21, 8, 30, 0).single().expect("a time")
}

fn json(set: &CredentialSet) -> Value {
    serde_json::from_slice(set.to_json().expose_secret()).expect("JSON")
}
