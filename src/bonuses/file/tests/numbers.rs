//! Tests of numbers: they are read as sign-up reads them.

use proptest::prelude::*;

use super::super::{parse_number, parse_numbers};
use crate::error::UserError;
use crate::platform::phone::{InvalidPhoneReason, PhoneNumber, Region};

const REGIONS: [Option<&str>; 8] =
    [None, Some("NL"), Some("US"), Some("IT"), Some("RU"), Some("AR"), Some("MX"), Some("CN")];

fn region(code: Option<&str>) -> Option<Region> {
    code.map(|code| Region::parse(code).expect("a region"))
}

fn as_at_signup(text: &str, region: Option<&Region>) -> Result<PhoneNumber, UserError> {
    PhoneNumber::parse(text, region).and_then(PhoneNumber::into_sms_capable)
}

fn assert_as_at_signup(text: &str) {
    for code in REGIONS {
        let region = region(code);
        let number = parse_number(text, region.as_ref()).map_err(UserError::from);
        assert_eq!(number, as_at_signup(text, region.as_ref()), "{text:?} in {code:?}");
    }
}

#[test]
fn one_number_in_three_notations_is_one_number() {
    let region = region(Some("NL"));
    let texts = ["+31612345678", "06 1234 5678", "0031 (0)6-12345678"].map(String::from);
    let numbers = parse_numbers(&texts, region.as_ref());
    assert!(numbers.iter().all(|number| number.as_ref().is_ok_and(|n| n.as_str() == texts[0])));
}

#[test]
fn refused_numbers_have_the_reason_of_signup() {
    for (text, reason) in [
        ("hello", InvalidPhoneReason::NotANumber),
        ("+31 6 1", InvalidPhoneReason::TooShort),
        ("+31612345678901", InvalidPhoneReason::TooLong),
        ("0612345678", InvalidPhoneReason::InvalidCountryCode),
        ("+3161234567", InvalidPhoneReason::NotInUse),
        ("+31207940800", InvalidPhoneReason::NoSms),
    ] {
        assert_eq!(parse_number(text, None), Err(reason), "{text}");
    }
}

#[test]
fn numbers_keep_their_order() {
    let texts: Vec<String> = (0..2_000).map(|n| format!("+3161234{n:04}")).collect();
    let numbers = parse_numbers(&texts, None);
    let numbers = numbers.into_iter().map(|number| number.expect("a number").as_str().to_owned());
    assert_eq!(numbers.collect::<Vec<_>>(), texts);
}

/// The table is made with another implementation of libphonenumber, by `tests/data/phone_numbers.py`.
#[test]
fn numbers_of_all_regions_are_read_as_at_signup() {
    let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/phone_numbers.csv"));
    for line in table.lines().skip(1) {
        let e164 = line.split(',').nth(2).expect(line);
        assert_as_at_signup(e164);
        assert_as_at_signup(&e164[1..]);
        // One digit too few, too many, and another.
        assert_as_at_signup(&e164[..e164.len() - 1]);
        assert_as_at_signup(&format!("{e164}5"));
        assert_as_at_signup(&format!("{}7", &e164[..e164.len() - 1]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn generated_numbers_are_read_as_at_signup(text in prop_oneof![
        "\\+[0-9]{0,17}",
        "\\+(1|7|39|44|49|52|521|54|549|55|86|225|316|800)[0-9]{6,11}",
        "(00|0|\\+)?(31|1|39|54)?[0-9 ()a-z.;=-]{0,16}",
        ".{0,20}",
    ]) {
        assert_as_at_signup(&text);
    }
}
