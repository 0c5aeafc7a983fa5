//! Phone numbers by the metadata of libphonenumber: reading, writing, and what kind a number is.

use std::str::FromStr;

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, ParseError, Type, country};

use crate::error::{ErrorCode, Failure};

/// What people may type at most: E.164 has 15 digits, the rest is for spaces, brackets and prefixes.
const LONGEST_INPUT: usize = 64;

/// A phone number that parses, and so can be written in E.164 ("+31612345678"). Whether somebody
/// can be reached there is another question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType)]
pub struct PhoneNumber(String);

impl sea_orm::TryFromU64 for PhoneNumber {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("PhoneNumber"))
    }
}

/// A region with a number plan: an ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(country::Id);

impl Region {
    /// Reads a code, in either case.
    ///
    /// # Errors
    /// BAD_USER_INPUT
    pub fn parse(code: &str) -> Result<Self, Failure> {
        let known = country::Id::from_str(&code.trim().to_ascii_uppercase());
        known
            .map(Self)
            .map_err(|_| Failure::bad_input("This is not an ISO 3166-1 alpha-2 country code."))
    }
}

impl From<country::Id> for Region {
    fn from(id: country::Id) -> Self {
        Self(id)
    }
}

/// What the metadata knows of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether the number plan of its country has it.
    pub valid: bool,
    /// What kind of line it is.
    pub kind: LineType,
    /// ISO 3166-1 alpha-2, "001" for numbers of no country.
    pub country_code: String,
    /// The calling code, without plus.
    pub country_prefix: i32,
    /// "+31 6 12345678"
    pub international: String,
    /// "06 12345678"
    pub national: String,
    /// "tel:+31-6-12345678" (RFC 3966)
    pub rfc3966: String,
}

/// What kind of line a number is, as number plans tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum LineType {
    FixedLine,
    Mobile,
    FixedLineOrMobile,
    TollFree,
    PremiumRate,
    SharedCost,
    Voip,
    PersonalNumber,
    Pager,
    UniversalAccessNumber,
    VoiceMail,
    Unknown,
}

impl PhoneNumber {
    /// Reads a number in E.164 or, with a region, in that region's formats.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER with the reason.
    pub fn parse(text: &str, region: Option<&Region>) -> Result<Self, Failure> {
        let text = text.trim();
        if text.len() > LONGEST_INPUT {
            return Err(invalid("TOO_LONG"));
        }
        let number = phonenumber::parse(region.map(|region| region.0), text)
            .map_err(|error| invalid(reason(&error)))?;
        if number.extension().is_some() {
            return Err(invalid("NOT_A_NUMBER"));
        }
        let e164 = number.format().mode(Mode::E164).to_string();
        // E.164 allows 15 digits in all; the metadata's parser lets a few more through.
        if e164.len() > 16 {
            return Err(invalid("TOO_LONG"));
        }
        Ok(Self(e164))
    }

    /// In E.164: a plus and at most 15 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its digits with the country code, without plus.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// What the metadata knows of it.
    pub fn facts(&self) -> Facts {
        let number =
            phonenumber::parse(None, &self.0).expect("what was written in E.164 reads back");
        Facts {
            valid: number.is_valid(),
            kind: line_type(number.number_type(&DATABASE)),
            country_code: number
                .country()
                .id()
                .map_or_else(|| "001".into(), |id| id.as_ref().to_owned()),
            country_prefix: i32::from(number.country().code()),
            international: number.format().mode(Mode::International).to_string(),
            national: number.format().mode(Mode::National).to_string(),
            rfc3966: number.format().mode(Mode::Rfc3966).to_string(),
        }
    }

    /// The number, if an SMS can reach it: a mobile, or a number whose plan does not tell mobiles apart.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER: NOT_IN_USE outside of the number plan, NO_SMS for other lines.
    pub fn reachable_by_sms(self) -> Result<Self, Failure> {
        let facts = self.facts();
        if !facts.valid {
            return Err(invalid("NOT_IN_USE"));
        }
        match facts.kind {
            LineType::Mobile | LineType::FixedLineOrMobile => Ok(self),
            _ => Err(invalid("NO_SMS")),
        }
    }
}

