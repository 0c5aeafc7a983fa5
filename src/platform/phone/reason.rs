//! Why phone numbers are refused.

use rlibphonenumber::{NumberLengthType, ParseError, ValidationError};

use crate::error::{ErrorCode, Failure};

/// Why a phone number is refused: `extensions.reason` of INVALID_PHONE_NUMBER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "each has its sentence below")]
pub enum Reason {
    TooShort,
    TooLong,
    InvalidLength,
    InvalidCountryCode,
    NotANumber,
    NotInUse,
    NotCallable,
    NoSms,
}

impl Reason {
    /// The reason of this name ("TOO_SHORT").
    pub fn of(name: &str) -> Option<Self> {
        use sea_orm::{ActiveEnum, Iterable};
        Self::iter().find(|reason| reason.to_value() == name)
    }

    /// As `extensions.reason` says it.
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

    fn sentence(self) -> &'static str {
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

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::new(ErrorCode::InvalidPhoneNumber, reason.sentence()).because(reason.as_str())
    }
}

impl From<&ParseError> for Reason {
    fn from(error: &ParseError) -> Self {
        match error {
            ParseError::InvalidCountryCode => Self::InvalidCountryCode,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => Self::TooShort,
            ParseError::TooLongNsn => Self::TooLong,
            ParseError::NotANumber(_) => Self::NotANumber,
        }
    }
}

/// Why a number cannot be one of its country's, by its length.
pub(super) fn of_length(length: Result<NumberLengthType, ValidationError>) -> Option<Reason> {
    match length {
        Ok(NumberLengthType::IsPossible) => None,
        Ok(NumberLengthType::IsPossibleLocalOnly) | Err(ValidationError::TooShort) => {
            Some(Reason::TooShort)
        }
        Err(ValidationError::TooLong) => Some(Reason::TooLong),
        Err(ValidationError::InvalidLength) => Some(Reason::InvalidLength),
        Err(ValidationError::InvalidCountryCode) => Some(Reason::InvalidCountryCode),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ActiveEnum, Iterable};

    use super::*;

    #[test]
    fn reasons_are_written_as_they_are_kept() {
        assert!(Reason::iter().all(|reason| reason.to_value() == reason.as_str()));
    }
}
