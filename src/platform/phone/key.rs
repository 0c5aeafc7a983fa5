//! What phone numbers are compared by.

/// Countries whose numbers people write with and without a digit, and which they are: Argentina's mobiles have a
/// 9 when they are called from abroad, Mexico's had a 1 until 2019. What follows has [`NATIONAL_LEN`] digits.
const OPTIONAL_DIGITS: [(&str, &str); 2] = [("+54", "9"), ("+52", "1")];
const NATIONAL_LEN: usize = 10;

/// What a phone number is compared by: the same for all ways of writing one number in E.164.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType)]
pub struct PhoneKey(String);

impl sea_orm::TryFromU64 for PhoneKey {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("PhoneKey"))
    }
}

impl PhoneKey {
    pub(super) fn of(e164: &str) -> Self {
        let without = |(country, digit): &(&str, &str)| {
            let national = e164.strip_prefix(country)?.strip_prefix(digit)?;
            (national.len() == NATIONAL_LEN).then(|| format!("{country}{national}"))
        };
        Self(OPTIONAL_DIGITS.iter().find_map(without).unwrap_or_else(|| e164.to_owned()))
    }

    /// In the form of E.164, without the optional digit. Other numbers with it are the same one, so it is for
    /// comparing alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every way of writing the number in E.164.
    pub(super) fn forms(&self) -> impl Iterator<Item = String> {
        let with = |(country, digit): &(&str, &str)| {
            let national = self.0.strip_prefix(country)?;
            (national.len() == NATIONAL_LEN).then(|| format!("{country}{digit}{national}"))
        };
        let with = OPTIONAL_DIGITS.iter().find_map(with);
        std::iter::once(self.0.clone()).chain(with)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_optional_digit_does_not_count() {
        for (number, key) in [
            ("+5491123456789", "+541123456789"),
            ("+541123456789", "+541123456789"),
            ("+5215512345678", "+525512345678"),
            ("+525512345678", "+525512345678"),
            // Elsewhere, and in numbers of another length, it does.
            ("+549112345678", "+549112345678"),
            ("+52155123456789", "+52155123456789"),
            ("+31612345678", "+31612345678"),
            ("+5511987654321", "+5511987654321"),
        ] {
            assert_eq!(PhoneKey::of(number).as_str(), key, "{number}");
        }
    }

    proptest! {
        #[test]
        fn all_forms_have_one_key(number in "\\+(54|549|52|521|31|1)[0-9]{6,12}") {
            let key = PhoneKey::of(&number);
            let forms: Vec<String> = key.forms().collect();
            prop_assert!(forms.contains(&number));
            for form in forms {
                prop_assert_eq!(&PhoneKey::of(&form), &key);
            }
        }
    }
}
