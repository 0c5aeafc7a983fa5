//! The URLs of a provider for one credential set, and the destinations that requests to them may reach.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::credential_set::{CredentialSet, invalid, parse_origin};
use super::field::CredentialKey;
use super::provider::{InstanceRule, Provider, Scheme};
use super::templates::UrlTemplate;
use crate::error::{Error, Result, UserError};
use crate::platform::outbound::{AllowedAddress, Destinations, EgressRule, HostPattern};

/// A URL with what a request to it may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The URL.
    pub url: Url,
    /// The URL's host and port, and nothing else.
    pub destinations: Arc<Destinations>,
}

impl Provider {
    /// Reads the credentials that a caller sends for a scheme, with everything that is checked before they are saved.
    ///
    /// # Errors
    /// INVALID_CREDENTIAL_SET for every field that is missing, unknown or malformed, and for one that leads to a host
    /// that is not allowed.
    pub fn parse_credentials(
        &self,
        scheme: &Scheme,
        credentials: &Value,
        outbound_allow: &[AllowedAddress],
    ) -> Result<CredentialSet> {
        let set = CredentialSet::parse(self, scheme, credentials)?;
        self.base_target(&set, outbound_allow)?;
        Ok(set)
    }

    /// The base URL for these credentials. Check it before each call: what is allowed may have changed since they were
    /// saved.
    ///
    /// # Errors
    /// INVALID_CREDENTIAL_SET at the field that leads to a host that is not allowed.
    pub fn base_target(
        &self,
        credentials: &CredentialSet,
        outbound_allow: &[AllowedAddress],
    ) -> Result<Target> {
        self.target(&self.base_url, credentials, outbound_allow)
    }

    /// The URL of the token endpoint for these credentials. `None` if the provider has none.
    ///
    /// # Errors
    /// As [`Self::base_target`].
    pub fn token_target(
        &self,
        credentials: &CredentialSet,
        outbound_allow: &[AllowedAddress],
    ) -> Result<Option<Target>> {
        let Some(token) = &self.token else { return Ok(None) };
        self.target(&token.url, credentials, outbound_allow).map(Some)
    }

    fn target(
        &self,
        template: &UrlTemplate,
        credentials: &CredentialSet,
        outbound_allow: &[AllowedAddress],
    ) -> Result<Target> {
        let placeholder = template.credentials().next();
        let field = placeholder.map_or("credentials", CredentialKey::input_path);
        let instance = self.instance_url(credentials);
        let value = |key| match key {
            CredentialKey::InstanceUrl => instance,
            key => credentials.expose(key),
        };
        let missing = || Error::from(invalid(field, "There is no address without this."));
        let url = template.fill(value).ok_or_else(missing)?;
        if let (Some(CredentialKey::InstanceUrl), Some(rule)) = (placeholder, &self.instance) {
            rule.check(&url)?;
        }
        let allowed = [outbound_allow, &self.allowed_addresses].concat();
        let destinations = Destinations::pinned_to(&url, &allowed)
            .map_err(|rule| invalid(field, explain(rule)))?;
        Ok(Target { url, destinations: Arc::new(destinations) })
    }

    fn instance_url<'a>(&'a self, credentials: &'a CredentialSet) -> Option<&'a str> {
        let default =
            || Some(self.instance.as_ref()?.default.as_ref()?.as_str().trim_end_matches('/'));
        credentials.expose(CredentialKey::InstanceUrl).or_else(default)
    }

    /// Whether the operator's OAuth client may be sent to the token endpoint of these credentials. Where anybody can
    /// run an instance, that is the default one alone: another could keep the client's secret.
    pub fn trusts_with_operator_client(&self, credentials: &CredentialSet) -> bool {
        let Some(token) = &self.token else { return false };
        let has_instance = token.url.credentials().any(|key| key == CredentialKey::InstanceUrl);
        let Some(rule) = self.instance.as_ref().filter(|_| has_instance) else { return true };
        let instance = self.instance_url(credentials).and_then(|text| Url::parse(text).ok());
        let is_default = instance.is_some() && instance == rule.default;
        is_default || !rule.hosts.contains(&HostPattern::ANY)
    }

    /// The instance that a token endpoint names, if it belongs to the provider.
    pub fn accept_instance(&self, text: &str) -> Option<SecretString> {
        let origin = parse_origin(text)?;
        self.instance.as_ref()?.check(&Url::parse(&origin).ok()?).ok()?;
        Some(origin.into())
    }
}

impl InstanceRule {
    /// Checks that a URL's host belongs to the provider.
    fn check(&self, url: &Url) -> Result<(), UserError> {
        let (host, port) = (url.host(), url.port_or_known_default());
        let is_own = host.zip(port).is_some_and(|(host, port)| {
            self.hosts.iter().any(|pattern| pattern.matches(&host, port))
        });
        if is_own || self.default.as_ref().is_some_and(|default| default.origin() == url.origin()) {
            return Ok(());
        }
        let message = format!("The host must be one of {}.", self.host_names.join(", "));
        Err(invalid(CredentialKey::InstanceUrl.input_path(), message))
    }
}

/// Why a host cannot be used, for whoever sent the credentials.
fn explain(rule: EgressRule) -> String {
    match rule {
        EgressRule::Scheme => "The address must begin with https://.".into(),
        EgressRule::Address(range) => format!(
            "The address leads to this machine or a private network ({range}). The operator can allow it by \
             OUTBOUND_ALLOW."
        ),
        _ => "The host cannot be used.".into(),
    }
}
