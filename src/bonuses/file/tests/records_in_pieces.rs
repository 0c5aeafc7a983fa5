//! Tests of records that arrive in chunks, of reading on from the end of a record, and of the memory that this takes.

use proptest::prelude::*;

use super::super::MAX_RECORD_LEN;
use super::*;

/// Files of few lines that are full of what matters to the scanners.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => "[0-9a\",;\t\r\n {}]{1,6}".prop_map(String::into_bytes),
        2 => Just(b"+31612345678".to_vec()),
        2 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\n\"".to_vec()),
        1 => Just(b"\"\r".to_vec()),
        1 => Just(b"{\"phone\":\"1\"}\n".to_vec()),
        1 => Just("\u{feff}".into()),
        1 => Just(vec![0xff]),
        1 => (MAX_RECORD_LEN - 4..MAX_RECORD_LEN + 4).prop_map(|len| vec![b'7'; len]),
    ];
    let start =
        prop_oneof![Just(""), Just("phone\n"), Just("name;phone\r\n"), Just("{\n"), Just("1,2\r")];
    (start, prop::collection::vec(part, 0..24))
        .prop_map(|(start, parts)| [start.as_bytes(), &parts.concat()].concat())
}

fn cut(content: &[u8], lens: Vec<usize>) -> Vec<&[u8]> {
    let (mut chunks, mut rest) = (Vec::new(), content);
    for len in lens.into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(len.min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn chunks_do_not_matter(
        content in content(),
        lens in prop::collection::vec(prop_oneof![1..4_usize, 1..100_000_usize], 1..8),
    ) {
        let format = Format::detect(&content);
        let whole = read(&content);
        prop_assert_eq!(&read_chunks(format, Position::START, cut(&content, lens)), &whole);
        if content.len() < 1_000 {
            prop_assert_eq!(&read_chunks(format, Position::START, cut(&content, vec![1])), &whole);
        }
    }

    #[test]
    fn reading_goes_on_behind_any_record(content in content()) {
        let format = Format::detect(&content);
        let records = read(&content);
        for (at, record) in records.iter().enumerate() {
            let rest = &content[usize::try_from(record.end.offset).expect("within the file")..];
            prop_assert_eq!(&read_chunks(format, record.end, [rest]), &records[at + 1..]);
        }
    }

    #[test]
    fn records_come_in_order_and_end_behind_their_line(content in content()) {
        let (mut before, len) = (Position::START, content.len() as u64);
        for record in read(&content) {
            prop_assert!(record.line >= before.line && record.end.line >= record.line);
            prop_assert!(record.end.offset > before.offset && record.end.offset <= len);
            before = record.end;
        }
    }

    #[test]
    fn a_record_and_a_chunk_are_held_at_most(content in content(), chunk_len in 1..100_000_usize) {
        let mut reader = RecordReader::new(Format::detect(&content), Position::START);
        for chunk in content.chunks(chunk_len) {
            reader.push(chunk);
            prop_assert!(reader.buffered() <= MAX_RECORD_LEN + 2 + chunk.len());
            while reader.next_record().is_some() {}
        }
    }
}

#[test]
fn a_line_without_end_is_not_held() {
    for start in ["", "1,", "\"", "{\"phone\":\""] {
        let mut reader = RecordReader::new(Format::detect(start.as_bytes()), Position::START);
        reader.push(start.as_bytes());
        for _ in 0..1_000 {
            assert_eq!(reader.next_record(), None);
            assert!(reader.buffered() <= MAX_RECORD_LEN + 2 + 10_000);
            reader.push(&[b'7'; 10_000]);
        }
        reader.push(b"\n1,2\n");
        let record = reader.next_record().expect("the long one");
        assert_eq!((record.line, record.value), (1, Err(RecordProblem::LineTooLong)));
        assert_eq!(record.end, Position { offset: start.len() as u64 + 10_000_001, line: 2 });
    }
}
