//! Tests of format detection.

use super::super::{Format, HEAD_LEN, MAX_RECORD_LEN};

const fn csv(delimiter: u8, column: usize, has_header: bool) -> Format {
    Format::Csv { delimiter, column, has_header }
}

#[test]
fn formats_are_detected_by_the_first_line() {
    for (head, format) in [
        ("", Format::Lines),
        ("\n \n", Format::Lines),
        ("+31612345678", Format::Lines),
        ("+31612345678\n{\"phone\":\"+31612345679\"}", Format::Lines),
        ("+31612345678\nname,phone\n", Format::Lines),
        ("telephone\n+31612345678\n", Format::Lines),
        ("{\"phone\":\"+31612345678\"}\n", Format::Ndjson),
        ("\n {\"phone\":\"+31612345678\"}\n", Format::Ndjson),
        ("{", Format::Ndjson),
        ("phone", csv(b',', 0, true)),
        ("\r\n \n\" Phone \"\r+31612345678", csv(b',', 0, true)),
        ("name,phone\n", csv(b',', 1, true)),
        ("name; PHONE ;city\n", csv(b';', 1, true)),
        ("name\tphone", csv(b'\t', 1, true)),
        ("\t\n\r\tphone\n", csv(b'\t', 1, true)),
        (" \n\n,\"na\nme\",phone\n", csv(b',', 2, true)),
        ("phone,phone", csv(b',', 0, true)),
        // Another delimiter in a cell.
        ("\"a,b,c\";phone\n", csv(b';', 1, true)),
        ("a,b,c;phone", csv(b';', 1, true)),
        // A name of a column with a line break.
        ("name,\"The\nfull name\",phone\n", csv(b',', 2, true)),
        // Without a column of this name, the first one, which may have a name or a number.
        ("number,name\n", csv(b',', 0, true)),
        (",name\n", csv(b',', 0, true)),
        ("+31612345678,Ann\n", csv(b',', 0, false)),
        ("\"0612345678\";\"Ann, Bob\"\n", csv(b';', 0, false)),
        ("+31612345678;Ann, Bob, Cid\n", csv(b';', 0, false)),
        ("Ann, Bob;+31612345678;Oslo\n", csv(b';', 0, true)),
        ("\u{663}\u{661};Ann\n", csv(b';', 0, false)),
        ("+31612345678\t", csv(b'\t', 0, false)),
        ("telephone,phones\n", csv(b',', 0, true)),
    ] {
        assert_eq!(Format::detect(head.as_bytes()), format, "{head:?}");
    }
}

#[test]
fn a_first_line_that_is_too_long_is_no_header() {
    let long = |text: &str| [text, &"x".repeat(MAX_RECORD_LEN)].concat();
    for (head, format) in [
        (long("name;phone;"), csv(b';', 0, false)),
        (long("name"), Format::Lines),
        (long("{"), Format::Ndjson),
        // A quote that stays open ends with its line.
        (["name,phone,\"city\n", &long("+316")].concat(), csv(b',', 1, true)),
    ] {
        assert_eq!(Format::detect(&head.as_bytes()[..HEAD_LEN]), format, "{}", &head[..20]);
    }
}

#[test]
fn formats_can_be_stored() {
    for format in [Format::Lines, Format::Ndjson, csv(b'\t', 7, true)] {
        let stored = serde_json::to_string(&format).expect("JSON");
        assert_eq!(serde_json::from_str::<Format>(&stored).expect(&stored), format);
    }
}
