//! Loads the configuration from `switchboard.toml` and the environment.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::SettingsReader;
use super::setting_names::{SETTING_NAMES, parse_oauth_client_name};
use super::settings::Config;

impl Config {
    /// Reads `switchboard.toml` in the working directory, if there is one, and the environment, which takes precedence.
    /// Fails with a list of all problems.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load() -> Result<Self, Vec<String>> {
        let mut values = match std::fs::read_to_string("switchboard.toml") {
            Ok(text) => parse_toml(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(vec![format!("switchboard.toml: {error}")]),
        };
        values.extend(
            SETTING_NAMES
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), std::env::var(key).ok()?))),
        );
        let is_oauth_client = |name: &String| parse_oauth_client_name(name).is_some();
        values.extend(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(is_oauth_client)?;
            Some((name, value.into_string().ok()?))
        }));
        Self::from_values(values)
    }

    /// Reads the settings from values by their names in the environment. Empty values count as unset. Fails with a
    /// list of all problems.
    pub fn from_values(values: BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let mut reader = SettingsReader::new(values);
        let config = reader.read_config();
        if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
    }
}

/// Parses `switchboard.toml` into values by their names in the environment.
pub(super) fn parse_toml(text: &str) -> Result<BTreeMap<String, String>, Vec<String>> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error's `Display` shows the line, which may contain a secret.
        let line = error.span().map_or(0, |span| text[..span.start].lines().count());
        vec![format!("switchboard.toml, line {line}: {}", error.message())]
    })?;
    let names: BTreeSet<&str> = SETTING_NAMES.iter().copied().collect();
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in table {
        let key = name.to_uppercase();
        let value = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        if names.contains(key.as_str()) || parse_oauth_client_name(&key).is_some() {
            values.insert(key, value);
        } else {
            problems.push(format!("switchboard.toml: there is no setting {name}"));
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}
