//! Token exchange: the request by which a provider renews an access token (RFC 6749, sections 4.4 and 6), and the
//! reading of its answer.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::authorization::basic;
use super::catalog::{
    AuthScheme, BodyFormat, ClientAuth, CredentialKey, CredentialSet, Provider, Target,
    TokenEndpoint,
};
use crate::config::connections::OAuthClient;
use crate::error::Error;
use crate::platform::clock::Timestamp;
use crate::platform::json::UntrustedJson;
use crate::platform::outbound::{AllowedAddress, Request};

/// A longer lifetime is a mistake of the provider, or means that the token never expires.
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 3650);
const MAX_TOKEN_LEN: usize = 8192;
/// What is kept of an error code.
const MAX_REASON_LEN: usize = 64;

/// A token request, with what it may reach.
#[derive(Debug)]
pub struct TokenRequest {
    /// The request.
    pub request: Request,
    /// The token endpoint.
    pub target: Target,
    /// The secrets in it, which an error code must not repeat.
    pub secrets: Vec<SecretString>,
}

/// Why an access token cannot be renewed without its owner.
#[derive(Debug, thiserror::Error)]
pub enum CannotRefresh {
    /// The scheme's tokens are not renewed.
    #[error(
        "The credentials do not expire by themselves, and the provider no longer accepts them."
    )]
    NotRefreshable,
    /// There is no refresh token.
    #[error("There is no refresh token. Give one, or a new access token.")]
    NoRefreshToken,
    /// There is no OAuth client.
    #[error(
        "There is no OAuth client to renew the token with. Give clientId and clientSecret; the operator can set \
         PROVIDER_{0}_CLIENT_ID and PROVIDER_{0}_CLIENT_SECRET."
    )]
    NoClient(String),
    /// The token endpoint's host is not allowed.
    #[error("The token endpoint cannot be used.")]
    NotAllowed(Error),
}

/// New tokens.
#[derive(Clone, Debug)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: SecretString,
    /// The refresh token, if there is a new one. Otherwise the old one stays valid.
    pub refresh_token: Option<SecretString>,
    /// When the access token expires, if the provider says so.
    pub expires_at: Option<Timestamp>,
    /// The instance that the tokens are for, if it is told and belongs to the provider.
    pub instance_url: Option<SecretString>,
}

/// What a token endpoint answered.
#[derive(Clone, Debug)]
pub enum TokenOutcome {
    /// New tokens.
    Renewed(TokenResponse),
    /// The refresh token is revoked, expired or used: only its owner can help. Has the provider's error code.
    Revoked(String),
    /// The endpoint refused the request for another reason, such as an unknown client. Has the provider's error code, or
    /// the status.
    Refused(String),
    /// The endpoint is out of order or busy, or its answer cannot be read. Has the provider's error code, or the status.
    Failed(String),
}

impl CredentialSet {
    /// Takes over new tokens. Those that the provider did not answer stay.
    pub fn renew(&mut self, tokens: &TokenResponse) {
        self.set(CredentialKey::AccessToken, tokens.access_token.clone());
        self.set_expires_at(tokens.expires_at);
        let others = [
            (CredentialKey::RefreshToken, &tokens.refresh_token),
            (CredentialKey::InstanceUrl, &tokens.instance_url),
        ];
        for (key, value) in others {
            if let Some(value) = value {
                self.set(key, value.clone());
            }
        }
    }
}

