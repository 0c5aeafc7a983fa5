//! Phone numbers: parsing, validation and formatting by the metadata of libphonenumber.

mod info;
mod invalid_reason;
mod key;
mod number;
mod parser;
mod region;
#[cfg(test)]
mod tests;

pub use info::{LineType, PhoneInfo};
pub use invalid_reason::InvalidPhoneReason;
pub use key::PhoneKey;
pub use number::{PhoneNumber, is_formatted_number};
pub use region::Region;
