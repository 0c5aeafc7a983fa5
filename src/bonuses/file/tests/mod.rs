//! Tests of bonus files: unpacking, formats, records and numbers.

mod formats;
mod numbers;
mod records;
mod records_in_pieces;
mod unpacking;

use super::{Format, Position, Record, RecordProblem, RecordReader};

/// All records of a file that arrives in one piece.
fn read(content: &[u8]) -> Vec<Record> {
    read_chunks(Format::detect(content), Position::START, [content])
}

fn read_chunks<'c>(
    format: Format,
    position: Position,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> Vec<Record> {
    let mut reader = RecordReader::new(format, position);
    let mut records = Vec::new();
    for chunk in chunks {
        reader.push(chunk);
        records.extend(std::iter::from_fn(|| reader.next_record()));
    }
    reader.finish();
    records.extend(std::iter::from_fn(|| reader.next_record()));
    records
}

/// Line and value of each record.
fn values<'r>(records: &'r [Record]) -> Vec<(u64, Result<&'r str, RecordProblem>)> {
    let value = |record: &'r Record| record.value.as_deref().map_err(|problem| *problem);
    records.iter().map(|record| (record.line, value(record))).collect()
}
