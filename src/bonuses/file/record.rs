//! Record of a bonus file: one phone number, or what is wrong with it.

use serde::{Deserialize, Serialize};

/// The most bytes of a record, without its line break.
pub const MAX_RECORD_LEN: usize = 64 * 1024;
/// The most bytes of a value, without the blanks around it. A number of this length is invalid in any notation.
pub const MAX_VALUE_LEN: usize = 1024;

/// A place in the unpacked file, between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes before it.
    pub offset: u64,
    /// Number of the line that begins here, from 1.
    pub line: u64,
}

impl Position {
    /// The start of a file.
    pub const START: Self = Self { offset: 0, line: 1 };
}

/// A record. Blank lines and the header are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of the line in which it begins, from 1.
    pub line: u64,
    /// The place behind it and its line break, from which reading can go on.
    pub end: Position,
    /// The phone number as it is written, without the blanks around it. Never empty.
    pub value: Result<String, RecordProblem>,
}

/// Why a record has no phone number to parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordProblem {
    /// More than [`MAX_RECORD_LEN`] bytes.
    LineTooLong,
    /// A quote that is not closed.
    OpenQuote,
    /// A value of more than [`MAX_VALUE_LEN`] bytes.
    TooLong,
    /// The value has bytes that are no text.
    NotText,
    /// Not a JSON object, or one whose `phone` is neither a string nor an integer.
    InvalidJson,
    /// The phone's column or field is missing or empty.
    NoPhone,
}

impl RecordProblem {
    /// Name in reports. TOO_LONG is what a phone number of that length is, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "LINE_TOO_LONG",
            Self::OpenQuote => "OPEN_QUOTE",
            Self::TooLong => "TOO_LONG",
            Self::NotText => "NOT_TEXT",
            Self::InvalidJson => "INVALID_JSON",
            Self::NoPhone => "NO_PHONE",
        }
    }
}
