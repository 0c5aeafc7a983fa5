//! Problems of a file of providers, each with its line.

use std::ops::Range;

use toml::Spanned;

/// Of labels, names and examples.
const MAX_TEXT_LEN: usize = 300;

/// Collects the problems of one file.
pub struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    list: Vec<String>,
}

impl<'a> Problems<'a> {
    /// No problems yet.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, list: Vec::new() }
    }

    /// Adds a problem at a place in the text.
    pub fn add(&mut self, span: Range<usize>, problem: impl AsRef<str>) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        self.list.push(format!("{}, line {line}: {}", self.file, problem.as_ref()));
    }

    /// Adds a problem with the value of a key.
    pub fn at<T>(&mut self, key: &str, value: &Spanned<T>, problem: impl AsRef<str>) {
        self.add(value.span(), format!("{key}: {}", problem.as_ref()));
    }

    /// The parsed value, if it has no problem.
    pub fn parse<T, R>(
        &mut self,
        key: &str,
        value: &Spanned<T>,
        parse: impl FnOnce(&T) -> Result<R, String>,
    ) -> Option<R> {
        parse(value.get_ref()).map_err(|problem| self.at(key, value, problem)).ok()
    }

    /// The parsed value of a key that may be absent.
    pub fn parse_optional<T, R>(
        &mut self,
        key: &str,
        value: Option<&Spanned<T>>,
        parse: impl FnOnce(&T) -> Result<R, String>,
    ) -> Option<R> {
        value.and_then(|value| self.parse(key, value, parse))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// All of them.
    pub fn into_list(self) -> Vec<String> {
        self.list
    }
}

/// A text for people: labels, names, examples.
pub fn parse_text(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("must not be empty".into()),
        text if text.chars().count() > MAX_TEXT_LEN => {
            Err(format!("must have at most {MAX_TEXT_LEN} characters"))
        }
        text if text.contains(char::is_control) => Err("must be one line".into()),
        text => Ok(text.to_owned()),
    }
}
