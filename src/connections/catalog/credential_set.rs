//! `CredentialSet`: the credentials of one connection, checked against the form of their scheme.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::field::{CredentialKey, Field};
use super::nearest::nearest;
use super::provider::{Provider, Scheme};
use super::templates::has_user;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::platform::clock::Timestamp;

/// Tokens of some providers have a few thousand characters.
const MAX_TOKEN_LEN: usize = 8192;
const MAX_TEXT_LEN: usize = 1024;
const MAX_URL_LEN: usize = 255;
/// Of one label of a host name.
const MAX_LABEL_LEN: usize = 63;
/// No form has more fields. More unknown ones are not reported one by one.
const MAX_FIELDS: usize = 20;
/// What an error repeats of an unknown name.
const MAX_NAME_LEN: usize = 40;

/// The credentials of one connection.
#[derive(Clone, Default)]
pub struct CredentialSet(BTreeMap<CredentialKey, SecretString>);

impl fmt::Debug for CredentialSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CredentialSet")
    }
}

impl CredentialSet {
    /// Reads the credentials that a caller sends for a scheme.
    ///
    /// # Errors
    /// INVALID_CREDENTIAL_SET for every field that is missing, unknown or malformed, at `credentials.<name>`.
    pub fn parse(provider: &Provider, scheme: &Scheme, credentials: &Value) -> Result<Self> {
        let Value::Object(members) = credentials else {
            let message = "Credentials are an object, such as {\"accessToken\": \"…\"}.";
            return Err(invalid("credentials", message).into());
        };
        if members.len() > MAX_FIELDS {
            let message = format!("Credentials have at most {MAX_FIELDS} fields.");
            return Err(invalid("credentials", message).into());
        }
        let (mut values, mut problems) = (BTreeMap::new(), Vec::new());
        for field in &scheme.fields {
            match read_field(field, members) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    values.insert(field.key, value);
                }
                Err(message) => problems.push(invalid(field.key.input_path(), message)),
            }
        }
        let is_known = |name: &str| {
            CredentialKey::from_name(name).is_some_and(|key| scheme.field(key).is_some())
        };
        let unknown = members.keys().filter(|name| !is_known(name));
        problems.extend(unknown.map(|name| unknown_field(provider, scheme, name)));
        let set = Self(values);
        let has = |key| set.get(key).is_some();
        if has(CredentialKey::ClientSecret) && !has(CredentialKey::ClientId) {
            let message = "A client secret needs the client ID that it belongs to.";
            problems.push(invalid(CredentialKey::ClientId.input_path(), message));
        }
        Error::ensure_none(problems)?;
        Ok(set)
    }

    /// A credential, if there is one.
    pub fn get(&self, key: CredentialKey) -> Option<&SecretString> {
        self.0.get(&key)
    }

    /// The text of a credential, if there is one.
    pub fn expose(&self, key: CredentialKey) -> Option<&str> {
        self.get(key).map(ExposeSecret::expose_secret)
    }

    /// When the access token expires, if that is known.
    pub fn expires_at(&self) -> Option<Timestamp> {
        parse_time(self.expose(CredentialKey::ExpiresAt)?)
    }

    /// Replaces a credential.
    pub fn set(&mut self, key: CredentialKey, value: SecretString) {
        self.0.insert(key, value);
    }

    /// Replaces the expiry of the access token.
    pub fn set_expires_at(&mut self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.set(CredentialKey::ExpiresAt, format_time(at).into()),
            None => drop(self.0.remove(&CredentialKey::ExpiresAt)),
        }
    }

    /// The JSON to be sealed.
    pub fn to_json(&self) -> SecretSlice<u8> {
        let members: BTreeMap<&str, &str> =
            self.0.iter().map(|(key, value)| (key.name(), value.expose_secret())).collect();
        serde_json::to_vec(&members).unwrap_or_default().into()
    }

    /// Reads what [`Self::to_json`] has written.
    ///
    /// # Errors
    /// INTERNAL_SERVER_ERROR for anything else.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        // The cause must not quote the JSON.
        let unreadable = || Error::internal("stored credentials cannot be read");
        let members: BTreeMap<String, SecretString> =
            serde_json::from_slice::<BTreeMap<String, String>>(json)
                .map_err(|_| unreadable())?
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect();
        let values = members.into_iter().map(|(name, value)| {
            Ok((CredentialKey::from_name(&name).ok_or_else(unreadable)?, value))
        });
        values.collect::<Result<_>>().map(Self)
    }
}

