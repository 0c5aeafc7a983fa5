//! How credentials go into a request: the provider's own headers, and the one with the credentials.

use data_encoding::BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::catalog::{CredentialKey, CredentialSet, Placement, Provider, Scheme, invalid};
use crate::error::UserError;

/// The headers of every request of a connection. The one with credentials is marked as sensitive, so that it is not
/// shown in logs.
///
/// # Errors
/// INVALID_CREDENTIAL_SET at the credential that is missing.
pub fn authorization_headers(
    provider: &Provider,
    scheme: &Scheme,
    credentials: &CredentialSet,
) -> Result<HeaderMap, UserError> {
    let mut headers = provider.headers.clone();
    let value = |key| credentials.expose(key);
    let (name, text) = match &scheme.placement {
        Placement::Header { name, value: template } => {
            (name.clone(), template.fill(value).map_err(missing)?)
        }
        Placement::Basic { username, password } => {
            let username = username.fill(value).map_err(missing)?;
            let password = password.fill(value).map_err(missing)?;
            (AUTHORIZATION, basic(username.expose_secret(), &password))
        }
    };
    // Credentials have characters of ASCII only, except those of Basic, which are encoded.
    let mut value = HeaderValue::from_str(text.expose_secret())
        .map_err(|_| invalid("credentials", "The credentials cannot stand in a header."))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// The value of `Authorization` by the Basic scheme (RFC 7617), in UTF-8.
pub fn basic(username: &str, password: &SecretString) -> SecretString {
    let pair = SecretString::from(format!("{username}:{}", password.expose_secret()));
    format!("Basic {}", BASE64.encode(pair.expose_secret().as_bytes())).into()
}

fn missing(key: CredentialKey) -> UserError {
    invalid(key.input_path(), "The request needs this credential.")
}
