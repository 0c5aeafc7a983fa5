//! Reader of the records of a bonus file that arrives in chunks.

use super::format::Format;
use super::record::{MAX_RECORD_LEN, Position, Record, RecordProblem};
use super::record_scanner::{RecordScanner, find_line_break};

/// Splits a file into records. Feed it by [`push`](Self::push), take records until there is none, push again, and
/// [`finish`](Self::finish) at the end of the file. It holds a record of at most [`MAX_RECORD_LEN`] bytes and the last
/// chunk.
///
/// Lines end with `\n`, `\r\n` or `\r`. A record of more than [`MAX_RECORD_LEN`] bytes, or of several lines whose quote is
/// open at the end of the file, is one invalid record that ends at its first line break: reading goes on behind that,
/// with no quote open.
pub struct RecordReader {
    scanner: RecordScanner,
    /// What has been pushed; what lies before `start` has been read.
    buffer: Vec<u8>,
    start: usize,
    /// The place of `start` in the file.
    position: Position,
    /// Bytes from `start` on that have been scanned.
    scanned: usize,
    progress: Progress,
    skips_header: bool,
    is_finished: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Within a record, or before it.
    Scanning,
    /// The record has ended, with the last scanned byte as the first of its line break.
    AtLineBreak,
    /// The record cannot be read. Its first line break is searched.
    Skipping(RecordProblem),
}

/// What is read between two positions.
enum Part {
    /// Not even a header.
    BlankLine,
    /// A record, or None if nothing is written in its cells.
    Record(Option<Result<String, RecordProblem>>),
}

impl RecordReader {
    /// Reads from a position on: the start of the file, or the end of one of its records.
    pub fn new(format: Format, position: Position) -> Self {
        Self {
            scanner: RecordScanner::new(format),
            buffer: Vec::new(),
            start: 0,
            position,
            scanned: 0,
            progress: Progress::Scanning,
            skips_header: format.has_header() && position == Position::START,
            is_finished: false,
        }
    }

    /// Adds the next bytes of the file.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Says that the file ends here.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Whether [`finish`](Self::finish) was called.
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// The next record. None: the next chunk is needed, or the file is read.
    pub fn next_record(&mut self) -> Option<Record> {
        loop {
            let line = self.position.line;
            match self.next_part()? {
                Part::Record(_) if self.skips_header => self.skips_header = false,
                Part::Record(Some(value)) => {
                    return Some(Record { line, end: self.position, value });
                }
                Part::Record(None) | Part::BlankLine => {}
            }
        }
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn next_part(&mut self) -> Option<Part> {
        if self.progress == Progress::Scanning {
            self.scan();
        }
        match self.progress {
            Progress::Scanning if self.is_finished && self.scanned > 0 => {
                let record = self.buffer[self.start..][..self.scanned].trim_ascii_end();
                let has_one_line = find_line_break(record).is_none();
                if self.scanner.finish() || has_one_line {
                    return Some(self.take_record(self.scanned, 0));
                }
                self.begin_skipping(RecordProblem::OpenQuote);
                self.skip_line(RecordProblem::OpenQuote)
            }
            Progress::Scanning => None,
            Progress::AtLineBreak => {
                let len = self.scanned - 1;
                let line_break_len = self.line_break_len(len)?;
                Some(self.take_record(len, line_break_len))
            }
            Progress::Skipping(problem) => self.skip_line(problem),
        }
    }

    /// Scans what is left of the buffer, or what is allowed for a record.
    fn scan(&mut self) {
        let unread = &self.buffer[self.start..];
        let unscanned = &unread[self.scanned..unread.len().min(MAX_RECORD_LEN + 1)];
        let is_blank_line = self.scanned == 0 && matches!(unscanned, [b'\n' | b'\r', ..]);
        let record_end = if is_blank_line { Some(1) } else { self.scanner.scan(unscanned) };
        self.scanned += record_end.unwrap_or(unscanned.len());
        if record_end.is_some() {
            self.progress = Progress::AtLineBreak;
        } else if self.scanned > MAX_RECORD_LEN {
            self.begin_skipping(RecordProblem::LineTooLong);
        }
    }

    fn begin_skipping(&mut self, problem: RecordProblem) {
        self.scanner.reset();
        self.scanned = 0;
        self.progress = Progress::Skipping(problem);
    }

    /// Takes the scanned record and its line break out of the buffer.
    fn take_record(&mut self, len: usize, line_break_len: usize) -> Part {
        let record = &self.buffer[self.start..][..len];
        let value = self.scanner.take_value(record);
        let is_blank = record.trim_ascii().is_empty();
        self.advance(len + line_break_len);
        if is_blank { Part::BlankLine } else { Part::Record(value) }
    }

    /// Takes the first line of a record that cannot be read out of the buffer, or as much of it as there is.
    fn skip_line(&mut self, problem: RecordProblem) -> Option<Part> {
        let unread = &self.buffer[self.start..];
        let Some(len) = find_line_break(&unread[self.scanned..]).map(|at| self.scanned + at) else {
            self.advance(unread.len());
            if !self.is_finished {
                self.progress = Progress::Skipping(problem);
                return None;
            }
            return Some(Part::Record(Some(Err(problem))));
        };
        self.scanned = len;
        self.advance(len + self.line_break_len(len)?);
        Some(Part::Record(Some(Err(problem))))
    }

    /// Length of the line break that begins `at` bytes behind the start. None: the byte that decides is missing.
    fn line_break_len(&self, at: usize) -> Option<usize> {
        match self.buffer[self.start + at..] {
            [b'\r', b'\n', ..] => Some(2),
            [b'\r'] if !self.is_finished => None,
            _ => Some(1),
        }
    }

    fn advance(&mut self, len: usize) {
        let read = &self.buffer[self.start..][..len];
        self.position.offset += len as u64;
        self.position.line += count_line_breaks(read);
        self.start += len;
        self.scanned = 0;
        self.progress = Progress::Scanning;
    }
}

/// Line breaks in bytes that do not end within one.
fn count_line_breaks(bytes: &[u8]) -> u64 {
    let is_break = |at: &usize| match bytes[*at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..bytes.len()).filter(is_break).count() as u64
}
