//! Phone number in E.164.

use rlibphonenumber::{self as lib, PhoneNumberFormat};

use super::info::{LineType, PhoneInfo, valid_line_type};
use super::invalid_reason::InvalidPhoneReason;
use super::key::PhoneKey;
use super::parser;
use super::region::Region;
use crate::error::UserError;

/// A plus and 15 digits.
const MAX_E164_LEN: usize = 16;

/// A phone number in E.164 ("+31612345678") whose length fits a numbering plan. It need not be in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType)]
pub struct PhoneNumber(String);

impl sea_orm::TryFromU64 for PhoneNumber {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("PhoneNumber"))
    }
}

impl PhoneNumber {
    /// Parses a number as people type and paste it: in international form (also with 00 for the plus, or as a
    /// `tel:` URI) or, given a region, in that region's national form. Digits may be of any script; invisible
    /// characters are ignored. The first form in which the number is valid is used.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER with its reason.
    pub fn parse(text: &str, region: Option<&Region>) -> Result<Self, UserError> {
        Ok(Self::parse_with_lib(text, region)?.0)
    }

    fn parse_with_lib(
        text: &str,
        region: Option<&Region>,
    ) -> Result<(Self, lib::PhoneNumber), InvalidPhoneReason> {
        let number = parser::parse_in_any_form(text, region)?;
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        // The stored form must parse to the same number.
        let round_trips =
            lib::PhoneNumber::parse(&e164, None).is_ok_and(|reparsed| reparsed == number);
        if e164.len() > MAX_E164_LEN || !round_trips {
            return Err(InvalidPhoneReason::NotANumber);
        }
        Ok((Self(e164), number))
    }

    /// Parses like [`parse`](Self::parse) followed by [`into_sms_capable`](Self::into_sms_capable), but in less
    /// time, most of all mobile numbers in E.164.
    ///
    /// # Errors
    /// The reason of both.
    pub fn parse_sms_capable(
        text: &str,
        region: Option<&Region>,
    ) -> Result<Self, InvalidPhoneReason> {
        if parser::is_mobile_e164(text) {
            return Ok(Self(text.to_owned()));
        }
        let (number, lib_number) = Self::parse_with_lib(text, region)?;
        number.sms_capable(&lib_number)
    }

    /// E.164: a plus and at most 15 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Country code and number, without the plus.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// Masked form that shows the country code and the last three digits: "+31 •••••• 678".
    pub fn masked(&self) -> String {
        let prefix = self.info().country_prefix.to_string();
        let national = self.digits().strip_prefix(&prefix).unwrap_or_default();
        let (hidden, shown) = national.split_at(national.len().saturating_sub(3));
        format!("+{prefix} {} {shown}", "•".repeat(hidden.len()))
    }

    /// Parses digits that become a valid number if a plus is prepended.
    pub fn parse_without_plus(text: &str) -> Option<Self> {
        let number = Self::parse(&parser::prepend_plus(text)?, None).ok()?;
        number.info().is_valid.then_some(number)
    }

    /// Key for comparing numbers.
    pub fn key(&self) -> PhoneKey {
        PhoneKey::from_e164(&self.0)
    }

    /// All E.164 forms of this number, including itself: those with the same key.
    pub fn variants(&self) -> Vec<Self> {
        self.key().variants().map(Self).collect()
    }

    /// Details from the metadata of libphonenumber.
    pub fn info(&self) -> PhoneInfo {
        PhoneInfo::from_number(&lib::PhoneNumber::parse(&self.0, None).unwrap_or_default())
    }

    /// The form of this number that can receive SMS: a mobile number, or one whose numbering plan does not
    /// distinguish mobiles.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER: NOT_IN_USE outside the numbering plan, NO_SMS for other lines.
    pub fn into_sms_capable(self) -> Result<Self, UserError> {
        let lib_number = lib::PhoneNumber::parse(&self.0, None).unwrap_or_default();
        Ok(self.sms_capable(&lib_number)?)
    }

    fn sms_capable(self, lib_number: &lib::PhoneNumber) -> Result<Self, InvalidPhoneReason> {
        match valid_line_type(lib_number) {
            None => Err(InvalidPhoneReason::NotInUse),
            Some(LineType::Mobile | LineType::FixedLineOrMobile) => Ok(self),
            Some(_) => {
                let mobile = self
                    .variants()
                    .into_iter()
                    .find(|variant| variant.info().line_type == LineType::Mobile);
                mobile.ok_or(InvalidPhoneReason::NoSms)
            }
        }
    }
}

/// Whether a text contains only characters of formatted phone numbers, as in [`PhoneInfo::international`].
pub fn is_formatted_number(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || b" +-()./".contains(&b))
}
