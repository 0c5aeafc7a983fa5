//! Reads a file of providers: from entries to checked providers, with the line of every problem.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, ValueDeserializer};
use url::Url;

use super::credential_set::parse_origin;
use super::entry::Entry;
use super::field::CredentialKey;
use super::parse_scheme::parse_schemes;
use super::problems::{Problems, parse_text};
use super::provider::{BodyFormat, InstanceRule, Provider, TokenEndpoint};
use super::templates::UrlTemplate;
use crate::platform::outbound::{AllowedAddress, Destinations, HostPattern};

const MAX_KEY_LEN: usize = 40;
/// In seconds.
const LIFETIMES: std::ops::RangeInclusive<i64> = 60..=31_536_000;
/// Headers that the request itself needs, or that credentials stand in.
const RESERVED_HEADERS: [&str; 11] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "idempotency-key",
    "proxy-authorization",
    "te",
    "transfer-encoding",
];
/// Parameters that the token exchange itself sets.
const RESERVED_PARAMS: [&str; 4] = ["client_id", "client_secret", "grant_type", "refresh_token"];

/// What entries are read for.
#[derive(Clone, Copy)]
pub struct ParseContext<'a> {
    /// The URL of this server, without a trailing slash.
    pub public_url: &'a str,
    /// Whether this is development.
    pub is_development: bool,
    /// Private addresses that calls may go to.
    pub outbound_allow: &'a [AllowedAddress],
}

impl ParseContext<'_> {
    /// Fills in what stands for this server.
    fn expand(&self, text: &str) -> String {
        text.replace("{publicUrl}", self.public_url).replace("{version}", env!("CARGO_PKG_VERSION"))
    }
}

/// Reads all entries of a text. `file` names it in problems.
///
/// # Errors
/// Every problem, with its line.
pub fn parse_providers(
    file: &str,
    text: &str,
    context: ParseContext<'_>,
) -> Result<Vec<Provider>, Vec<String>> {
    let mut problems = Problems::new(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        problems.add(error.span().unwrap_or_default(), one_line(error.message()));
    }
    let mut providers = Vec::new();
    for (key, value) in table.into_inner() {
        // After an error of syntax, what was recovered of an entry would only mislead.
        if errors.is_empty() {
            let key_span = key.span();
            match Entry::deserialize(ValueDeserializer::from(value)) {
                Ok(entry) => {
                    let key = Spanned::new(key_span, key.get_ref().to_string());
                    providers.extend(parse_provider(&key, &entry, context, &mut problems));
                }
                Err(error) => {
                    let span = error.span().unwrap_or(key_span);
                    problems.add(span, format!("{}: {}", key.get_ref(), one_line(error.message())));
                }
            }
        }
    }
    match problems.count() {
        0 => Ok(providers),
        _ => Err(problems.into_list()),
    }
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(", ")
}

/// `None` if the entry has problems or does not exist in this environment.
fn parse_provider(
    key: &Spanned<String>,
    entry: &Entry,
    context: ParseContext<'_>,
    problems: &mut Problems<'_>,
) -> Option<Provider> {
    if entry.development_only && !context.is_development {
        return None;
    }
    let known = problems.count();
    if !is_key(key.get_ref()) {
        let rule = format!("must be 1 to {MAX_KEY_LEN} of a to z, 0 to 9 and -, a letter first");
        problems.at(key.get_ref(), key, rule);
    }
    let name = problems.parse("name", &entry.name, |text| parse_text(text));
    let allowed_addresses = match entry.development_only {
        true => own_address(context.public_url).into_iter().collect(),
        false => Vec::new(),
    };
    let allowed = [context.outbound_allow, &allowed_addresses].concat();
    let parse_url = |text: &String| parse_url_template(&context.expand(text), &allowed);
    let base_url = problems.parse("base_url", &entry.base_url, parse_url);
    let token_url = problems.parse_optional("token_url", entry.token_url.as_ref(), parse_url);
    let docs_url =
        problems.parse_optional("docs_url", entry.docs_url.as_ref(), |text| parse_docs_url(text));
    let verify =
        problems.parse_optional("verify", entry.verify.as_ref(), |path| parse_verify(path));
    let headers = parse_headers(entry, context, problems);
    let templates: Vec<&UrlTemplate> = base_url.iter().chain(&token_url).collect();
    let needs = |key| templates.iter().any(|url| url.credentials().any(|needed| needed == key));
    let instance = parse_instance(entry, needs(CredentialKey::InstanceUrl), problems);
    let placeholders = [
        (CredentialKey::InstanceUrl, instance.as_ref().is_none_or(|rule| rule.default.is_none())),
        (CredentialKey::Subdomain, true),
    ];
    let placeholders = placeholders.into_iter().filter(|(key, _)| needs(*key));
    let schemes = parse_schemes(key, entry, &placeholders.collect::<Vec<_>>(), problems);
    let token = parse_token_endpoint(entry, token_url, problems);
    if problems.count() > known {
        return None;
    }
    Some(Provider {
        key: key.get_ref().clone(),
        name: name?,
        base_url: base_url?,
        docs_url,
        instance,
        token,
        headers,
        verify,
        payload: entry.payload,
        knows_idempotency_key: entry.idempotency_key,
        unauthorized_errors: entry.unauthorized_errors.clone(),
        allowed_addresses,
        schemes,
    })
}

fn is_key(text: &str) -> bool {
    let is_key_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= MAX_KEY_LEN
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(is_key_byte)
}

