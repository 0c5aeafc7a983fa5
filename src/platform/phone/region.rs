//! Region with a numbering plan.

use rlibphonenumber::{self as lib, PHONE_NUMBER_UTIL};

use crate::error::UserError;

/// A region with a numbering plan: an ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(pub(super) lib::Region);

impl Region {
    /// Parses a code in upper or lower case.
    ///
    /// # Errors
    /// BAD_USER_INPUT
    pub fn parse(code: &str) -> Result<Self, UserError> {
        let region = lib::Region::from_code(&code.trim().to_ascii_uppercase()).ok();
        let has_plan = |region: &lib::Region| {
            PHONE_NUMBER_UTIL.get_supported_regions().any(|supported| supported == *region)
        };
        let unknown = || UserError::bad_input("This is not an ISO 3166-1 alpha-2 country code.");
        region.filter(has_plan).map(Self).ok_or_else(unknown)
    }
}

impl Region {
    /// The code in upper case, such as "NL".
    pub fn code(self) -> String {
        format!("{:?}", self.0).to_uppercase()
    }
}

impl From<lib::Region> for Region {
    fn from(region: lib::Region) -> Self {
        Self(region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back() {
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            let region = Region(region);
            assert_eq!(Region::parse(&region.code()), Ok(region));
        }
    }
}
