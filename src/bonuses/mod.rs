//! Bonuses: coins for the phone numbers of a file.
//!
//! [`file`] reads such files: it unpacks them, splits them into records and parses the numbers.

pub mod file;
