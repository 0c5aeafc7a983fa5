//! Scanner of CSV records that arrive in pieces.

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use super::record::MAX_RECORD_LEN;

/// Finds the ends of fields and records. Quoted fields may contain delimiters and line breaks; two quotes in them are
/// one.
pub struct CsvScanner {
    reader: Reader,
    /// The content of the current field, so far.
    field: Vec<u8>,
    field_len: usize,
}

impl CsvScanner {
    pub fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        // No field of an accepted record is longer, and one byte must be free to go on.
        let mut scanner = Self { reader, field: vec![0; MAX_RECORD_LEN + 2], field_len: 0 };
        scanner.reset();
        scanner
    }

    /// Scans the next bytes of a record, and passes on the fields that end in them. Returns how many bytes belong to
    /// the record, with the first byte of its line break, if it ends in them. A record must not begin with a line
    /// break, and must have at most `MAX_RECORD_LEN + 1` bytes.
    pub fn scan(&mut self, bytes: &[u8], mut on_field: impl FnMut(&[u8])) -> Option<usize> {
        let mut scanned = 0;
        while scanned < bytes.len() {
            let (read, ends_record) = self.step(&bytes[scanned..], &mut on_field);
            scanned += read;
            if ends_record {
                self.reset();
                return Some(scanned);
            }
        }
        None
    }

    /// Ends the last record of a file, which has no line break. Returns whether it does end: a quote may be open.
    pub fn finish(&mut self, mut on_field: impl FnMut(&[u8])) -> bool {
        let ends = self.scan(b"\n", &mut on_field).is_some();
        if !ends {
            // Without input, the reader ends the record.
            self.step(&[], &mut on_field);
        }
        self.reset();
        ends
    }

    /// Forgets the current record.
    pub fn reset(&mut self) {
        self.reader.reset();
        self.field_len = 0;
        // An empty line, which is skipped. At its very start, the reader would drop a byte order mark, if it is in one piece.
        self.reader.read_field(b"\n", &mut self.field);
    }

    /// Reads to the end of a field or of the bytes. Returns the bytes read, and whether the record ends there.
    fn step(&mut self, bytes: &[u8], on_field: &mut impl FnMut(&[u8])) -> (usize, bool) {
        let output = &mut self.field[self.field_len..];
        let (result, read, written) = self.reader.read_field(bytes, output);
        self.field_len += written;
        match result {
            ReadFieldResult::Field { record_end } => {
                on_field(&self.field[..self.field_len]);
                self.field_len = 0;
                (read, record_end)
            }
            ReadFieldResult::InputEmpty => (read, false),
            ReadFieldResult::OutputFull | ReadFieldResult::End => (read, true),
        }
    }
}
