//! Details of a phone number: validity, line type, country and formats.

use std::borrow::Cow;

use rlibphonenumber::{self as lib, PhoneNumberFormat, PhoneNumberType};

use super::key::PhoneKey;

/// Details of a phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneInfo {
    /// Whether it is valid in its country's numbering plan.
    pub is_valid: bool,
    /// Type of line.
    pub line_type: LineType,
    /// ISO 3166-1 alpha-2, or "001" for international services.
    pub country_code: String,
    /// Country calling code, without plus.
    pub country_prefix: i32,
    /// "+31 6 12345678"
    pub international: String,
    /// "06 12345678"
    pub national: String,
    /// "tel:+31-6-12345678" (RFC 3966)
    pub rfc3966: String,
}

/// Type of line in a numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "standard names")]
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

impl PhoneInfo {
    pub(super) fn from_number(number: &lib::PhoneNumber) -> Self {
        let canonical = without_optional_digit(number);
        let region = canonical.get_region_code().map(|region| region.to_string());
        let format = |format| number.format_as(format).into_owned();
        Self {
            is_valid: canonical.is_valid(),
            line_type: canonical.get_type().into(),
            country_code: region.filter(|code| code.len() == 2).unwrap_or_else(|| "001".into()),
            country_prefix: number.country_code,
            international: format(PhoneNumberFormat::International),
            national: format(PhoneNumberFormat::National),
            rfc3966: format(PhoneNumberFormat::RFC3966),
        }
    }
}

/// Type of line of a number that is valid in its country's numbering plan.
pub(super) fn valid_line_type(number: &lib::PhoneNumber) -> Option<LineType> {
    let canonical = without_optional_digit(number);
    canonical.is_valid().then(|| canonical.get_type().into())
}

/// Removes the optional digit of a mobile number (see [`PhoneKey`]) if the number is only valid without it.
pub(super) fn without_optional_digit(number: &lib::PhoneNumber) -> Cow<'_, lib::PhoneNumber> {
    let e164 = number.format_as(PhoneNumberFormat::E164);
    let key = PhoneKey::from_e164(&e164);
    if key.as_str() == e164 || number.is_valid() {
        return Cow::Borrowed(number);
    }
    let is_mobile = |number: &lib::PhoneNumber| {
        matches!(number.get_type(), PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile)
    };
    let shortened = lib::PhoneNumber::parse(key.as_str(), None).ok().filter(is_mobile);
    shortened.map_or(Cow::Borrowed(number), Cow::Owned)
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
