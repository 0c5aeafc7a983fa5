//! Reasons why a phone number is invalid.

use rlibphonenumber::{NumberLengthType, ParseError, ValidationError};

use crate::error::{ErrorCode, UserError};

/// Why a phone number is invalid: `extensions.reason` of INVALID_PHONE_NUMBER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "explained by its message below")]
pub enum InvalidPhoneReason {
    TooShort,
    TooLong,
    InvalidLength,
    InvalidCountryCode,
    NotANumber,
    NotInUse,
    NotCallable,
    NoSms,
}

impl InvalidPhoneReason {
    /// Parses a name ("TOO_SHORT").
    pub fn from_name(name: &str) -> Option<Self> {
        use sea_orm::{ActiveEnum, Iterable};
        Self::iter().find(|reason| reason.to_value() == name)
    }

    /// Name in `extensions.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "TOO_SHORT",
            Self::TooLong => "TOO_LONG",
            Self::InvalidLength => "INVALID_LENGTH",
            Self::InvalidCountryCode => "INVALID_COUNTRY_CODE",
            Self::NotANumber => "NOT_A_NUMBER",
            Self::NotInUse => "NOT_IN_USE",
            Self::NotCallable => "NOT_CALLABLE",
            Self::NoSms => "NO_SMS",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::TooShort => "The phone number has too few digits.",
            Self::TooLong => "The phone number has too many digits.",
            Self::InvalidLength => "The phone number does not have the right number of digits.",
            Self::InvalidCountryCode => {
                "The phone number has no country code, or one of no country. Write it with + and the country code."
            }
            Self::NotANumber => "This is not a phone number.",
            Self::NotInUse => "No phone has this number.",
            Self::NotCallable => "Numbers of this kind are not accepted.",
            Self::NoSms => "This phone number cannot receive SMS.",
        }
    }
}

impl From<InvalidPhoneReason> for UserError {
    fn from(reason: InvalidPhoneReason) -> Self {
        Self::new(ErrorCode::InvalidPhoneNumber, reason.message()).with_reason(reason.as_str())
    }
}

impl From<&ParseError> for InvalidPhoneReason {
    fn from(error: &ParseError) -> Self {
        match error {
            ParseError::InvalidCountryCode => Self::InvalidCountryCode,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => Self::TooShort,
            ParseError::TooLongNsn => Self::TooLong,
            ParseError::NotANumber(_) => Self::NotANumber,
        }
    }
}

/// The reason for a length that is not possible in the country.
pub(super) fn from_length(
    length: Result<NumberLengthType, ValidationError>,
) -> Option<InvalidPhoneReason> {
    match length {
        Ok(NumberLengthType::IsPossible) => None,
        Ok(NumberLengthType::IsPossibleLocalOnly) | Err(ValidationError::TooShort) => {
            Some(InvalidPhoneReason::TooShort)
        }
        Err(ValidationError::TooLong) => Some(InvalidPhoneReason::TooLong),
        Err(ValidationError::InvalidLength) => Some(InvalidPhoneReason::InvalidLength),
        Err(ValidationError::InvalidCountryCode) => Some(InvalidPhoneReason::InvalidCountryCode),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ActiveEnum, Iterable};

    use super::*;

    #[test]
    fn names_match_the_stored_values() {
        assert!(InvalidPhoneReason::iter().all(|reason| reason.to_value() == reason.as_str()));
    }
}
