//! Tests of records: values, line numbers, positions, and records that are invalid.

use super::super::{MAX_RECORD_LEN, MAX_VALUE_LEN, Position};
use super::*;

const BROKEN: Result<&str, RecordProblem> = Err(RecordProblem::LineTooLong);

#[test]
fn each_line_is_a_number() {
    let records = read(b"\n+31 6 12345678\r\n \t \r0612345679  \r\r\nnobody\n\n+4915112345678");
    assert_eq!(
        values(&records),
        [
            (2, Ok("+31 6 12345678")),
            (4, Ok("0612345679")),
            (6, Ok("nobody")),
            (8, Ok("+4915112345678"))
        ]
    );
    let ends = records.iter().map(|record| (record.end.offset, record.end.line));
    assert_eq!(ends.collect::<Vec<_>>(), [(17, 3), (34, 5), (43, 7), (58, 8)]);
}

#[test]
fn csv_has_a_column_of_numbers() {
    let content = "name;phone;city\r\nAnn;+31612345678;Oslo\r\n\r\n\"Bob; the\nbuilder\";\" 06 \"\"1\"\" \"\r\n;;\n\
                   Cid;;\nDan\n\"Eve\";\"+31612345679";
    assert_eq!(
        values(&read(content.as_bytes())),
        [
            (2, Ok("+31612345678")),
            (4, Ok("06 \"1\"")),
            (7, Err(RecordProblem::NoPhone)),
            (8, Err(RecordProblem::NoPhone)),
            (9, Ok("+31612345679")),
        ]
    );
}

#[test]
fn only_the_first_line_can_be_a_header() {
    let header = read(b"number,name\n,,\n+31612345678,Ann\nnumber,name\n");
    assert_eq!(values(&header), [(3, Ok("+31612345678")), (4, Ok("number"))]);
    let empty_cells = read(b",,\n+31612345678,Ann\n");
    assert_eq!(values(&empty_cells), [(2, Ok("+31612345678"))]);
    assert_eq!(values(&read(b"+31612345678,Ann\n+31612345679,Bob")).len(), 2);
    assert_eq!(values(&read(b"phone\n+31612345678\n")), [(2, Ok("+31612345678"))]);
    assert_eq!(values(&read(b"phone\n")), []);
}