/// The host and port of this server.
fn own_address(public_url: &str) -> Option<AllowedAddress> {
    let url = Url::parse(public_url).ok()?;
    let pattern = HostPattern::exact(&url.host()?, url.port_or_known_default()?);
    Some(AllowedAddress::Host(pattern))
}

fn parse_url_template(text: &str, allowed: &[AllowedAddress]) -> Result<UrlTemplate, String> {
    let template = UrlTemplate::parse(text)?;
    let is_fixed = template.credentials().next().is_none();
    if let Some(url) = template.fill(|_| None).filter(|_| is_fixed) {
        Destinations::pinned_to(&url, allowed)
            .map_err(|rule| format!("{rule} (OUTBOUND_ALLOW can allow it)"))?;
    }
    Ok(template)
}

fn parse_docs_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    url.map(String::from).ok_or_else(|| "must be an address of the web".into())
}

/// A path without a query, in the form that the path of a call has.
fn parse_verify(path: &str) -> Result<String, String> {
    let is_path_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/".contains(&byte);
    let has_dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if path.starts_with('/') && path.bytes().all(is_path_byte) && !path.contains("//") && !has_dots
    {
        return Ok(path.to_owned());
    }
    Err("must be a path such as /user, of letters, digits and -._~%/".into())
}

fn parse_headers(
    entry: &Entry,
    context: ParseContext<'_>,
    problems: &mut Problems<'_>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &entry.headers {
        let name = problems.parse("headers", name, |name| parse_header_name(name));
        let value = problems.parse("headers", value, |value| {
            HeaderValue::from_str(&context.expand(value))
                .map_err(|_| "the value cannot stand in a header".into())
        });
        if let Some((name, value)) = name.zip(value) {
            headers.insert(name, value);
        }
    }
    headers
}

fn parse_header_name(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(text.as_bytes());
    let name = name.map_err(|_| "the name cannot stand in a header".to_owned())?;
    match RESERVED_HEADERS.contains(&name.as_str()) {
        true => Err(format!("{text} cannot be set here")),
        false => Ok(name),
    }
}

fn parse_instance(
    entry: &Entry,
    is_needed: bool,
    problems: &mut Problems<'_>,
) -> Option<InstanceRule> {
    let default = problems.parse_optional("instance_url", entry.instance_url.as_ref(), |text| {
        let is_https = |url: &Url| url.scheme() == "https";
        let url = parse_origin(text).and_then(|origin| Url::parse(&origin).ok()).filter(is_https);
        url.ok_or_else(|| "must be https://, a host and nothing after it".into())
    });
    let mut hosts = Vec::new();
    for host in &entry.instance_hosts {
        let pattern = |text: &String| text.parse::<HostPattern>().map_err(|rule| rule.to_string());
        hosts.extend(problems.parse("instance_hosts", host, pattern));
    }
    let host_names = entry.instance_hosts.iter().map(|host| host.get_ref().clone()).collect();
    match (is_needed, entry.instance_hosts.is_empty()) {
        (true, false) => return Some(InstanceRule { hosts, host_names, default }),
        (true, true) => {
            let rule = "{instanceUrl} needs instance_hosts, which says whose hosts they are";
            problems.at("base_url", &entry.base_url, rule);
        }
        (false, _) => {
            let unused = entry.instance_hosts.first().or(entry.instance_url.as_ref());
            if let Some(unused) = unused {
                problems.at("instance_hosts", unused, "no URL has {instanceUrl}");
            }
        }
    }
    None
}

fn parse_token_endpoint(
    entry: &Entry,
    url: Option<UrlTemplate>,
    problems: &mut Problems<'_>,
) -> Option<TokenEndpoint> {
    let lifetime = |seconds: &i64| {
        let seconds = Some(*seconds).filter(|seconds| LIFETIMES.contains(seconds));
        seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs)
            .ok_or_else(|| format!("must be {} to {} seconds", LIFETIMES.start(), LIFETIMES.end()))
    };
    let assume_lifetime =
        problems.parse_optional("assume_lifetime", entry.assume_lifetime.as_ref(), lifetime);
    if let Some(url) = &entry.token_url {
        for name in RESERVED_PARAMS {
            if entry.token_params.contains_key(name) {
                problems.at("token_params", url, format!("{name} cannot be set here"));
            }
        }
        if !entry.schemes.iter().any(|scheme| scheme.get_ref().scheme.get_ref().is_oauth()) {
            problems.at("token_url", url, "no scheme is oauth2 or oauth2_client_credentials");
        }
    } else {
        let spans = [
            ("token_auth", entry.token_auth.as_ref().map(Spanned::span)),
            ("token_body", entry.token_body.as_ref().map(Spanned::span)),
            ("token_nested_in", entry.token_nested_in.as_ref().map(Spanned::span)),
            ("token_instance", entry.token_instance.as_ref().map(Spanned::span)),
            ("assume_lifetime", entry.assume_lifetime.as_ref().map(Spanned::span)),
        ];
        for (key, span) in spans {
            if let Some(span) = span {
                problems.add(span, format!("{key}: has no meaning without token_url"));
            }
        }
    }
    let text = |text: &Spanned<String>| text.get_ref().clone();
    Some(TokenEndpoint {
        url: url?,
        client_auth: entry.token_auth.as_ref().map(|auth| *auth.get_ref()).unwrap_or_default(),
        body: entry.token_body.as_ref().map_or(BodyFormat::Form, |body| *body.get_ref()),
        params: entry.token_params.clone().into_iter().collect(),
        nested_in: entry.token_nested_in.as_ref().map(text),
        instance_member: entry.token_instance.as_ref().map(text),
        revoked_errors: entry.revoked_errors.clone(),
        assume_lifetime,
        operator_client: None,
    })
}
