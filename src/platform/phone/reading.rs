//! Reading phone numbers as people type and paste them.

use rlibphonenumber as lib;

use super::facts::as_judged;
use super::{Reason, Region, reason};
use crate::platform::text;

/// What people may type at most: E.164 has 15 digits, the rest is for spaces, brackets and prefixes.
const MAX_INPUT_LEN: usize = 64;
/// The prefix of international calls almost everywhere.
const INTERNATIONAL_PREFIX: &str = "00";

/// Reads a number in the first of the ways to read it in which it is valid, else in the most likely way.
pub fn read(text: &str, region: Option<&Region>) -> Result<lib::PhoneNumber, Reason> {
    let text = plain(text)?;
    let as_written = parse(&text, region);
    if as_written.as_ref().is_ok_and(is_valid) {
        return as_written;
    }
    let international = without_prefix(&text).map(|rest| format!("+{rest}"));
    let as_international = international.as_ref().map(|text| parse(text, None));
    let without_trunk = [Some(&text), international.as_ref()].into_iter().flatten();
    let without_trunk = without_trunk.filter(|text| text.contains("(0)"));
    let others = without_trunk.map(|text| parse(&text.replace("(0)", ""), region));
    let mut readings = as_international.clone().into_iter().chain(others).flatten();
    if let Some(valid) = readings.find(is_valid) {
        return Ok(valid);
    }
    match as_international {
        Some(reading) if region.is_none() => reading,
        _ => as_written,
    }
}

/// The digits of a number that lacks nothing but its plus, as some programs write them.
pub fn lacks_plus(text: &str) -> Option<String> {
    let text = plain(text).ok()?;
    let is_written = |c: char| c.is_ascii_digit() || " -.()".contains(c);
    let is_bare =
        text.starts_with(|c: char| matches!(c, '1'..='9')) && text.chars().all(is_written);
    is_bare.then(|| format!("+{text}"))
}

/// The text in the characters that libphonenumber reads.
fn plain(text: &str) -> Result<String, Reason> {
    let plain = |c: char| match c {
        '\u{ff0b}' | '\u{fe62}' => '+',
        c if text::is_hyphen(c) => '-',
        c => text::ascii_digit(c).unwrap_or(c),
    };
    let text: String = text::typed(text).chars().map(plain).collect();
    let text = text.trim();
    if text.len() > MAX_INPUT_LEN {
        return Err(Reason::TooLong);
    }
    match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => from_uri(&text[4..]),
        _ => Ok(text.to_owned()),
    }
}

/// The number of a `tel:` URI (RFC 3966), without its scheme. A local number is one of its context, if that is a
/// country, else of the default region.
fn from_uri(uri: &str) -> Result<String, Reason> {
    let mut parts = uri.split(';');
    let mut number = parts.next().unwrap_or_default().trim().to_owned();
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            // One phone behind the number, which cannot be kept.
            "ext" | "isub" => return Err(Reason::NotANumber),
            "phone-context" if value.starts_with('+') && !number.starts_with('+') => {
                number.insert_str(0, value);
            }
            _ => {}
        }
    }
    Ok(number)
}

/// What follows the prefix of an international call.
fn without_prefix(text: &str) -> Option<&str> {
    // No country code begins with a zero, so one that does has both.
    text.trim_start_matches(['+', '(', ' ']).strip_prefix(INTERNATIONAL_PREFIX)
}

fn parse(text: &str, region: Option<&Region>) -> Result<lib::PhoneNumber, Reason> {
    // Letters would be read as the digits of a keypad, and an O for a zero as a six.
    if text.contains(char::is_alphabetic) {
        return Err(Reason::NotANumber);
    }
    let number = lib::PhoneNumber::parse(text, region.map(|region| region.0))
        .map_err(|error| Reason::from(&error))?;
    if number.extension.is_some() {
        return Err(Reason::NotANumber);
    }
    match reason::of_length(as_judged(&number).is_possible_with_reason()) {
        Some(reason) => Err(reason),
        None => Ok(number),
    }
}

fn is_valid(number: &lib::PhoneNumber) -> bool {
    as_judged(number).is_valid()
}