#[test]
fn ndjson_has_the_number_in_a_field() {
    let invalid = Err(RecordProblem::InvalidJson);
    for (line, value) in [
        (r#"{"phone":"+31612345678"}"#, Ok("+31612345678")),
        (r#" {"name":"Ann","phone":" \u002b31612345678 ","more":[{}]} "#, Ok("+31612345678")),
        (r#"{"phone":31612345678}"#, Ok("31612345678")),
        (r#"{"phone":null}"#, Err(RecordProblem::NoPhone)),
        (r#"{"phone":" "}"#, Err(RecordProblem::NoPhone)),
        (r#"{"Phone":"+31612345678"}"#, Err(RecordProblem::NoPhone)),
        (r#"{"phone":3.1e10}"#, invalid),
        (r#"{"phone":-31612345678}"#, invalid),
        (r#"{"phone":["+31612345678"]}"#, invalid),
        (r#"{"phone":"+31612345678","phone":"+31612345679"}"#, invalid),
        (r#"{"phone":"+31612345678"} {}"#, invalid),
        (r#"["+31612345678"]"#, invalid),
        (r#"{"phone":"+31612345678"#, invalid),
        ("+31612345678", invalid),
        (&format!(r#"{{"phone":"1","deep":{}}}"#, "[".repeat(50_000)), invalid),
    ] {
        let content = format!("{{\"phone\":\"1\"}}\n{line}\n");
        assert_eq!(values(&read(content.as_bytes())), [(1, Ok("1")), (2, value)], "{line}");
    }
}

#[test]
fn long_values_and_invalid_bytes_make_one_line_invalid() {
    let long = "7".repeat(MAX_VALUE_LEN);
    let content = format!("{long}\n{long}7\n  +31\u{fffd}612345678\n+31612345678\n");
    assert_eq!(
        values(&read(content.as_bytes())),
        [
            (1, Ok(long.as_str())),
            (2, Err(RecordProblem::TooLong)),
            (3, Err(RecordProblem::NotText)),
            (4, Ok("+31612345678")),
        ]
    );
    // In other columns they do no harm.
    assert_eq!(values(&read("+31612345678,Ren\u{fffd}\n".as_bytes())), [(1, Ok("+31612345678"))]);
}

#[test]
fn records_of_the_maximum_length_are_read() {
    let name = "x".repeat(MAX_RECORD_LEN - "1,".len());
    for line_break in ["\n", "\r\n", "\r", ""] {
        let fits = format!("1,{name}{line_break}");
        assert_eq!(values(&read(fits.as_bytes())), [(1, Ok("1"))], "{line_break:?}");
        let too_long = format!("1,{name}x{line_break}");
        assert_eq!(values(&read(too_long.as_bytes())), [(1, BROKEN)], "{line_break:?}");
    }
    let quoted = "\n".repeat(MAX_RECORD_LEN - "1,\"\"".len());
    let records = read(format!("1,\"{quoted}\"\n2,\n").as_bytes());
    assert_eq!(values(&records), [(1, Ok("1")), (quoted.len() as u64 + 2, Ok("2"))]);
}

#[test]
fn a_record_that_is_too_long_is_one_invalid_line() {
    let long = "x".repeat(3 * MAX_RECORD_LEN);
    for line_break in ["\n", "\r\n", "\r"] {
        let lines = ["1", &long, "2", &long].join(line_break);
        let expected = [(1, Ok("1")), (2, BROKEN), (3, Ok("2")), (4, BROKEN)];
        assert_eq!(values(&read(lines.as_bytes())), expected, "{line_break:?}");
        let csv = ["1,", &format!("\"2\",{long}"), "3,"].join(line_break);
        assert_eq!(values(&read(csv.as_bytes())), [(1, Ok("1")), (2, BROKEN), (3, Ok("3"))]);
    }
}

#[test]
fn an_open_quote_ends_with_its_line() {
    let rest: Vec<String> = (3..20_000).map(|number| format!("+{number},name\n")).collect();
    let records = read(format!("phone,name\n\"+2,Bob\n{}", rest.concat()).as_bytes());
    assert_eq!(values(&records[..2]), [(2, BROKEN), (3, Ok("+3"))]);
    assert_eq!(records.len(), 20_000 - 2);
    assert!(records[1..].iter().all(|record| record.value == Ok(format!("+{}", record.line))));
    // A quote that is closed in time is no mistake. One that is open at the end of the file hides no line.
    let closed = read(b"phone,name\n\"+2\n+3\",Bob\n+4,\n\"+5,\n+6,\n");
    let open = Err(RecordProblem::OpenQuote);
    assert_eq!(values(&closed), [(2, Ok("+2\n+3")), (4, Ok("+4")), (5, open), (6, Ok("+6"))]);
    let last = read(b"phone,name\n+2,\"Bob\n");
    assert_eq!(values(&last), [(2, Ok("+2"))], "it hides nothing");
}

#[test]
fn every_line_can_leave_a_quote_open() {
    let line = "1\",\"\n";
    let count = MAX_RECORD_LEN / line.len() + 10;
    let records = read(line.repeat(count).as_bytes());
    assert_eq!(values(&records[..9]), (1..=9).map(|line| (line, BROKEN)).collect::<Vec<_>>());
}

#[test]
fn a_position_can_be_stored() {
    let position = Position { offset: 1 << 40, line: 7 };
    let stored = serde_json::to_string(&position).expect("JSON");
    assert_eq!(serde_json::from_str::<Position>(&stored).expect(&stored), position);
}
