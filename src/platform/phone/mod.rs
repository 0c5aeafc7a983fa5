//! Phone numbers by the metadata of libphonenumber: reading, writing, and what kind a number is.

use rlibphonenumber::{self as lib, PHONE_NUMBER_UTIL, PhoneNumberFormat};

use crate::error::Failure;

mod facts;
mod key;
mod reading;
mod reason;
#[cfg(test)]
mod tests;

pub use facts::{Facts, LineType};
pub use key::PhoneKey;
pub use reason::Reason;

/// A plus and 15 digits.
const MAX_E164_LEN: usize = 16;

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

impl PhoneNumber {
    /// Reads a number as people type and paste it: in international form, also with 00 for the plus or as a `tel:`
    /// URI, or, with a region, in that region's forms. Digits may be of any script; invisible characters do not
    /// count. A number that is valid in one of these ways is read in that one.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER with the reason.
    pub fn parse(text: &str, region: Option<&Region>) -> Result<Self, Failure> {
        let number = reading::read(text, region)?;
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        // What is kept must mean the same when it is read again.
        let reads_back = lib::PhoneNumber::parse(&e164, None).is_ok_and(|again| again == number);
        if e164.len() > MAX_E164_LEN || !reads_back {
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

    /// Reads digits that are a valid number once a plus stands before them.
    pub fn parse_without_plus(text: &str) -> Option<Self> {
        let number = Self::parse(&reading::lacks_plus(text)?, None).ok()?;
        number.facts().valid.then_some(number)
    }

    /// What it is compared by.
    pub fn key(&self) -> PhoneKey {
        PhoneKey::of(&self.0)
    }

    /// Every way of writing the number in E.164: those with the same key.
    pub fn forms(&self) -> Vec<Self> {
        self.key().forms().map(Self).collect()
    }

    /// What the metadata knows of it.
    pub fn facts(&self) -> Facts {
        Facts::of(&lib::PhoneNumber::parse(&self.0, None).unwrap_or_default())
    }

    /// The number, if an SMS can reach it: a mobile, or a number whose plan does not tell mobiles apart. Of its
    /// forms, the one that is a mobile.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER: NOT_IN_USE outside of the number plan, NO_SMS for other lines.
    pub fn reachable_by_sms(self) -> Result<Self, Failure> {
        let facts = self.facts();
        match facts.kind {
            _ if !facts.valid => Err(Reason::NotInUse.into()),
            LineType::Mobile | LineType::FixedLineOrMobile => Ok(self),
            _ => {
                let mobile =
                    self.forms().into_iter().find(|form| form.facts().kind == LineType::Mobile);
                mobile.ok_or_else(|| Reason::NoSms.into())
            }
        }
    }
}

/// Whether a text has only what phone numbers are written with, as in `Facts::international`.
pub fn is_written_number(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || b" +-()./".contains(&b))
}
