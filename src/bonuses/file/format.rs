//! Format of a bonus file, detected from its first line.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::csv_scanner::CsvScanner;
use super::record::MAX_RECORD_LEN;
use crate::platform::phone::is_formatted_number;

/// How many of the first bytes of a file [`Format::detect`] needs, unless the file is shorter.
pub const HEAD_LEN: usize = MAX_RECORD_LEN + 1;
/// The column of CSV and the field of NDJSON with the numbers.
const PHONE: &str = "phone";
/// Delimiters of CSV, the most likely one first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Format of the records of a bonus file. Can be stored, so that an import can go on without the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Format {
    /// One JSON object a line, with the number in `phone`.
    Ndjson,
    /// CSV with the numbers in a column.
    Csv {
        /// The byte between cells.
        delimiter: u8,
        /// Index of the column, from 0.
        column: usize,
        /// Whether the first line has the names of the columns.
        has_header: bool,
    },
    /// One number a line.
    Lines,
}

impl Format {
    /// Detects the format by the first line that is not blank, from the first [`HEAD_LEN`] bytes of a file: NDJSON if
    /// it begins with a brace, CSV if it has a delimiter or is the name of the column, else lines. The numbers of CSV
    /// are in the column `phone`, else in the first one; then the first line is a header if its first cell has no
    /// digit.
    pub fn detect(head: &[u8]) -> Self {
        let is_line_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let blank = &head[..head.len() - head.trim_ascii_start().len()];
        let head = &head[blank.iter().rposition(is_line_break).map_or(0, |at| at + 1)..];
        let line = head.split(is_line_break).next().unwrap_or_default();
        let has_delimiter = line.iter().any(|byte| DELIMITERS.contains(byte));
        match line {
            _ if line.trim_ascii_start().starts_with(b"{") => Self::Ndjson,
            _ if line.len() > MAX_RECORD_LEN && has_delimiter => {
                Self::Csv { delimiter: most_likely_split(line).0, column: 0, has_header: false }
            }
            _ if has_delimiter || is_phone(&cells(line, DELIMITERS[0])[0]) => {
                detect_csv(line, head)
            }
            _ => Self::Lines,
        }
    }

    /// Whether the first line is not a record.
    pub fn has_header(self) -> bool {
        matches!(self, Self::Csv { has_header: true, .. })
    }
}

fn detect_csv(line: &[u8], head: &[u8]) -> Format {
    let is_used = |delimiter: &u8| line.contains(delimiter);
    let used = DELIMITERS.into_iter().filter(is_used);
    // A line without a delimiter is the name of the only column.
    let with_phone = used.chain([DELIMITERS[0]]).find_map(|delimiter| {
        // The name of a column may have line breaks in quotes. A quote that stays open ends with its line.
        let header = first_record(head, delimiter).unwrap_or_else(|| cells(line, delimiter));
        let column = header.iter().position(|cell| is_phone(cell))?;
        Some(Format::Csv { delimiter, column, has_header: true })
    });
    with_phone.unwrap_or_else(|| {
        let (delimiter, first_cell) = most_likely_split(line);
        let has_header = !first_cell.contains(char::is_numeric);
        Format::Csv { delimiter, column: 0, has_header }
    })
}

/// The delimiter that leaves a number in the first cell, else the one that makes the most cells; and the first cell.
fn most_likely_split(line: &[u8]) -> (u8, String) {
    let mut splits = DELIMITERS.map(|delimiter| (delimiter, cells(line, delimiter)));
    splits.sort_by_key(|(_, cells)| Reverse((is_formatted_number(cells[0].trim()), cells.len())));
    let [(delimiter, cells), ..] = splits;
    (delimiter, cells.into_iter().next().unwrap_or_default())
}

/// The cells of the first record, if it ends.
fn first_record(head: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let head = &head[..head.len().min(MAX_RECORD_LEN + 1)];
    CsvScanner::new(delimiter).scan(head, |cell| cells.push(decode(cell)))?;
    Some(cells)
}

/// The cells of a line. At least one.
fn cells(line: &[u8], delimiter: u8) -> Vec<String> {
    let (mut cells, mut scanner) = (Vec::new(), CsvScanner::new(delimiter));
    let line = &line[..line.len().min(MAX_RECORD_LEN)];
    scanner.scan(line, |cell| cells.push(decode(cell)));
    scanner.finish(|cell| cells.push(decode(cell)));
    if cells.is_empty() {
        cells.push(String::new());
    }
    cells
}

fn decode(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).into_owned()
}

fn is_phone(cell: &str) -> bool {
    cell.trim().trim_start_matches('\u{feff}').eq_ignore_ascii_case(PHONE)
}
