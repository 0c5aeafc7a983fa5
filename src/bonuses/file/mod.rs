//! Reading of bonus files, streamed and within bounds: unpacks an upload into UTF-8, splits that into records of one
//! number each, parses the numbers, and writes the cells of reports. It knows no database.

mod csv_scanner;
mod format;
mod numbers;
mod record;
mod record_reader;
mod record_scanner;
mod report;
#[cfg(test)]
mod tests;
mod unpack;
mod unpack_error;

pub use format::{Format, HEAD_LEN};
pub use numbers::{parse_number, parse_numbers};
pub use record::{MAX_RECORD_LEN, MAX_VALUE_LEN, Position, Record, RecordProblem};
pub use record_reader::RecordReader;
pub use report::{mask_value, report_cell};
pub use unpack::{Unpacked, unpack};
pub use unpack_error::UnpackError;
