//! Reads the log filter.

use super::values::SettingsReader;

const DEFAULT_FILTER: &str = "info,sea_orm_migration=warn,sqlx=error";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl SettingsReader {
    /// The log filter, strictly checked: `EnvFilter` takes a misspelt level for the name of a module and would log only
    /// that module.
    pub(super) fn log_filter(&mut self) -> String {
        let text = self.text("LOG").unwrap_or_else(|| DEFAULT_FILTER.into());
        let directives: Vec<&str> = text.split(',').map(str::trim).collect();
        if !directives.iter().all(|directive| is_directive(directive)) {
            self.problems.push(format!(
                "LOG: must be a level ({}), or levels by part, such as switchboard=debug,warn",
                LEVELS.join(", ")
            ));
        }
        directives.join(",")
    }
}

/// Whether this is a level, or a module with a level.
fn is_directive(text: &str) -> bool {
    match text.split_once('=') {
        Some((module, level)) => is_module_path(module) && is_level(level),
        None => is_level(text),
    }
}

fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level))
}

fn is_module_path(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    text.split("::").all(is_name)
}
