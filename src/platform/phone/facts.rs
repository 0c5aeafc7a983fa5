//! What the metadata of libphonenumber knows of a number.

use std::borrow::Cow;

use rlibphonenumber::{self as lib, PhoneNumberFormat, PhoneNumberType};

use super::key::PhoneKey;

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

impl Facts {
    pub(super) fn of(number: &lib::PhoneNumber) -> Self {
        let judged = as_judged(number);
        let region = judged.get_region_code().map(|region| region.to_string());
        let written = |format| number.format_as(format).into_owned();
        Self {
            valid: judged.is_valid(),
            kind: judged.get_type().into(),
            country_code: region.filter(|code| code.len() == 2).unwrap_or_else(|| "001".into()),
            country_prefix: number.country_code,
            international: written(PhoneNumberFormat::International),
            national: written(PhoneNumberFormat::National),
            rfc3966: written(PhoneNumberFormat::RFC3966),
        }
    }
}

/// The number that the metadata is asked about: a mobile's number with a digit that its plan no longer has is as
/// good as the one without.
pub(super) fn as_judged(number: &lib::PhoneNumber) -> Cow<'_, lib::PhoneNumber> {
    let written = number.format_as(PhoneNumberFormat::E164);
    let key = PhoneKey::of(&written);
    if key.as_str() == written || number.is_valid() {
        return Cow::Borrowed(number);
    }
    let is_mobile = |number: &lib::PhoneNumber| {
        matches!(number.get_type(), PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile)
    };
    let without = lib::PhoneNumber::parse(key.as_str(), None).ok().filter(is_mobile);
    without.map_or(Cow::Borrowed(number), Cow::Owned)
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