/// INVALID_PHONE_NUMBER, with a sentence for each reason.
pub fn invalid(reason: &'static str) -> Failure {
    let message = match reason {
        "TOO_SHORT" => "The phone number has too few digits.",
        "TOO_LONG" => "The phone number has too many digits.",
        "INVALID_LENGTH" => "The phone number does not have the right number of digits.",
        "INVALID_COUNTRY_CODE" => {
            "The country of the phone number is not known. Write it with + and the country code."
        }
        "NOT_IN_USE" => "No phone has this number.",
        "NOT_CALLABLE" => "Numbers of this kind are not accepted.",
        "NO_SMS" => "This phone number cannot receive SMS.",
        _ => "This is not a phone number.",
    };
    Failure::new(ErrorCode::InvalidPhoneNumber, message).because(reason)
}

fn reason(error: &ParseError) -> &'static str {
    match error {
        ParseError::InvalidCountryCode => "INVALID_COUNTRY_CODE",
        ParseError::TooShortAfterIdd | ParseError::TooShortNsn => "TOO_SHORT",
        ParseError::TooLong => "TOO_LONG",
        _ => "NOT_A_NUMBER",
    }
}

fn line_type(kind: Type) -> LineType {
    match kind {
        Type::FixedLine => LineType::FixedLine,
        Type::Mobile => LineType::Mobile,
        Type::FixedLineOrMobile => LineType::FixedLineOrMobile,
        Type::TollFree => LineType::TollFree,
        Type::PremiumRate => LineType::PremiumRate,
        Type::SharedCost => LineType::SharedCost,
        Type::Voip => LineType::Voip,
        Type::PersonalNumber => LineType::PersonalNumber,
        Type::Pager => LineType::Pager,
        Type::Uan => LineType::UniversalAccessNumber,
        Type::Voicemail => LineType::VoiceMail,
        _ => LineType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str, region: Option<&str>) -> Result<PhoneNumber, Failure> {
        PhoneNumber::parse(text, region.map(|code| Region::parse(code).expect("a region")).as_ref())
    }

    fn reason_of(text: &str, region: Option<&str>) -> &'static str {
        let failure = parse(text, region).and_then(PhoneNumber::reachable_by_sms).expect_err(text);
        assert_eq!(failure.code, ErrorCode::InvalidPhoneNumber);
        failure.reason.expect("a reason")
    }

    #[test]
    fn many_ways_of_writing_are_one_number() {
        for (text, region) in [
            ("+31612345678", None),
            (" +31 6 12345678 ", None),
            ("+31 (0)6-1234 5678", None),
            ("06 12345678", Some("NL")),
            ("0031612345678", Some("NL")),
            ("tel:+31-6-12345678", None),
        ] {
            assert_eq!(parse(text, region).expect(text).as_str(), "+31612345678", "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_says_why() {
        assert_eq!(reason_of("", None), "NOT_A_NUMBER");
        assert_eq!(reason_of("hello", None), "NOT_A_NUMBER");
        assert_eq!(reason_of("0612345678", None), "INVALID_COUNTRY_CODE");
        assert!(Region::parse("XX").is_err());
        assert_eq!(reason_of("+31", None), "NOT_A_NUMBER");
        assert_eq!(reason_of("+3161234567812345678", None), "TOO_LONG");
        assert_eq!(reason_of(&"1".repeat(1_000_000), None), "TOO_LONG");
        assert_eq!(reason_of("+31 20 794 0800", None), "NO_SMS");
        assert_eq!(reason_of("+31 6 1", None), "NOT_IN_USE");
    }

    #[test]
    fn facts_are_those_of_the_number_plan() {
        let facts = parse("+31612345678", None).expect("a number").facts();
        assert_eq!(
            facts,
            Facts {
                valid: true,
                kind: LineType::Mobile,
                country_code: "NL".into(),
                country_prefix: 31,
                international: "+31 6 12345678".into(),
                national: "06 12345678".into(),
                rfc3966: "tel:+31-6-12345678".into(),
            }
        );
    }

    proptest! {
        #[test]
        fn nothing_typed_panics_and_what_parses_reads_back(text in "[+0-9 ()a-z.;=-]{0,24}") {
            for region in [None, Some("NL"), Some("US"), Some("IT")] {
                if let Ok(number) = parse(&text, region) {
                    prop_assert_eq!(parse(number.as_str(), None).expect("reads back"), number.clone());
                    number.facts();
                }
            }
        }
    }
}
