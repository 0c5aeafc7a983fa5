//! Phone numbers as lead forms have them, which people type or a network fills in.

use crate::bonuses::entity::leads::LeadError;
use crate::error::{ErrorCode, UserError};
use crate::platform::phone::{PhoneNumber, Region};

/// Parses a number as sign-up would. Also takes one whose country code has no plus before it, as Google sends them.
///
/// # Errors
/// The reason, without the number.
pub fn parse_lead_phone(text: &str, region: Option<&Region>) -> Result<PhoneNumber, LeadError> {
    let parsed = parse_signup_phone(text, region).or_else(|error| {
        let number = PhoneNumber::parse_without_plus(text).ok_or(error)?;
        number.into_sms_capable()
    });
    parsed.map_err(|error| {
        let reason = error.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        LeadError::new(error.code, format!("The form has no usable number{reason}."))
    })
}

/// Parses a number as sign-up does.
///
/// # Errors
/// INVALID_PHONE_NUMBER with its reason.
pub fn parse_signup_phone(text: &str, region: Option<&Region>) -> Result<PhoneNumber, UserError> {
    PhoneNumber::parse(text, region).and_then(PhoneNumber::into_sms_capable)
}

/// The error of a lead whose form does not ask for a number.
pub fn no_phone_error() -> LeadError {
    LeadError::new(ErrorCode::InvalidPhoneNumber, "The form does not ask for a phone number.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_forms_have_them() {
        let region = Region::parse("NL").expect("a region");
        let parse = |text: &str, region: Option<&Region>| {
            parse_lead_phone(text, region).map(|number| number.as_str().to_owned())
        };
        for (text, expected) in [
            ("+31 6 12345678", "+31612345678"),
            ("1-650-555-0123", "+16505550123"),
            ("31612345678", "+31612345678"),
        ] {
            assert_eq!(parse(text, None).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(parse("06 12345678", Some(&region)).as_deref(), Ok("+31612345678"));
        for invalid in ["", "hello", "06 12345678", "+31201234567"] {
            let error = parse(invalid, None).expect_err(invalid);
            assert_eq!(error.code, ErrorCode::InvalidPhoneNumber);
            assert!(!error.message.contains(char::is_numeric), "{}", error.message);
        }
    }
}
