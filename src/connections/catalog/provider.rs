//! A provider: an API that connections call, as its entry describes it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;
use url::Url;

use super::field::{CredentialKey, Field};
use super::templates::{UrlTemplate, ValueTemplate};
use crate::config::connections::OAuthClient;
use crate::platform::json::UntrustedJson;
use crate::platform::outbound::{AllowedAddress, HostPattern};

/// An API that connections call.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The key in `provider` of inputs.
    pub key: String,
    /// The name for people.
    pub name: String,
    /// Paths of calls are below it.
    pub base_url: UrlTemplate,
    /// The page of its documentation.
    pub docs_url: Option<String>,
    /// Which `instanceUrl` is accepted. `None` if there is no such placeholder.
    pub instance: Option<InstanceRule>,
    /// The endpoint for new access tokens.
    pub token: Option<TokenEndpoint>,
    /// The headers of every call.
    pub headers: HeaderMap,
    /// The path of a GET request that succeeds with good credentials only.
    pub verify: Option<String>,
    /// How a payload is sent when the caller names no content type.
    pub payload: BodyFormat,
    /// Whether it knows the header `Idempotency-Key`.
    pub knows_idempotency_key: bool,
    /// The values of `error` in JSON answers that mean the same as the status 401.
    pub unauthorized_errors: Vec<String>,
    /// Private addresses that this provider may have, besides those of OUTBOUND_ALLOW.
    pub allowed_addresses: Vec<AllowedAddress>,
    /// The ways to authenticate. The first is the default.
    pub schemes: Vec<Scheme>,
}

/// Which instances of a provider there are.
#[derive(Clone, Debug)]
pub struct InstanceRule {
    /// The hosts that belong to it.
    pub hosts: Vec<HostPattern>,
    /// The same, as the entry spells them.
    pub host_names: Vec<String>,
    /// The instance of credentials without `instanceUrl`.
    pub default: Option<Url>,
}

/// How credentials are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    /// A token that does not change.
    Bearer,
    /// A user name and a password.
    Basic,
    /// An API key.
    ApiKey,
    /// An access token that a refresh token renews.
    Oauth2,
    /// An access token that the client itself gets by its identifier and secret.
    Oauth2ClientCredentials,
}

impl AuthScheme {
    /// All schemes.
    pub const ALL: [Self; 5] =
        [Self::Bearer, Self::Basic, Self::ApiKey, Self::Oauth2, Self::Oauth2ClientCredentials];

    /// The name in the schema and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "BEARER",
            Self::Basic => "BASIC",
            Self::ApiKey => "API_KEY",
            Self::Oauth2 => "OAUTH2",
            Self::Oauth2ClientCredentials => "OAUTH2_CLIENT_CREDENTIALS",
        }
    }

    /// The scheme of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name)
    }

    /// The label in forms, unless the entry has another.
    pub fn default_label(self) -> &'static str {
        match self {
            Self::Bearer => "Token",
            Self::Basic => "User name and password",
            Self::ApiKey => "API key",
            Self::Oauth2 => "OAuth 2.0",
            Self::Oauth2ClientCredentials => "OAuth 2.0 client credentials",
        }
    }

    /// Whether its access tokens can be renewed.
    pub fn is_oauth(self) -> bool {
        matches!(self, Self::Oauth2 | Self::Oauth2ClientCredentials)
    }
}

/// One way to authenticate at a provider.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// Which one. A provider has each once at most.
    pub kind: AuthScheme,
    /// The label in forms.
    pub label: String,
    /// The fields of its form.
    pub fields: Vec<Field>,
    /// Where the credentials stand in a request.
    pub placement: Placement,
}

impl Scheme {
    /// The field of this name.
    pub fn field(&self, key: CredentialKey) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// Where credentials stand in a request.
#[derive(Clone, Debug)]
pub enum Placement {
    /// In a header.
    Header {
        /// The name of the header.
        name: HeaderName,
        /// Its value.
        value: ValueTemplate,
    },
    /// In `Authorization`, by the Basic scheme (RFC 7617).
    Basic {
        /// What stands before the colon.
        username: ValueTemplate,
        /// What stands after it.
        password: ValueTemplate,
    },
}

impl Placement {
    /// The credentials that a request needs.
    pub fn credentials(&self) -> Vec<CredentialKey> {
        match self {
            Self::Header { value, .. } => value.credentials().collect(),
            Self::Basic { username, password } => {
                username.credentials().chain(password.credentials()).collect()
            }
        }
    }
}

/// The endpoint at which access tokens are renewed.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    /// Its URL.
    pub url: UrlTemplate,
    /// Where the OAuth client stands in the request.
    pub client_auth: ClientAuth,
    /// The format of the request.
    pub body: BodyFormat,
    /// More parameters of the request.
    pub params: Vec<(String, String)>,
    /// An object of the answer that has the tokens if the answer itself has none.
    pub nested_in: Option<String>,
    /// The member of the answer with the instance's URL.
    pub instance_member: Option<String>,
    /// Error codes that mean `invalid_grant`.
    pub revoked_errors: Vec<String>,
    /// The lifetime of tokens of unknown expiry.
    pub assume_lifetime: Option<Duration>,
    /// The operator's own client.
    pub operator_client: Option<OAuthClient>,
}

/// Where the OAuth client stands in a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Body,
    /// Both in `Authorization`, by the Basic scheme.
    Basic,
    /// The secret alone in `Authorization`, as the user name of the Basic scheme.
    BasicSecret,
}

/// The format of a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    #[default]
    Json,
}

impl Provider {
    /// The scheme of this kind, or the default one.
    pub fn scheme(&self, kind: Option<AuthScheme>) -> Option<&Scheme> {
        match kind {
            None => self.schemes.first(),
            Some(kind) => self.schemes.iter().find(|scheme| scheme.kind == kind),
        }
    }

    /// Its part in the names of its settings: `PROVIDER_<KEY>_CLIENT_ID`.
    pub fn setting_part(&self) -> String {
        self.key.to_uppercase().replace('-', "_")
    }

    /// Whether access tokens of this scheme can be renewed.
    pub fn is_refreshable(&self, kind: AuthScheme) -> bool {
        kind.is_oauth() && self.token.is_some()
    }

    /// Whether an answer says that the access token is not, or no longer, valid: 401, or one of the entry's error codes
    /// in a JSON answer of another status below 500.
    pub fn is_unauthorized(&self, status: StatusCode, body: &[u8]) -> bool {
        if status == StatusCode::UNAUTHORIZED {
            return true;
        }
        if self.unauthorized_errors.is_empty() || status.is_server_error() {
            return false;
        }
        let answer: Option<ErrorMember> = serde_json::from_slice(body).ok();
        let error = answer.as_ref().and_then(|answer| answer.error.as_ref()?.0.as_str());
        error.is_some_and(|error| self.unauthorized_errors.iter().any(|known| known == error))
    }
}

/// The one member of an answer that tells of an error. The others are skipped.
#[derive(Deserialize)]
struct ErrorMember {
    error: Option<UntrustedJson>,
}
