//! Tests of phone numbers: parsing, forms and details.

use proptest::prelude::*;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};

use super::*;
use crate::error::{ErrorCode, UserError};

fn parse(text: &str, region: Option<&str>) -> Result<PhoneNumber, UserError> {
    PhoneNumber::parse(text, region.map(|code| Region::parse(code).expect("a region")).as_ref())
}

fn reason_of(text: &str, region: Option<&str>) -> &'static str {
    let failure = parse(text, region).and_then(PhoneNumber::into_sms_capable).expect_err(text);
    assert_eq!(failure.code, ErrorCode::InvalidPhoneNumber);
    failure.reason.expect("a reason")
}

#[test]
fn different_notations_parse_to_one_number() {
    for (text, region) in [
        ("+31612345678", None),
        (" +31 6 12345678 ", None),
        ("+31 (0)6-1234 5678", None),
        ("\u{ff0b}31 6 12345678", None),
        ("\u{202a}+31 6 12345678\u{202c}", None),
        ("\u{2068}+31612345678\u{2069}", None),
        ("+31\u{200e}6\u{ad}123\u{fe0f}45678\u{feff}", None),
        ("+31\u{3000}6\u{a0}1234\u{2011}5678\n", None),
        ("\u{fe62}31 6 1234\u{2212}5678", None),
        ("tel:+31-6-12345678", None),
        ("TEL:+31-6-12345678;npdi", None),
        ("tel:06-12345678;phone-context=+31", None),
        ("tel:612345678;phone-context=+31", Some("US")),
        ("tel:+31612345678;phone-context=+1", None),
        ("tel:06-12345678;phone-context=example.org", Some("NL")),
        ("0031612345678", None),
        ("00 31 (0)6 12345678", None),
        ("(0031) 6 12345678", None),
        ("+0031 6 12345678", None),
        ("0031612345678", Some("US")),
        ("\u{660}\u{660}31612345678", None),
        ("+31612345678", Some("US")),
        ("06 12345678", Some("NL")),
        ("0031612345678", Some("NL")),
        (
            "\u{ff0b}\u{ff13}\u{ff11}\u{ff16}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}\u{ff17}\u{ff18}",
            None,
        ),
        ("+\u{663}\u{661}\u{666}\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}\u{668}", None),
    ] {
        assert_eq!(parse(text, region).expect(text).as_str(), "+31612345678", "{text}");
    }
}

#[test]
fn invalid_numbers_have_a_reason() {
    for (text, region, reason) in [
        ("", None, "NOT_A_NUMBER"),
        ("hello", None, "NOT_A_NUMBER"),
        ("0612345678", None, "INVALID_COUNTRY_CODE"),
        ("+999123456789", None, "INVALID_COUNTRY_CODE"),
        ("+31 6 1", None, "TOO_SHORT"),
        ("+3161234567", None, "NOT_IN_USE"),
        ("+31612345678901", None, "TOO_LONG"),
        ("+31 20 794 0800", None, "NO_SMS"),
        ("+1 000 000 0000", None, "NOT_IN_USE"),
        ("+31612345678 ext. 5", None, "NOT_A_NUMBER"),
        ("+78888", None, "TOO_SHORT"),
        ("+31 6 1234567O", None, "NOT_A_NUMBER"),
        ("31612345678", None, "INVALID_COUNTRY_CODE"),
        ("0099912345678", None, "INVALID_COUNTRY_CODE"),
        ("0031 6 1", None, "TOO_SHORT"),
        ("tel:+31-6-12345678;ext=5", None, "NOT_A_NUMBER"),
        ("tel:+31-6-12345678;isub=5", None, "NOT_A_NUMBER"),
        ("tel:06-12345678", None, "INVALID_COUNTRY_CODE"),
        ("tel:06-12345678;phone-context=example.org", None, "INVALID_COUNTRY_CODE"),
        ("tel:", None, "NOT_A_NUMBER"),
        ("tel:tel:+31612345678", None, "NOT_A_NUMBER"),
        ("+31612345678#5", None, "NOT_A_NUMBER"),
        ("\u{200e}\u{200f}", None, "NOT_A_NUMBER"),
    ] {
        assert_eq!(reason_of(text, region), reason, "{text}");
    }
    assert_eq!(reason_of(&"1".repeat(1_000_000), None), "TOO_LONG");
    assert!(
        Region::parse("XX").is_err() && Region::parse("").is_err() && Region::parse("001").is_err()
    );
}

