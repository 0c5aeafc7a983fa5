//! Reads the schemes of an entry: where credentials stand in a request, and the fields of the form.

use reqwest::header::{AUTHORIZATION, HeaderName};
use toml::Spanned;

use super::entry::{Entry, FieldEntry, SchemeEntry};
use super::field::{CredentialKey, Field, Pattern};
use super::problems::{Problems, parse_text};
use super::provider::{AuthScheme, Placement, Scheme};
use super::templates::ValueTemplate;

use CredentialKey::{
    AccessToken, ApiKey, ClientId, ClientSecret, ExpiresAt, Password, RefreshToken, Username,
};

/// Reads all schemes. `placeholders` are the fields that the URLs need, and whether they are required.
pub fn parse_schemes(
    provider: &Spanned<String>,
    entry: &Entry,
    placeholders: &[(CredentialKey, bool)],
    problems: &mut Problems<'_>,
) -> Vec<Scheme> {
    if entry.schemes.is_empty() {
        problems.at(provider.get_ref(), provider, "has no [[schemes]]");
    }
    let mut schemes: Vec<Scheme> = Vec::new();
    for scheme in &entry.schemes {
        let kind = &scheme.get_ref().scheme;
        if schemes.iter().any(|other| other.kind == *kind.get_ref()) {
            problems.at("scheme", kind, "is there already");
        }
        if kind.get_ref().is_oauth() && entry.token_url.is_none() {
            problems.at("scheme", kind, "needs token_url");
        }
        schemes.extend(parse_scheme(scheme.get_ref(), placeholders, problems));
    }
    schemes
}

/// The usual fields of a scheme, and whether they are required.
fn default_fields(kind: AuthScheme) -> &'static [(CredentialKey, bool)] {
    match kind {
        AuthScheme::Bearer => &[(AccessToken, true)],
        AuthScheme::Basic => &[(Username, true), (Password, true)],
        AuthScheme::ApiKey => &[(ApiKey, true)],
        AuthScheme::Oauth2 => &[
            (AccessToken, true),
            (RefreshToken, false),
            (ExpiresAt, false),
            (ClientId, false),
            (ClientSecret, false),
        ],
        AuthScheme::Oauth2ClientCredentials => &[(ClientId, true), (ClientSecret, true)],
    }
}

fn parse_scheme(
    entry: &SchemeEntry,
    placeholders: &[(CredentialKey, bool)],
    problems: &mut Problems<'_>,
) -> Option<Scheme> {
    let kind = *entry.scheme.get_ref();
    let label = problems.parse_optional("label", entry.label.as_ref(), |text| parse_text(text));
    let placement = parse_placement(entry, problems)?;
    let in_request = placement.credentials();
    // A password that is no part of the request is not asked for.
    let is_used = |key: &CredentialKey| match key {
        Username | Password => in_request.contains(key),
        _ => true,
    };
    let usual = placeholders.iter().chain(default_fields(kind)).filter(|(key, _)| is_used(key));
    let mut fields: Vec<Field> =
        usual.map(|(key, is_required)| Field::default_for(*key, *is_required)).collect();
    for field in &entry.fields {
        change_field(&mut fields, field, problems);
    }
    fields.sort_by_key(|field| field.key);
    for key in in_request {
        let is_given = fields.iter().any(|field| field.key == key && field.is_required);
        let is_fetched = kind == AuthScheme::Oauth2ClientCredentials && key == AccessToken;
        if !is_given && !is_fetched {
            let problem = format!("a request needs {}, which is no required field", key.name());
            problems.at("scheme", &entry.scheme, problem);
        }
    }
    let label = label.unwrap_or_else(|| kind.default_label().to_owned());
    Some(Scheme { kind, label, fields, placement })
}

/// Adds what an entry says about a field.
fn change_field(fields: &mut Vec<Field>, entry: &Spanned<FieldEntry>, problems: &mut Problems<'_>) {
    let entry = entry.get_ref();
    let key = problems.parse("name", &entry.name, |name| {
        let names = || CredentialKey::ALL.map(CredentialKey::name).join(", ");
        CredentialKey::from_name(name).ok_or_else(|| format!("must be one of {}", names()))
    });
    let label = problems.parse_optional("label", entry.label.as_ref(), |text| parse_text(text));
    let pattern =
        problems.parse_optional("pattern", entry.pattern.as_ref(), |text| Pattern::parse(text));
    let example =
        problems.parse_optional("example", entry.example.as_ref(), |text| parse_text(text));
    let help = problems.parse_optional("help", entry.help.as_ref(), |text| parse_text(text));
    if let (Some(pattern), Some(text), Some(place)) = (&pattern, &example, &entry.example)
        && !pattern.matches(text)
    {
        problems.at("example", place, "does not match the pattern");
    }
    let Some(key) = key else { return };
    let index = fields.iter().position(|field| field.key == key).unwrap_or_else(|| {
        fields.push(Field::default_for(key, false));
        fields.len() - 1
    });
    let field = &mut fields[index];
    field.label = label.unwrap_or_else(|| field.label.clone());
    field.is_required = entry.required.unwrap_or(field.is_required);
    field.is_secret = entry.secret.unwrap_or(field.is_secret);
    field.pattern = pattern;
    field.example = example;
    field.help = help;
}

fn parse_placement(entry: &SchemeEntry, problems: &mut Problems<'_>) -> Option<Placement> {
    let kind = *entry.scheme.get_ref();
    let mut parse = |key: &str, value: &Option<Spanned<String>>| {
        problems.parse_optional(key, value.as_ref(), |text| ValueTemplate::parse(text))
    };
    let (value, username, password) = (
        parse("value", &entry.value),
        parse("username", &entry.username),
        parse("password", &entry.password),
    );
    if kind == AuthScheme::Basic {
        for (key, unused) in [("header", &entry.header), ("value", &entry.value)] {
            if let Some(unused) = unused {
                problems.at(key, unused, "basic has username and password instead");
            }
        }
        return Some(Placement::Basic {
            username: username.unwrap_or_else(|| ValueTemplate::credential(Username)),
            password: password.unwrap_or_else(|| ValueTemplate::credential(Password)),
        });
    }
    for (key, unused) in [("username", &entry.username), ("password", &entry.password)] {
        if let Some(unused) = unused {
            problems.at(key, unused, "only basic has this");
        }
    }
    let name = problems.parse_optional("header", entry.header.as_ref(), |text| {
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| "is not the name of a header".into())
    });
    let token = if kind == AuthScheme::ApiKey { ApiKey } else { AccessToken };
    let is_bearer = name.as_ref().is_none_or(|name| *name == AUTHORIZATION);
    if kind == AuthScheme::ApiKey && is_bearer && entry.value.is_none() {
        let problem = "api_key needs a header, or the value of Authorization";
        problems.at("scheme", &entry.scheme, problem);
        return None;
    }
    let value = value.unwrap_or_else(|| match is_bearer {
        true => ValueTemplate::prefixed("Bearer ", token),
        false => ValueTemplate::credential(token),
    });
    Some(Placement::Header { name: name.unwrap_or(AUTHORIZATION), value })
}
