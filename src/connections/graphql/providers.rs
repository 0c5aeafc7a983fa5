//! GraphQL of providers: what can be connected to, and the form of each way to authenticate.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use super::context::connections_state;
use crate::connections::catalog;

/// How credentials are used.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "catalog::AuthScheme")]
pub enum AuthScheme {
    /// A token that does not change.
    Bearer,
    /// A user name and a password, or what the provider uses in their place.
    Basic,
    /// An API key.
    ApiKey,
    /// An access token, renewed by a refresh token before it expires.
    Oauth2,
    /// An access token that is fetched, and renewed, by the identifier and the secret of an OAuth client.
    Oauth2ClientCredentials,
}

/// An API that connections can call.
pub struct Provider(Arc<catalog::Provider>);

impl From<&Arc<catalog::Provider>> for Provider {
    fn from(provider: &Arc<catalog::Provider>) -> Self {
        Self(provider.clone())
    }
}

/// An API that connections can call.
#[Object]
impl Provider {
    /// The provider's key.
    async fn id(&self) -> ID {
        self.0.key.clone().into()
    }

    /// Whether `createConnection` can try the credentials before it stores them.
    async fn verifiable(&self) -> bool {
        self.0.verify.is_some()
    }

    /// The value for `provider` in inputs, such as `github`.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The name for people.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The URL that the paths of calls are below. {instanceUrl} and {subdomain} are filled in from the credentials.
    async fn base_url(&self) -> &str {
        self.0.base_url.as_str()
    }

    /// The page of the provider's own documentation.
    async fn docs_url(&self) -> Option<&str> {
        self.0.docs_url.as_deref()
    }

    /// The ways to authenticate. The first is the default.
    async fn schemes(&self) -> Vec<ProviderScheme> {
        let scheme = |scheme: &catalog::Scheme| ProviderScheme::new(&self.0, scheme);
        self.0.schemes.iter().map(scheme).collect()
    }
}

/// One way to authenticate at a provider.
#[derive(SimpleObject)]
pub struct ProviderScheme {
    /// The provider's key and the scheme: `github:BEARER`.
    id: ID,
    /// The value for `scheme` in inputs.
    scheme: AuthScheme,
    /// The label for forms.
    label: String,
    /// Whether access tokens are renewed before they expire.
    refreshable: bool,
    /// The fields of the form.
    fields: Vec<ProviderField>,
}

impl ProviderScheme {
    fn new(provider: &catalog::Provider, scheme: &catalog::Scheme) -> Self {
        Self {
            id: format!("{}:{}", provider.key, scheme.kind.name()).into(),
            scheme: scheme.kind.into(),
            label: scheme.label.clone(),
            refreshable: provider.is_refreshable(scheme.kind),
            fields: scheme.fields.iter().map(ProviderField::from).collect(),
        }
    }
}

/// A field of a scheme's form, and of `credentials`.
#[derive(SimpleObject)]
pub struct ProviderField {
    /// The name in `credentials`, such as `accessToken`.
    name: &'static str,
    /// The label for forms.
    label: String,
    /// Whether credentials must have it.
    required: bool,
    /// Whether forms should hide the value.
    secret: bool,
    /// A regular expression that the whole value must match.
    pattern: Option<String>,
    /// An example, which is no real credential.
    example: Option<String>,
    /// Where to find the value.
    help: Option<String>,
}

impl From<&catalog::Field> for ProviderField {
    fn from(field: &catalog::Field) -> Self {
        Self {
            name: field.key.name(),
            label: field.label.clone(),
            required: field.is_required,
            secret: field.is_secret,
            pattern: field.pattern.as_ref().map(|pattern| pattern.as_str().to_owned()),
            example: field.example.clone(),
            help: field.help.clone(),
        }
    }
}

/// Reading providers.
#[derive(Default)]
pub struct ProviderQuery;

#[Object]
impl ProviderQuery {
    /// The APIs that connections can call, by key, each with the forms of its credentials. For everybody.
    async fn providers(&self, ctx: &Context<'_>) -> Option<Vec<Provider>> {
        Some(connections_state(ctx).catalog.iter().map(Provider::from).collect())
    }
}
