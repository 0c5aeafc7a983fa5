//! Whether a provider's `Location` may come back: only if it shows nothing of the credentials.

use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use url::Url;

use super::path::percent_decode;
use crate::connections::catalog::{CredentialKey, CredentialSet};

/// Removes the `Location` of an answer to a request to `from`, unless it may be shown to the caller.
pub fn withhold_location(headers: &mut HeaderMap, from: &Url, credentials: &CredentialSet) {
    let is_withheld = |location| !is_harmless(location, from, credentials);
    if headers.get_all(LOCATION).iter().any(is_withheld) {
        headers.remove(LOCATION);
    }
}

fn is_harmless(location: &HeaderValue, from: &Url, credentials: &CredentialSet) -> bool {
    let Ok(text) = location.to_str() else { return false };
    let Ok(target) = from.join(text) else { return false };
    let is_web = matches!(target.scheme(), "https" | "http");
    let has_user = !target.username().is_empty() || target.password().is_some();
    let decoded = percent_decode(text.as_bytes());
    let decoded = String::from_utf8_lossy(&decoded);
    let mut secrets = CredentialKey::ALL
        .into_iter()
        .filter(|key| key.is_secret_by_default())
        .filter_map(|key| credentials.expose(key));
    let shows_secret = secrets.any(|secret| text.contains(secret) || decoded.contains(secret));
    is_web && !has_user && !shows_secret
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::catalog::CredentialKey;

    #[test]
    fn locations_with_credentials_are_withheld() {
        let from = Url::parse("https://api.example/v1/a").expect("a URL");
        let mut credentials = CredentialSet::default();
        credentials.set(CredentialKey::AccessToken, "se/cret".to_owned().into());
        credentials.set(CredentialKey::Subdomain, "api".to_owned().into());
        for (location, expected) in [
            ("/b", true),
            ("b?page=2", true),
            ("//files.example/c?signature=x", true),
            ("https://api.example/", true),
            ("https://api.example/?token=se/cret", false),
            ("https://api.example/?token=se%2Fcret", false),
            ("https://user@api.example/", false),
            ("https://:password@api.example/", false),
            ("file:///etc/passwd", false),
            ("javascript:alert(1)", false),
            ("https://", false),
        ] {
            let value = HeaderValue::from_static(location);
            assert_eq!(is_harmless(&value, &from, &credentials), expected, "{location}");
        }
        let bytes = HeaderValue::from_bytes(b"/\xff").expect("a value");
        assert!(!is_harmless(&bytes, &from, &credentials));
    }
}
