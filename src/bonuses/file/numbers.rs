//! Phone numbers of bonus files, read as sign-up reads them.

use rayon::prelude::*;

use crate::platform::phone::{InvalidPhoneReason, PhoneNumber, Region};

/// Numbers that one core parses in one go.
const MIN_NUMBERS_PER_CORE: usize = 64;

/// The number that somebody who signs up with this text gets.
///
/// # Errors
/// The reason why sign-up would refuse it.
pub fn parse_number(
    text: &str,
    region: Option<&Region>,
) -> Result<PhoneNumber, InvalidPhoneReason> {
    PhoneNumber::parse_sms_capable(text, region)
}

/// [`parse_number`] of each text, in their order, spread over the cores. It blocks: call it in `spawn_blocking`, with
/// some thousand texts, as all results are in memory at once.
pub fn parse_numbers(
    texts: &[String],
    region: Option<&Region>,
) -> Vec<Result<PhoneNumber, InvalidPhoneReason>> {
    let texts = texts.par_iter().with_min_len(MIN_NUMBERS_PER_CORE);
    texts.map(|text| parse_number(text, region)).collect()
}
