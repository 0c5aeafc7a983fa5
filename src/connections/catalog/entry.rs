//! The TOML of a provider's entry. `docs/src/adding_a_provider.md` explains each key.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::provider::{AuthScheme, BodyFormat, ClientAuth};

/// An entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name for people.
    pub name: Spanned<String>,
    /// Paths of calls are below it.
    pub base_url: Spanned<String>,
    /// The page of its documentation.
    pub docs_url: Option<Spanned<String>>,
    /// The instance of credentials without `instanceUrl`.
    pub instance_url: Option<Spanned<String>>,
    /// The hosts of its instances: `host`, `*.host`, or `*` for all.
    #[serde(default)]
    pub instance_hosts: Vec<Spanned<String>>,
    /// The endpoint for new access tokens.
    pub token_url: Option<Spanned<String>>,
    /// Where the OAuth client stands in a token request.
    pub token_auth: Option<Spanned<ClientAuth>>,
    /// The format of a token request.
    pub token_body: Option<Spanned<BodyFormat>>,
    /// More parameters of a token request.
    #[serde(default)]
    pub token_params: BTreeMap<String, String>,
    /// An object of the answer that has the tokens if the answer itself has none.
    pub token_nested_in: Option<Spanned<String>>,
    /// The member of the answer with the instance's URL.
    pub token_instance: Option<Spanned<String>>,
    /// Error codes of the token endpoint that mean `invalid_grant`.
    #[serde(default)]
    pub revoked_errors: Vec<String>,
    /// The lifetime of tokens of unknown expiry, in seconds.
    pub assume_lifetime: Option<Spanned<i64>>,
    /// The headers of every call.
    #[serde(default)]
    pub headers: BTreeMap<Spanned<String>, Spanned<String>>,
    /// The path of a GET request that succeeds with good credentials only.
    pub verify: Option<Spanned<String>>,
    /// How a payload is sent when the caller names no content type.
    #[serde(default)]
    pub payload: BodyFormat,
    /// Whether it knows the header `Idempotency-Key`.
    #[serde(default)]
    pub idempotency_key: bool,
    /// The values of `error` in JSON answers that mean the same as the status 401.
    #[serde(default)]
    pub unauthorized_errors: Vec<String>,
    /// Whether it exists in development only. Its URLs may then begin with {publicUrl}.
    #[serde(default)]
    pub development_only: bool,
    /// The ways to authenticate.
    #[serde(default)]
    pub schemes: Vec<Spanned<SchemeEntry>>,
}

/// One way to authenticate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeEntry {
    /// Which one.
    pub scheme: Spanned<AuthScheme>,
    /// The label in forms.
    pub label: Option<Spanned<String>>,
    /// The header with the credentials.
    pub header: Option<Spanned<String>>,
    /// The value of that header.
    pub value: Option<Spanned<String>>,
    /// The user name of Basic.
    pub username: Option<Spanned<String>>,
    /// The password of Basic.
    pub password: Option<Spanned<String>>,
    /// What differs from the usual fields of the scheme.
    #[serde(default)]
    pub fields: Vec<Spanned<FieldEntry>>,
}

/// A field of a scheme's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldEntry {
    /// The name.
    pub name: Spanned<String>,
    /// The label in forms.
    pub label: Option<Spanned<String>>,
    /// Whether a credential set must have it.
    pub required: Option<bool>,
    /// Whether forms hide the value.
    pub secret: Option<bool>,
    /// What the whole value must match.
    pub pattern: Option<Spanned<String>>,
    /// An example.
    pub example: Option<Spanned<String>>,
    /// Where to find the value.
    pub help: Option<Spanned<String>>,
}
