//! `SettingsReader`: reads single values from text and collects the problems.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::config::setting_names::SETTING_NAMES;

/// The choices of a switch.
pub const ON_OR_OFF: [(&str, bool); 2] = [("on", true), ("off", false)];

/// Reads settings from their values by name, and collects the problems.
pub struct SettingsReader {
    values: BTreeMap<String, String>,
    pub problems: Vec<String>,
    pub(super) defaults_used: Vec<String>,
}

impl SettingsReader {
    /// A reader of these values. Empty values count as unset.
    pub fn new(mut values: BTreeMap<String, String>) -> Self {
        values.retain(|_, value| !value.trim().is_empty());
        Self { values, problems: Vec::new(), defaults_used: Vec::new() }
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The text of a setting, if it is set.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        debug_assert!(SETTING_NAMES.contains(&key), "{key} is not in SETTING_NAMES");
        self.values.get(key).cloned()
    }

    /// The settings whose names are not known in advance.
    pub(super) fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        let others = self.values.iter().filter(|(key, _)| !SETTING_NAMES.contains(&key.as_str()));
        others.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The entries of a comma-separated list.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The text of a setting. `why` completes the problem if it is not set.
    pub(super) fn require(&mut self, key: &str, why: &str) -> String {
        self.text(key).unwrap_or_else(|| {
            self.problems.push(format!("{key}: {why}"));
            String::new()
        })
    }

    /// The parsed value, or the default.
    pub(super) fn parse_or<T: FromStr>(&mut self, key: &str, default: T) -> T {
        match self.text(key).map(|text| text.trim().parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.problems.push(format!("{key}: cannot be read"));
                default
            }
        }
    }

    /// The parsed value, which must be within the range, or the default.
    pub(super) fn parse_in_range<T: FromStr + PartialOrd + Display>(
        &mut self,
        key: &str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> T {
        let value = self.parse_or(key, default);
        if !range.contains(&value) {
            self.problems.push(format!("{key}: must be {} to {}", range.start(), range.end()));
        }
        value
    }

    pub(super) fn seconds(
        &mut self,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Duration {
        let seconds = self.parse_or(key, default);
        if !range.contains(&seconds) {
            self.problems.push(format!(
                "{key}: must be {} to {} seconds",
                range.start(),
                range.end()
            ));
        }
        Duration::from_secs(seconds)
    }

    pub(super) fn url(&mut self, key: &str, default: &str) -> Url {
        let default = Url::parse(default).expect("default URLs are valid");
        self.parse_or(key, default)
    }

    /// One of the named choices, or the default.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(key) else { return default };
        match choices.iter().find(|(name, _)| *name == text.trim()) {
            Some((_, value)) => *value,
            None => {
                let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                self.problems.push(format!("{key}: must be one of {names}"));
                default
            }
        }
    }
}
