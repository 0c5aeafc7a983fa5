//! Phone numbers by the metadata of libphonenumber: reading, writing, and what kind a number is.

use rlibphonenumber::{
    self as lib, PHONE_NUMBER_UTIL, ParseError, PhoneNumberFormat, PhoneNumberType, ValidationError,
};

use crate::error::{ErrorCode, Failure};

/// What people may type at most: E.164 has 15 digits, the rest is for spaces, brackets and prefixes.
const LONGEST_INPUT: usize = 64;
/// A plus and 15 digits.
const LONGEST_E164: usize = 16;

/// A phone number that a country's number plan has room for, in E.164 ("+31612345678"). Whether
/// somebody can be reached there is another question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType)]
pub struct PhoneNumber(String);

impl sea_orm::TryFromU64 for PhoneNumber {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("PhoneNumber"))
    }
}

/// A region with a number plan: an ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(lib::Region);

impl Region {
    /// Reads a code, in either case.
    ///
    /// # Errors
    /// BAD_USER_INPUT
    pub fn parse(code: &str) -> Result<Self, Failure> {
        let region = lib::Region::from_code(&code.trim().to_ascii_uppercase()).ok();
        let has_plan = |region: &lib::Region| {
            PHONE_NUMBER_UTIL.get_supported_regions().any(|known| known == *region)
        };
        let unknown = || Failure::bad_input("This is not an ISO 3166-1 alpha-2 country code.");
        region.filter(has_plan).map(Self).ok_or_else(unknown)
    }
}

