//! Key for comparing phone numbers.

/// Country codes and a digit that may follow or not: Argentina's mobile numbers have a 9 when called from abroad,
/// Mexico's had a 1 until 2019. [`NATIONAL_LEN`] digits follow.
const OPTIONAL_DIGITS: [(&str, &str); 2] = [("+54", "9"), ("+52", "1")];
const NATIONAL_LEN: usize = 10;

/// Key of a phone number: the same for all E.164 forms of one number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType)]
pub struct PhoneKey(String);

impl sea_orm::TryFromU64 for PhoneKey {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("PhoneKey"))
    }
}

impl PhoneKey {
    pub(super) fn from_e164(e164: &str) -> Self {
        let strip_optional_digit = |(country, digit): &(&str, &str)| {
            let national = e164.strip_prefix(country)?.strip_prefix(digit)?;
            (national.len() == NATIONAL_LEN).then(|| format!("{country}{national}"))
        };
        Self(
            OPTIONAL_DIGITS
                .iter()
                .find_map(strip_optional_digit)
                .unwrap_or_else(|| e164.to_owned()),
        )
    }

    /// E.164 without the optional digit. Only for comparing: the number may need the digit to be called.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All E.164 forms of the number.
    pub(super) fn variants(&self) -> impl Iterator<Item = String> {
        let insert_optional_digit = |(country, digit): &(&str, &str)| {
            let national = self.0.strip_prefix(country)?;
            (national.len() == NATIONAL_LEN).then(|| format!("{country}{digit}{national}"))
        };
        let with_optional_digit = OPTIONAL_DIGITS.iter().find_map(insert_optional_digit);
        std::iter::once(self.0.clone()).chain(with_optional_digit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn optional_digits_are_ignored() {
        for (number, key) in [
            ("+5491123456789", "+541123456789"),
            ("+541123456789", "+541123456789"),
            ("+5215512345678", "+525512345678"),
            ("+525512345678", "+525512345678"),
            // Not in other countries, nor in numbers of another length.
            ("+549112345678", "+549112345678"),
            ("+52155123456789", "+52155123456789"),
            ("+31612345678", "+31612345678"),
            ("+5511987654321", "+5511987654321"),
        ] {
            assert_eq!(PhoneKey::from_e164(number).as_str(), key, "{number}");
        }
    }

    proptest! {
        #[test]
        fn all_variants_have_one_key(number in "\\+(54|549|52|521|31|1)[0-9]{6,12}") {
            let key = PhoneKey::from_e164(&number);
            let variants: Vec<String> = key.variants().collect();
            prop_assert!(variants.contains(&number));
            for variant in variants {
                prop_assert_eq!(&PhoneKey::from_e164(&variant), &key);
            }
        }
    }
}