#[test]
fn bracketed_trunk_zeros_are_dropped() {
    for (text, e164) in [
        ("+34 (0) 612 34 56 78", "+34612345678"),
        ("+39 (0)6 1234 5678", "+390612345678"),
        ("+44 (0)7400 123456", "+447400123456"),
        ("0034 (0)612345678", "+34612345678"),
    ] {
        assert_eq!(parse(text, None).expect(text).as_str(), e164, "{text}");
    }
}

#[test]
fn national_numbers_are_parsed_in_their_region() {
    for (text, region, e164) in [
        ("0612345678", "NL", "+31612345678"),
        ("31612345678", "NL", "+31612345678"),
        ("2015550123", "US", "+12015550123"),
    ] {
        assert_eq!(parse(text, Some(region)).expect(text).as_str(), e164, "{text}");
    }
}

#[test]
fn missing_pluses_are_prepended_on_request() {
    let parse =
        |text| PhoneNumber::parse_without_plus(text).map(|number| number.as_str().to_owned());
    for text in ["31612345678", "31 6 1234-5678", "\u{200e}\u{663}\u{661}612345678"] {
        assert_eq!(parse(text).as_deref(), Some("+31612345678"), "{text}");
    }
    for text in ["", "1", "0612345678", "+31612345678", "31612345", "ann31612345678", "tel:"] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn optional_digits_are_stored_but_not_compared() {
    let parse_equal = |texts: &[&str]| {
        let numbers = texts.iter().map(|text| parse(text, None).expect(text));
        let numbers: Vec<PhoneNumber> = numbers.collect();
        assert!(numbers.windows(2).all(|pair| pair[0].key() == pair[1].key()), "{numbers:?}");
        numbers
    };
    let argentina = parse_equal(&["+54 9 11 2345-6789", "+54 11 2345-6789", "+54 11 15 2345-6789"]);
    assert_eq!(argentina[1].as_str(), "+541123456789");
    let mobile = argentina[1].clone().into_sms_capable().expect("a mobile number with the 9");
    assert_eq!(mobile, argentina[0]);
    let mexico = parse_equal(&["+52 1 55 1234 5678", "+52 55 1234 5678"]);
    assert_eq!(mexico[0].as_str(), "+5215512345678");
    assert_eq!(mexico[0].clone().into_sms_capable().expect("as given"), mexico[0]);
    assert_eq!(parse("1 55 1234 5678", Some("MX")).expect("a number"), mexico[0]);
    let info = mexico[0].info();
    assert_eq!((info.is_valid, info.country_code.as_str()), (true, "MX"));
    assert_eq!(info.line_type, LineType::FixedLineOrMobile);
    // Toll-free numbers have no optional digit.
    assert!(!parse("+54 9 800 555 1234", None).is_ok_and(|number| number.info().is_valid));
    assert_eq!(reason_of("+54 800 555 1234", None), "NO_SMS");
}

#[test]
fn details_come_from_the_numbering_plan() {
    let info = parse("+31612345678", None).expect("a number").info();
    assert_eq!(
        info,
        PhoneInfo {
            is_valid: true,
            line_type: LineType::Mobile,
            country_code: "NL".into(),
            country_prefix: 31,
            international: "+31 6 12345678".into(),
            national: "06 12345678".into(),
            rfc3966: "tel:+31-6-12345678".into(),
        }
    );
}

#[test]
fn masked_numbers_show_the_country_and_three_digits() {
    for (number, masked) in [
        ("+31612345678", "+31 •••••• 678"),
        ("+12015550123", "+1 ••••••• 123"),
        ("+2250701234567", "+225 ••••••• 567"),
    ] {
        assert_eq!(parse(number, None).expect(number).masked(), masked);
    }
}

#[test]
fn leading_zeros_and_international_services_are_recognised() {
    for (text, kind, country) in [
        ("+2250701234567", LineType::Mobile, "CI"),
        ("+242061234567", LineType::Mobile, "CG"),
        ("+390612345678", LineType::FixedLine, "IT"),
        ("+78001234567", LineType::TollFree, "RU"),
        ("+80012345678", LineType::TollFree, "001"),
    ] {
        for region in [None, Some("US"), Some("NL"), Some("RU")] {
            let number = parse(text, region).expect(text);
            assert_eq!(number.as_str(), text, "with {region:?}");
            let info = number.info();
            assert_eq!(
                (info.is_valid, info.line_type, info.country_code.as_str()),
                (true, kind, country),
                "{text}"
            );
        }
    }
}

#[test]
fn mobile_numbers_of_every_region_parse_from_any_region() {
    let regions: Vec<_> = PHONE_NUMBER_UTIL.get_supported_regions().collect();
    assert!(regions.len() > 200);
    for home in &regions {
        let example = PHONE_NUMBER_UTIL
            .get_example_number_for_type_and_region(*home, PhoneNumberType::Mobile);
        let Ok(example) = example else { continue };
        let e164 = example.format_as(PhoneNumberFormat::E164).into_owned();
        let national = example.format_as(PhoneNumberFormat::National).into_owned();
        let at_home =
            PhoneNumber::parse(&national, Some(&Region(*home))).expect("a national number");
        assert_eq!(at_home.as_str(), e164, "{home} {national}");
        assert!(at_home.clone().into_sms_capable().is_ok(), "{home} {e164}");
        for abroad in ["US", "RU", "IT", "CN", "AG"] {
            assert_eq!(
                parse(&e164, Some(abroad)).expect("international"),
                at_home,
                "from {abroad}"
            );
        }
    }
}

/// The table is made with another implementation of libphonenumber, by `tests/data/phone_numbers.py`.
#[test]
fn numbers_of_all_regions_parse_in_all_forms() {
    let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/phone_numbers.csv"));
    let mut regions = std::collections::BTreeSet::new();
    for line in table.lines().skip(1) {
        let [region, _, e164, international, national, uri] =
            line.split(',').collect::<Vec<_>>().try_into().expect(line);
        let digits = &e164[1..];
        let mut forms = vec![
            (e164.to_owned(), None),
            (e164.to_owned(), Some("US")),
            (international.to_owned(), None),
            (format!("\u{202a}{international}\u{202c}"), None),
            (uri.to_owned(), None),
            (uri.to_owned(), Some("RU")),
            (format!("00{digits}"), None),
            (format!("00{digits}"), Some("NL")),
        ];
        if !national.is_empty() {
            forms.push((national.to_owned(), Some(region)));
        }
        for (text, home) in forms {
            let number = parse(&text, home).unwrap_or_else(|_| panic!("{text} {home:?}: {line}"));
            assert_eq!(number.as_str(), e164, "{text} from {home:?}");
        }
        let number = parse(e164, None).expect(e164);
        assert!(number.info().is_valid, "{line}");
        assert_eq!(PhoneNumber::parse_without_plus(digits), Some(number.clone()), "{line}");
        assert_eq!(number.info().rfc3966, uri);
        assert!(number.variants().contains(&number));
        regions.insert(region);
    }
    assert!(regions.len() > 240, "{}", regions.len());
}

proptest! {
    #[test]
    fn parsing_never_panics_and_round_trips(text in "\\+?(1|7|31|39|44|55|86|375)?[0-9 ()a-z.;=-]{0,16}") {
        for region in [None, Some("NL"), Some("US"), Some("IT"), Some("RU"), Some("AG")] {
            if let Ok(number) = parse(&text, region) {
                prop_assert_eq!(parse(number.as_str(), region).expect("round trip"), number.clone());
                number.info();
            }
        }
    }
}
