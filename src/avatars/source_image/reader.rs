//! Reads the bytes of a file from an offset on.

/// A position in a file.
pub struct Reader<'f> {
    file: &'f [u8],
    offset: usize,
}

impl<'f> Reader<'f> {
    /// A reader at this offset, which is at most the file's length.
    pub fn new(file: &'f [u8], offset: usize) -> Self {
        Self { file, offset }
    }

    /// The next bytes. None: there are not as many.
    pub fn take(&mut self, bytes: usize) -> Option<&'f [u8]> {
        let taken = self.rest().get(..bytes)?;
        self.offset += bytes;
        Some(taken)
    }

    /// The next byte.
    pub fn take_byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    /// The next bytes, as many as the array has.
    pub fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// What was read and skipped so far.
    pub fn read(&self) -> &'f [u8] {
        &self.file[..self.offset]
    }

    /// What is not yet read.
    pub fn rest(&self) -> &'f [u8] {
        &self.file[self.offset..]
    }
}
