//! Scanner of records in any format: finds their ends, and the phone number in them.

use serde::Deserialize;
use serde_json::Value;

use super::csv_scanner::CsvScanner;
use super::format::Format;
use super::record::{MAX_VALUE_LEN, RecordProblem};

/// Scans one record after the other.
pub enum RecordScanner {
    /// One number a line.
    Lines,
    /// One JSON object a line.
    Ndjson,
    /// CSV.
    Csv(Box<CsvColumn>),
}

impl RecordScanner {
    pub fn new(format: Format) -> Self {
        match format {
            Format::Lines => Self::Lines,
            Format::Ndjson => Self::Ndjson,
            Format::Csv { delimiter, column, .. } => {
                let scanner = CsvScanner::new(delimiter);
                Self::Csv(Box::new(CsvColumn { scanner, column, cells: Cells::default() }))
            }
        }
    }

    /// Scans the next bytes of a record. Returns how many belong to it, with the first byte of its line break, if it
    /// ends in them. The limits of [`CsvScanner::scan`] apply.
    pub fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Lines | Self::Ndjson => find_line_break(bytes).map(|at| at + 1),
            Self::Csv(csv) => csv.scanner.scan(bytes, |cell| csv.cells.add(cell, csv.column)),
        }
    }

    /// Ends the last record of a file, which has no line break. Returns whether it does end: a quote may be open.
    pub fn finish(&mut self) -> bool {
        match self {
            Self::Lines | Self::Ndjson => true,
            Self::Csv(csv) => csv.scanner.finish(|cell| csv.cells.add(cell, csv.column)),
        }
    }

    /// The phone number of the record that has ended. None: nothing is written in it.
    pub fn take_value(&mut self, record: &[u8]) -> Option<Result<String, RecordProblem>> {
        match self {
            Self::Lines => check_value(record),
            Self::Ndjson => Some(parse_json(record.trim_ascii())),
            Self::Csv(csv) => std::mem::take(&mut csv.cells).into_value(),
        }
    }

    /// Forgets the current record.
    pub fn reset(&mut self) {
        if let Self::Csv(csv) = self {
            csv.scanner.reset();
            csv.cells = Cells::default();
        }
    }
}

/// Index of the first byte of the first line break.
pub fn find_line_break(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Reads one column of CSV.
pub struct CsvColumn {
    scanner: CsvScanner,
    column: usize,
    cells: Cells,
}

/// What is kept of the cells of a record.
#[derive(Default)]
struct Cells {
    count: usize,
    has_text: bool,
    value: Option<Result<String, RecordProblem>>,
}

impl Cells {
    fn add(&mut self, cell: &[u8], column: usize) {
        if self.count == column {
            self.value = check_value(cell);
        }
        self.has_text |= !cell.trim_ascii().is_empty();
        self.count += 1;
    }

    fn into_value(self) -> Option<Result<String, RecordProblem>> {
        self.value.or_else(|| self.has_text.then_some(Err(RecordProblem::NoPhone)))
    }
}

/// A number as it is written, without the blanks around it. None: only blanks.
fn check_value(value: &[u8]) -> Option<Result<String, RecordProblem>> {
    let text = String::from_utf8_lossy(value);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match text {
        "" => None,
        _ if text.len() > MAX_VALUE_LEN => Some(Err(RecordProblem::TooLong)),
        _ if text.contains(char::REPLACEMENT_CHARACTER) => Some(Err(RecordProblem::NotText)),
        _ => Some(Ok(text.to_owned())),
    }
}

#[derive(Deserialize)]
struct JsonRecord {
    phone: Option<Value>,
}

fn parse_json(line: &[u8]) -> Result<String, RecordProblem> {
    // Serde would also take an array for an object.
    let is_object = line.starts_with(b"{");
    let record = is_object.then(|| serde_json::from_slice::<JsonRecord>(line).ok()).flatten();
    let phone = match record.ok_or(RecordProblem::InvalidJson)?.phone {
        None | Some(Value::Null) => return Err(RecordProblem::NoPhone),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        Some(_) => return Err(RecordProblem::InvalidJson),
    };
    check_value(phone.as_bytes()).unwrap_or(Err(RecordProblem::NoPhone))
}
