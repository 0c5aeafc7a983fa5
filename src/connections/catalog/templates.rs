//! Templates of an entry: texts and URLs with credentials in braces, such as `Bearer {accessToken}`.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::field::CredentialKey;

/// A text with credentials in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Credential(CredentialKey),
}

impl ValueTemplate {
    /// Parses a text. A brace always begins or ends the name of a credential.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a brace is not closed")?;
            let key = CredentialKey::from_name(name)
                .ok_or_else(|| format!("there is no credential {{{name}}}"))?;
            parts.extend([Part::Text(before.to_owned()), Part::Credential(key)]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let has_stray_brace = |part: &Part| matches!(part, Part::Text(text) if text.contains('}'));
        if parts.iter().any(has_stray_brace) {
            return Err("a brace is not opened".into());
        }
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self(parts))
    }

    /// A template that is one credential.
    pub fn credential(key: CredentialKey) -> Self {
        Self(vec![Part::Credential(key)])
    }

    /// A text followed by one credential.
    pub fn prefixed(text: &str, key: CredentialKey) -> Self {
        Self(vec![Part::Text(text.to_owned()), Part::Credential(key)])
    }

    /// The credentials that it contains.
    pub fn credentials(&self) -> impl Iterator<Item = CredentialKey> + '_ {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Credential(key) => Some(*key),
        })
    }

    /// The text with its credentials.
    ///
    /// # Errors
    /// The first credential that is missing.
    pub fn fill<'a>(
        &self,
        value: impl Fn(CredentialKey) -> Option<&'a str>,
    ) -> Result<SecretString, CredentialKey> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Credential(key) => filled.push_str(value(*key).ok_or(*key)?),
            }
        }
        Ok(filled.into())
    }
}

/// The URL of an API or a token endpoint. It may begin with `{instanceUrl}` or with `https://{subdomain}.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate {
    text: String,
    template: ValueTemplate,
}

const SAMPLE_INSTANCE: &str = "https://instance.example.com";
const SAMPLE_SUBDOMAIN: &str = "subdomain";

impl UrlTemplate {
    /// Parses a URL without a query, a fragment, a user and a trailing slash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = ValueTemplate::parse(text)?;
        for key in template.credentials() {
            let (prefix, name) = match key {
                CredentialKey::InstanceUrl => ("{instanceUrl}", "{instanceUrl}"),
                CredentialKey::Subdomain => ("https://{subdomain}.", "{subdomain}"),
                _ => return Err("only {instanceUrl} and {subdomain} can be part of a URL".into()),
            };
            if !text.starts_with(prefix) || text.matches(name).count() > 1 {
                return Err(format!("{name} must be its only placeholder, as in {prefix}…"));
            }
        }
        if text
            .strip_prefix("{instanceUrl}")
            .is_some_and(|rest| !matches!(rest.get(..1), None | Some("/")))
        {
            return Err("{instanceUrl} must be followed by a slash or nothing".into());
        }
        let domain =
            text.strip_prefix("https://{subdomain}.").and_then(|rest| rest.split('/').next());
        if domain.is_some_and(|domain| !domain.contains('.')) {
            return Err("{subdomain} must be below a domain of the provider".into());
        }
        if template.credentials().count() > 1 {
            return Err("it must have one placeholder at most".into());
        }
        let parsed = Self { text: text.to_owned(), template };
        let sample = parsed
            .fill(|key| match key {
                CredentialKey::InstanceUrl => Some(SAMPLE_INSTANCE),
                CredentialKey::Subdomain => Some(SAMPLE_SUBDOMAIN),
                _ => None,
            })
            .ok_or("it is not a URL")?;
        if !matches!(sample.scheme(), "https" | "http") || !sample.has_host() {
            return Err("it must begin with https:// and a host".into());
        }
        if sample.query().is_some() || sample.fragment().is_some() || has_user(&sample) {
            return Err("it must have no user, query or fragment".into());
        }
        // What the parser changed was dots, tabs or another notation of the host.
        let filled =
            text.replace("{instanceUrl}", SAMPLE_INSTANCE).replace("{subdomain}", SAMPLE_SUBDOMAIN);
        if text.ends_with('/') || sample.as_str().trim_end_matches('/') != filled {
            return Err(format!(
                "it must be written as {}",
                sample.as_str().trim_end_matches('/').replace(SAMPLE_INSTANCE, "{instanceUrl}")
            ));
        }
        Ok(parsed)
    }

    /// The template as the entry has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The credentials that it needs.
    pub fn credentials(&self) -> impl Iterator<Item = CredentialKey> + '_ {
        self.template.credentials()
    }

    /// The URL with its credentials. `None` if one is missing or the result is not a URL.
    pub fn fill<'a>(&self, value: impl Fn(CredentialKey) -> Option<&'a str>) -> Option<Url> {
        let text = self.template.fill(value).ok()?;
        Url::parse(text.expose_secret()).ok()
    }
}

/// Whether a URL has a user or a password.
pub fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}