/// The error of a credential set.
pub fn invalid(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> UserError {
    UserError::new(ErrorCode::InvalidCredentialSet, message).for_field(field)
}

fn read_field(field: &Field, members: &Map<String, Value>) -> Result<Option<SecretString>, String> {
    let value = match members.get(field.key.name()) {
        None | Some(Value::Null) if field.is_required => {
            return Err(format!("{} is missing.", field.label));
        }
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(seconds)) if field.key == CredentialKey::ExpiresAt => {
            let at = seconds.as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            // RFC 3339 has years of four digits. Beyond them are milliseconds that were taken for seconds.
            let at = at.filter(|at| (1970..10_000).contains(&at.year()));
            return at.map(|at| Some(format_time(at).into())).ok_or_else(|| time_rule(field));
        }
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("{} must be a string.", field.label)),
    };
    let value = parse_value(field, value)?;
    match &field.pattern {
        Some(pattern) if !pattern.matches(&value) => {
            let example = field.example.as_ref();
            let hint = example.map(|example| format!(", such as {example}")).unwrap_or_default();
            Err(format!("{} does not have the form that is asked for{hint}.", field.label))
        }
        _ => Ok(Some(value.into())),
    }
}

fn time_rule(field: &Field) -> String {
    format!("{} must be a time such as 2026-11-21T08:30:00Z, or seconds since 1970.", field.label)
}

/// Checks what every provider's credential of this name has in common. Spaces around a value come from copying it.
fn parse_value(field: &Field, text: &str) -> Result<String, String> {
    let label = &field.label;
    let value = match field.key {
        CredentialKey::Password => text,
        _ => text.trim(),
    };
    let max_len = match field.key {
        CredentialKey::InstanceUrl => MAX_URL_LEN,
        CredentialKey::Subdomain => MAX_LABEL_LEN,
        CredentialKey::Username | CredentialKey::Password => MAX_TEXT_LEN,
        _ => MAX_TOKEN_LEN,
    };
    if value.is_empty() {
        return Err(format!("{label} must not be empty."));
    }
    if value.len() > max_len {
        return Err(format!("{label} must have at most {max_len} characters."));
    }
    match field.key {
        CredentialKey::InstanceUrl => parse_origin(value).ok_or_else(|| {
            format!("{label} must be an address with https://, a host and nothing after it.")
        }),
        CredentialKey::Subdomain if is_host_label(value) => Ok(value.to_ascii_lowercase()),
        CredentialKey::Subdomain => Err(format!(
            "{label} must be the first part of the host alone: letters, digits and hyphens."
        )),
        CredentialKey::ExpiresAt => {
            parse_time(value).map(format_time).ok_or_else(|| time_rule(field))
        }
        CredentialKey::Username if value.contains(':') => {
            Err(format!("{label} must not have a colon."))
        }
        CredentialKey::Username | CredentialKey::Password if !value.contains(char::is_control) => {
            Ok(value.to_owned())
        }
        CredentialKey::Username | CredentialKey::Password => {
            Err(format!("{label} must not have control characters."))
        }
        // Anything else could not stand in a header.
        _ if value.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(value.to_owned()),
        _ => Err(format!("{label} must have no spaces, and only characters of ASCII.")),
    }
}

/// The origin of an address. Accepts only characters that the URL parser leaves as they are.
pub fn parse_origin(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:/[]".contains(&byte);
    if !text.bytes().all(is_plain) {
        return None;
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let written = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let origin = url.origin().ascii_serialization();
    // Anything but a default port that is written out is another notation of an address, or more slashes.
    let is_same = written == origin
        || url.port_or_known_default().is_some_and(|port| written == format!("{origin}:{port}"));
    (is_origin && !has_user(&url) && is_same).then_some(origin)
}

/// Whether a text can be one label of a host name.
fn is_host_label(text: &str) -> bool {
    let is_label_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty()
        && text.len() <= MAX_LABEL_LEN
        && text.bytes().all(is_label_byte)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn parse_time(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

fn format_time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn unknown_field(provider: &Provider, scheme: &Scheme, name: &str) -> UserError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME_LEN).collect();
    let path = format!("credentials.{name}");
    let key = CredentialKey::from_name(&name);
    let other_scheme =
        key.and_then(|key| provider.schemes.iter().find(|scheme| scheme.field(key).is_some()));
    if let Some(other) = other_scheme {
        let (kind, other) = (scheme.kind.name(), other.kind.name());
        let message = format!("{name} is no field of {kind}. It is one of the scheme {other}.");
        return invalid(path, message);
    }
    let names: Vec<&str> = scheme.fields.iter().map(|field| field.key.name()).collect();
    let message = match nearest(&name, names.iter().copied()).first() {
        Some(meant) => format!("There is no field {name}. Is {meant} meant?"),
        None => format!("There is no field {name}. There are {}.", names.join(", ")),
    };
    invalid(path, message)
}
