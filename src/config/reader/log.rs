//! Reading what is logged.

use super::Reader;

const DEFAULT: &str = "info,sea_orm_migration=warn,sqlx=error";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Reader {
    /// The log's filter, whose every word is a level. `EnvFilter` takes a word that is none for the name of a
    /// part, and then logs that part alone: a misspelt level would switch the log off.
    pub fn log(&mut self) -> String {
        let text = self.text("LOG").unwrap_or_else(|| DEFAULT.into());
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if !parts.iter().all(|part| is_directive(part)) {
            self.problems.push(format!(
                "LOG: must be a level ({}), or levels by part, such as switchboard=debug,warn",
                LEVELS.join(", ")
            ));
        }
        parts.join(",")
    }
}

/// Whether it is a level, or a part of the program with one.
fn is_directive(text: &str) -> bool {
    match text.split_once('=') {
        Some((part, level)) => is_part(part) && is_level(level),
        None => is_level(text),
    }
}

fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level))
}

/// Whether it can be the path of a module.
fn is_part(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    text.split("::").all(is_name)
}