/// The request for a new access token.
///
/// The OAuth client is that of the credentials, else the operator's. The operator's is used for refresh tokens only,
/// and only at hosts of the provider: it must neither give strangers the operator's own access nor leave the provider.
///
/// # Errors
/// Why only the owner of the credentials can help.
pub fn token_request(
    provider: &Provider,
    scheme: AuthScheme,
    credentials: &CredentialSet,
    outbound_allow: &[AllowedAddress],
) -> Result<TokenRequest, CannotRefresh> {
    let token = provider.token.as_ref().filter(|_| scheme.is_oauth());
    let token = token.ok_or(CannotRefresh::NotRefreshable)?;
    let grant = match scheme {
        AuthScheme::Oauth2ClientCredentials => {
            vec![("grant_type".to_owned(), "client_credentials".to_owned())]
        }
        _ => {
            let refresh_token = credentials.expose(CredentialKey::RefreshToken);
            let refresh_token = refresh_token.ok_or(CannotRefresh::NoRefreshToken)?;
            vec![
                ("grant_type".to_owned(), "refresh_token".to_owned()),
                ("refresh_token".to_owned(), refresh_token.to_owned()),
            ]
        }
    };
    let client = find_client(provider, token, scheme, credentials)
        .ok_or_else(|| CannotRefresh::NoClient(provider.setting_part()))?;
    let target = provider.token_target(credentials, outbound_allow);
    let target = target.map_err(CannotRefresh::NotAllowed)?;
    let target = target.ok_or(CannotRefresh::NotRefreshable)?;
    let mut params = grant;
    params.extend(token.params.iter().cloned());
    let request = Request::new(Method::POST, target.url.clone())
        .header(ACCEPT, HeaderValue::from_static("application/json"));
    let request = add_client(request, token.client_auth, &client, &mut params);
    let request = add_body(request, token.body, &params);
    let refresh_token = credentials.get(CredentialKey::RefreshToken).cloned();
    let secrets = refresh_token.into_iter().chain(client.secret).collect();
    Ok(TokenRequest { request, target, secrets })
}

fn find_client(
    provider: &Provider,
    token: &TokenEndpoint,
    scheme: AuthScheme,
    credentials: &CredentialSet,
) -> Option<OAuthClient> {
    if let Some(id) = credentials.expose(CredentialKey::ClientId) {
        let secret = credentials.get(CredentialKey::ClientSecret).cloned();
        return Some(OAuthClient { id: id.to_owned(), secret });
    }
    let may_use_operators = scheme == AuthScheme::Oauth2;
    let operator = token.operator_client.clone().filter(|_| may_use_operators)?;
    provider.trusts_with_operator_client(credentials).then_some(operator)
}

fn add_client(
    request: Request,
    auth: ClientAuth,
    client: &OAuthClient,
    params: &mut Vec<(String, String)>,
) -> Request {
    let header = match (auth, &client.secret) {
        (ClientAuth::Basic, Some(secret)) => {
            // Both are form-encoded first (RFC 6749, section 2.3.1).
            let secret = SecretString::from(encode(secret.expose_secret()));
            basic(&encode(&client.id), &secret)
        }
        (ClientAuth::BasicSecret, Some(secret)) => {
            basic(secret.expose_secret(), &SecretString::default())
        }
        // A public client has an identifier only.
        (_, secret) => {
            params.push(("client_id".into(), client.id.clone()));
            if let Some(secret) = secret {
                params.push(("client_secret".into(), secret.expose_secret().to_owned()));
            }
            return request;
        }
    };
    match HeaderValue::from_str(header.expose_secret()) {
        Ok(value) => request.secret_header(AUTHORIZATION, value),
        Err(_) => request,
    }
}

fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn add_body(request: Request, format: BodyFormat, params: &[(String, String)]) -> Request {
    let (content_type, body) = match format {
        BodyFormat::Form => (
            "application/x-www-form-urlencoded",
            form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish(),
        ),
        BodyFormat::Json => {
            let members = params.iter().cloned().map(|(name, value)| (name, value.into()));
            ("application/json", Value::Object(members.collect::<Map<_, _>>()).to_string())
        }
    };
    request.header(CONTENT_TYPE, HeaderValue::from_static(content_type)).body(body)
}

