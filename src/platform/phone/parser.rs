//! Parser of phone numbers as people type and paste them.

use rlibphonenumber::{self as lib, PhoneNumberFormat, PhoneNumberType};

use super::info::without_optional_digit;
use super::invalid_reason::{self, InvalidPhoneReason};
use super::region::Region;
use crate::platform::text;

/// E.164 has 15 digits; the rest is for spaces, brackets and prefixes.
const MAX_INPUT_LEN: usize = 64;
/// Prefix of international calls in most countries.
const INTERNATIONAL_PREFIX: &str = "00";

/// Parses a number in the first form in which it is valid, else in the most likely form.
pub fn parse_in_any_form(
    text: &str,
    region: Option<&Region>,
) -> Result<lib::PhoneNumber, InvalidPhoneReason> {
    let text = normalize(text)?;
    let as_written = parse_with_region(&text, region);
    if as_written.as_ref().is_ok_and(is_valid) {
        return as_written;
    }
    let with_plus = strip_international_prefix(&text).map(|number| format!("+{number}"));
    let as_international = with_plus.as_ref().map(|text| parse_with_region(text, None));
    // "+31 (0)6 12345678": the zero in brackets is only dialled within the country.
    let with_trunk_zero =
        [Some(&text), with_plus.as_ref()].into_iter().flatten().filter(|text| text.contains("(0)"));
    let without_trunk_zero =
        with_trunk_zero.map(|text| parse_with_region(&text.replace("(0)", ""), region));
    let mut alternatives = as_international.clone().into_iter().chain(without_trunk_zero).flatten();
    if let Some(valid) = alternatives.find(is_valid) {
        return Ok(valid);
    }
    match as_international {
        Some(result) if region.is_none() => result,
        _ => as_written,
    }
}

/// Whether a text is the E.164 of a valid number of a mobile line, which can be stored as it is. A false result says
/// nothing.
pub fn is_mobile_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let is_plain = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_plain {
        return false;
    }
    // Only a valid number has a type.
    let is_mobile = |number: &lib::PhoneNumber| {
        matches!(number.get_type(), PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile)
    };
    lib::PhoneNumber::parse(text, None)
        .is_ok_and(|number| is_mobile(&number) && number.format_as(PhoneNumberFormat::E164) == text)
}

/// Prepends a plus to digits that only lack it, as some programs write numbers.
pub fn prepend_plus(text: &str) -> Option<String> {
    let text = normalize(text).ok()?;
    let is_number_char = |c: char| c.is_ascii_digit() || " -.()".contains(c);
    let is_complete =
        text.starts_with(|c: char| matches!(c, '1'..='9')) && text.chars().all(is_number_char);
    is_complete.then(|| format!("+{text}"))
}

/// Replaces characters by those that libphonenumber understands, and a `tel:` URI by its number.
fn normalize(text: &str) -> Result<String, InvalidPhoneReason> {
    let normalize_char = |c: char| match c {
        '\u{ff0b}' | '\u{fe62}' => '+',
        c if text::is_hyphen(c) => '-',
        c => text::to_ascii_digit(c).unwrap_or(c),
    };
    let text: String = text::clean_input(text).chars().map(normalize_char).collect();
    let text = text.trim();
    if text.len() > MAX_INPUT_LEN {
        return Err(InvalidPhoneReason::TooLong);
    }
    match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => parse_tel_uri(&text[4..]),
        _ => Ok(text.to_owned()),
    }
}

/// Number of a `tel:` URI (RFC 3966) whose scheme is removed. A local number gets the country code of its
/// `phone-context`, if there is one.
fn parse_tel_uri(uri: &str) -> Result<String, InvalidPhoneReason> {
    let mut parts = uri.split(';');
    let mut number = parts.next().unwrap_or_default().trim().to_owned();
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            // An extension cannot be stored.
            "ext" | "isub" => return Err(InvalidPhoneReason::NotANumber),
            "phone-context" if value.starts_with('+') && !number.starts_with('+') => {
                number.insert_str(0, value);
            }
            _ => {}
        }
    }
    Ok(number)
}

/// The number after the prefix of international calls.
fn strip_international_prefix(text: &str) -> Option<&str> {
    // Country codes do not begin with zero, so "+00" is plus and prefix.
    text.trim_start_matches(['+', '(', ' ']).strip_prefix(INTERNATIONAL_PREFIX)
}

fn parse_with_region(
    text: &str,
    region: Option<&Region>,
) -> Result<lib::PhoneNumber, InvalidPhoneReason> {
    // libphonenumber would map letters to keypad digits, and an O typed for a zero to a six.
    if text.contains(char::is_alphabetic) {
        return Err(InvalidPhoneReason::NotANumber);
    }
    let number = lib::PhoneNumber::parse(text, region.map(|region| region.0))
        .map_err(|error| InvalidPhoneReason::from(&error))?;
    if number.extension.is_some() {
        return Err(InvalidPhoneReason::NotANumber);
    }
    match invalid_reason::from_length(without_optional_digit(&number).is_possible_with_reason()) {
        Some(reason) => Err(reason),
        None => Ok(number),
    }
}

fn is_valid(number: &lib::PhoneNumber) -> bool {
    without_optional_digit(number).is_valid()
}