impl From<lib::Region> for Region {
    fn from(region: lib::Region) -> Self {
        Self(region)
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

impl PhoneNumber {
    /// Reads a number in international form or, with a region, in that region's forms.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER with the reason.
    pub fn parse(text: &str, region: Option<&Region>) -> Result<Self, Failure> {
        let text = text.trim();
        if text.len() > LONGEST_INPUT {
            return Err(Reason::TooLong.into());
        }
        // Letters would be read as the digits of a keypad, and an O for a zero as a six.
        if text.contains(char::is_alphabetic) {
            return Err(Reason::NotANumber.into());
        }
        let number = lib::PhoneNumber::parse(text, region.map(|region| region.0))
            .map_err(|error| reason(&error))?;
        if number.extension.is_some() {
            return Err(Reason::NotANumber.into());
        }
        match number.is_possible_with_reason() {
            Ok(lib::NumberLengthType::IsPossible) => {}
            Ok(lib::NumberLengthType::IsPossibleLocalOnly) | Err(ValidationError::TooShort) => {
                return Err(Reason::TooShort.into());
            }
            Err(ValidationError::TooLong) => return Err(Reason::TooLong.into()),
            Err(ValidationError::InvalidLength) => return Err(Reason::InvalidLength.into()),
            Err(ValidationError::InvalidCountryCode) => {
                return Err(Reason::InvalidCountryCode.into());
            }
        }
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        // What is kept must mean the same when it is read again.
        let reads_back = lib::PhoneNumber::parse(&e164, None).is_ok_and(|again| again == number);
        if e164.len() > LONGEST_E164 || !reads_back {
            return Err(Reason::NotANumber.into());
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

    /// Masked but for the country and the last three digits: "+31 •••••• 678".
    pub fn masked(&self) -> String {
        let prefix = self.facts().country_prefix.to_string();
        let national = self.digits().strip_prefix(&prefix).unwrap_or_default();
        let (hidden, shown) = national.split_at(national.len().saturating_sub(3));
        format!("+{prefix} {} {shown}", "•".repeat(hidden.len()))
    }

    /// What the metadata knows of it.
    pub fn facts(&self) -> Facts {
        let number = lib::PhoneNumber::parse(&self.0, None).unwrap_or_default();
        let region = number.get_region_code().map(|region| region.to_string());
        let written = |format| number.format_as(format).into_owned();
        Facts {
            valid: number.is_valid(),
            kind: number.get_type().into(),
            country_code: region.filter(|code| code.len() == 2).unwrap_or_else(|| "001".into()),
            country_prefix: number.country_code,
            international: written(PhoneNumberFormat::International),
            national: written(PhoneNumberFormat::National),
            rfc3966: written(PhoneNumberFormat::RFC3966),
        }
    }

    /// The number, if an SMS can reach it: a mobile, or a number whose plan does not tell mobiles apart.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER: NOT_IN_USE outside of the number plan, NO_SMS for other lines.
    pub fn reachable_by_sms(self) -> Result<Self, Failure> {
        let facts = self.facts();
        match facts.kind {
            _ if !facts.valid => Err(Reason::NotInUse.into()),
            LineType::Mobile | LineType::FixedLineOrMobile => Ok(self),
            _ => Err(Reason::NoSms.into()),
        }
    }
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
                "The country of the phone number is not known. Write it with + and the country code."
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

/// Whether a text has only what phone numbers are written with, as in `Facts::international`.
pub fn is_written_number(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || b" +-()./".contains(&b))
}

fn reason(error: &ParseError) -> Reason {
    match error {
        ParseError::InvalidCountryCode => Reason::InvalidCountryCode,
        ParseError::TooShortAfterIdd | ParseError::TooShortNsn => Reason::TooShort,
        ParseError::TooLongNsn => Reason::TooLong,
        ParseError::NotANumber(_) => Reason::NotANumber,
    }
}

impl From<PhoneNumberType> for LineType {
    fn from(kind: PhoneNumberType) -> Self {
        match kind {
            PhoneNumberType::FixedLine => Self::FixedLine,
            PhoneNumberType::Mobile => Self::Mobile,
            PhoneNumberType::FixedLineOrMobile => Self::FixedLineOrMobile,
            PhoneNumberType::TollFree => Self::TollFree,
            PhoneNumberType::PremiumRate => Self::PremiumRate,
            PhoneNumberType::SharedCost => Self::SharedCost,
            PhoneNumberType::VoIP => Self::Voip,
            PhoneNumberType::PersonalNumber => Self::PersonalNumber,
            PhoneNumberType::Pager => Self::Pager,
            PhoneNumberType::UAN => Self::UniversalAccessNumber,
            PhoneNumberType::VoiceMail => Self::VoiceMail,
            PhoneNumberType::Unknown => Self::Unknown,
        }
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
            ("\u{ff0b}31 6 12345678", None),
            ("+31612345678", Some("US")),
            ("06 12345678", Some("NL")),
            ("0031612345678", Some("NL")),
            (
                "\u{ff0b}\u{ff13}\u{ff11}\u{ff16}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}\u{ff17}\u{ff18}",
                None,
            ),
            (
                "+\u{663}\u{661}\u{666}\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}\u{668}",
                None,
            ),
        ] {
            assert_eq!(parse(text, region).expect(text).as_str(), "+31612345678", "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_says_why() {
        for (text, region, reason) in [
            ("", None, "NOT_A_NUMBER"),
            ("hello", None, "NOT_A_NUMBER"),
            ("0612345678", None, "INVALID_COUNTRY_CODE"),
            ("+999123456789", None, "INVALID_COUNTRY_CODE"),
            ("+31 6 1", None, "TOO_SHORT"),
            ("+3161234567", None, "NOT_IN_USE"),
            ("+31612345678901", None, "TOO_LONG"),
            ("+31 20 794 0800", None, "NO_SMS"),
            ("+1 000 000 0000", None, "NOT_IN_USE"),
            ("+31612345678 ext. 5", None, "NOT_A_NUMBER"),
            ("+78888", None, "TOO_SHORT"),
            ("+31 6 1234567O", None, "NOT_A_NUMBER"),
            ("tel:+31-6-12345678", None, "NOT_A_NUMBER"),
        ] {
            assert_eq!(reason_of(text, region), reason, "{text}");
        }
        assert_eq!(reason_of(&"1".repeat(1_000_000), None), "TOO_LONG");
        assert!(
            Region::parse("XX").is_err()
                && Region::parse("").is_err()
                && Region::parse("001").is_err()
        );
    }

    #[test]
    fn reasons_are_written_as_they_are_kept() {
        use sea_orm::{ActiveEnum, Iterable};
        assert!(Reason::iter().all(|reason| reason.to_value() == reason.as_str()));
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

    #[test]
    fn a_masked_number_shows_its_country_and_three_digits() {
        for (number, masked) in [
            ("+31612345678", "+31 •••••• 678"),
            ("+12015550123", "+1 ••••••• 123"),
            ("+2250701234567", "+225 ••••••• 567"),
        ] {
            assert_eq!(parse(number, None).expect(number).masked(), masked);
        }
    }

    #[test]
    fn plans_with_leading_zeros_and_numbers_of_no_country_are_told_right() {
        for (text, kind, country) in [
            ("+2250701234567", LineType::Mobile, "CI"),
            ("+242061234567", LineType::Mobile, "CG"),
            ("+390612345678", LineType::FixedLine, "IT"),
            ("+78001234567", LineType::TollFree, "RU"),
            ("+80012345678", LineType::TollFree, "001"),
        ] {
            for region in [None, Some("US"), Some("NL"), Some("RU")] {
                let number = parse(text, region).expect(text);
                assert_eq!(number.as_str(), text, "with {region:?}");
                let facts = number.facts();
                assert_eq!(
                    (facts.valid, facts.kind, facts.country_code.as_str()),
                    (true, kind, country),
                    "{text}"
                );
            }
        }
    }

    /// Each region's example of a mobile number is that number, wherever it is typed from.
    #[test]
    fn every_countrys_mobiles_are_read_from_everywhere() {
        let regions: Vec<_> = PHONE_NUMBER_UTIL.get_supported_regions().collect();
        assert!(regions.len() > 200);
        for home in &regions {
            let example = PHONE_NUMBER_UTIL
                .get_example_number_for_type_and_region(*home, PhoneNumberType::Mobile);
            let Ok(example) = example else { continue };
            let e164 = example.format_as(PhoneNumberFormat::E164).into_owned();
            let national = example.format_as(PhoneNumberFormat::National).into_owned();
            let at_home =
                PhoneNumber::parse(&national, Some(&Region(*home))).expect("a national number");
            assert_eq!(at_home.as_str(), e164, "{home} {national}");
            assert!(at_home.clone().reachable_by_sms().is_ok(), "{home} {e164}");
            for abroad in ["US", "RU", "IT", "CN", "AG"] {
                assert_eq!(
                    parse(&e164, Some(abroad)).expect("international"),
                    at_home,
                    "from {abroad}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_typed_panics_and_what_parses_reads_back(text in "\\+?(1|7|31|39|44|55|86|375)?[0-9 ()a-z.;=-]{0,16}") {
            for region in [None, Some("NL"), Some("US"), Some("IT"), Some("RU"), Some("AG")] {
                if let Ok(number) = parse(&text, region) {
                    prop_assert_eq!(parse(number.as_str(), region).expect("reads back"), number.clone());
                    number.facts();
                }
            }
        }
    }
}