/// Reads the answer of a token endpoint to a request with these secrets. Some tell of an error with the status 200.
pub fn read_token_response(
    provider: &Provider,
    now: Timestamp,
    (status, body): (StatusCode, &[u8]),
    secrets: &[SecretString],
) -> TokenOutcome {
    let Ok(UntrustedJson(Value::Object(answer))) = serde_json::from_slice(body) else {
        return TokenOutcome::Failed(status_reason(status));
    };
    let token = provider.token.as_ref();
    if status.is_success()
        && let Some(tokens) = read_tokens(provider, token, now, &answer)
    {
        return TokenOutcome::Renewed(tokens);
    }
    let codes = error_codes(&answer);
    let revoked_errors = token.map(|token| token.revoked_errors.as_slice()).unwrap_or_default();
    let is_revoked =
        |code: &&str| *code == "invalid_grant" || revoked_errors.iter().any(|known| known == code);
    let is_final = !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS;
    if let Some(code) = codes.iter().find(|code| is_revoked(code) && is_final) {
        return TokenOutcome::Revoked((*code).to_owned());
    }
    let repeats_secret =
        |code: &str| secrets.iter().any(|secret| secret.expose_secret().contains(code));
    let code = codes.into_iter().find(|code| is_code(code) && !repeats_secret(code));
    let is_refusal = is_final && (status.is_client_error() || code.is_some());
    let reason = code.map_or_else(|| status_reason(status), str::to_owned);
    if is_refusal { TokenOutcome::Refused(reason) } else { TokenOutcome::Failed(reason) }
}

fn read_tokens(
    provider: &Provider,
    token: Option<&TokenEndpoint>,
    now: Timestamp,
    answer: &Map<String, Value>,
) -> Option<TokenResponse> {
    let nested = token.and_then(|token| answer.get(token.nested_in.as_ref()?)?.as_object());
    let source = match answer.contains_key("access_token") {
        true => answer,
        false => nested?,
    };
    let instance = token.and_then(|token| answer.get(token.instance_member.as_ref()?)?.as_str());
    Some(TokenResponse {
        access_token: read_token(source, "access_token")?,
        refresh_token: read_token(source, "refresh_token"),
        expires_at: read_expiry(source, now),
        instance_url: instance.and_then(|instance| provider.accept_instance(instance)),
    })
}

/// A token that can be sent.
fn read_token(answer: &Map<String, Value>, name: &str) -> Option<SecretString> {
    let token = answer.get(name)?.as_str()?;
    let is_usable = !token.is_empty() && token.len() <= MAX_TOKEN_LEN;
    let is_usable = is_usable && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_usable.then(|| token.to_owned().into())
}

/// `expires_in` in seconds, as a number or a text; else `expires_at` as a time or in seconds since 1970.
fn read_expiry(answer: &Map<String, Value>, now: Timestamp) -> Option<Timestamp> {
    let seconds = |value: &Value| match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    if let Some(lifetime) = answer.get("expires_in").and_then(seconds) {
        let lifetime = Duration::from_secs(lifetime);
        return (!lifetime.is_zero() && lifetime <= MAX_LIFETIME).then(|| now + lifetime);
    }
    let at = answer.get("expires_at")?;
    let at = match at.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok()) {
        Some(at) => at.to_utc(),
        None => DateTime::from_timestamp(i64::try_from(seconds(at)?).ok()?, 0)?,
    };
    (at <= now + MAX_LIFETIME).then_some(at)
}

/// The members that hold an error code, by any provider's habit.
fn error_codes(answer: &Map<String, Value>) -> Vec<&str> {
    let error = answer.get("error");
    let nested = ["code", "type", "status"].map(|name| error.and_then(|error| error.get(name)));
    let own = [error, answer.get("status"), answer.get("code"), answer.get("errorCode")];
    own.into_iter().chain(nested).flatten().filter_map(Value::as_str).collect()
}

/// Whether a text is a code. Anything longer may quote a secret.
fn is_code(text: &str) -> bool {
    let is_code_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty() && text.len() <= MAX_REASON_LEN && text.bytes().all(is_code_byte)
}

fn status_reason(status: StatusCode) -> String {
    format!("status {}", status.as_u16())
}
