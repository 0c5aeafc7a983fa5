//! Unpacks an uploaded bonus file into UTF-8 without a byte order mark.

use std::io::{self, ErrorKind, Read, Write};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use flate2::read::MultiGzDecoder;

use super::format::{Format, HEAD_LEN};
use super::unpack_error::UnpackError;
use crate::platform::vault::{Hash, Sha256};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How pictures, documents, archives and compressed files begin. Other kinds have many control characters.
const BINARY_MAGIC: [&[u8]; 13] = [
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"%PDF-",
    b"%!PS",
    b"PK\x03\x04",
    b"Rar!",
    b"7z\xbc\xaf",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    &GZIP_MAGIC,
];
/// Enough for every magic and byte order mark.
const MAGIC_LEN: usize = 8;
const CHUNK_LEN: usize = 64 * 1024;
/// Content with more control characters than one in so many bytes, without blanks, is no text.
const MIN_BYTES_PER_CONTROL: usize = 100;

/// What was unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes of the unpacked content.
    pub bytes: u64,
    /// SHA-256 of the unpacked content.
    pub sha256: Hash,
    /// The format of its records.
    pub format: Format,
}

/// Writes the content of a file as UTF-8: gzip is unpacked, UTF-16 is transcoded, the byte order mark is left out, and
/// each invalid sequence becomes U+FFFD. It blocks: call it in `spawn_blocking`. After an error, what has been written
/// is worthless.
pub fn unpack(
    file: impl Read,
    content: impl Write,
    max_bytes: u64,
) -> Result<Unpacked, UnpackError> {
    let (magic, file) = peek(file).map_err(UnpackError::Io)?;
    match magic.starts_with(&GZIP_MAGIC) {
        true => transcode(MultiGzDecoder::new(file), content, max_bytes, read_gzip_error),
        false => transcode(file, content, max_bytes, UnpackError::Io),
    }
}

fn read_gzip_error(error: io::Error) -> UnpackError {
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            UnpackError::DamagedGzip
        }
        _ => UnpackError::Io(error),
    }
}

fn transcode(
    bytes: impl Read,
    content: impl Write,
    max_bytes: u64,
    read_error: impl Fn(io::Error) -> UnpackError,
) -> Result<Unpacked, UnpackError> {
    let (magic, mut bytes) = peek(bytes).map_err(&read_error)?;
    if BINARY_MAGIC.iter().any(|binary| magic.starts_with(binary)) {
        return Err(UnpackError::NotText);
    }
    let (encoding, bom_len) = Encoding::for_bom(&magic).unwrap_or((UTF_8, 0));
    io::copy(&mut bytes.by_ref().take(bom_len as u64), &mut io::sink()).map_err(&read_error)?;

    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut writer = TextWriter::new(content, max_bytes);
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        let len = read_chunk(&mut bytes, &mut chunk).map_err(&read_error)?;
        decode(&mut decoder, &chunk[..len], len == 0, &mut writer)?;
        if len == 0 {
            return writer.finish();
        }
    }
}

fn read_chunk(bytes: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match bytes.read(chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn decode(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    is_last: bool,
    writer: &mut TextWriter<impl Write>,
) -> Result<(), UnpackError> {
    let mut text = [0; 8 * 1024];
    loop {
        let (result, read, written, _) = decoder.decode_to_utf8(bytes, &mut text, is_last);
        writer.write(&text[..written])?;
        bytes = &bytes[read..];
        if result == CoderResult::InputEmpty {
            return Ok(());
        }
    }
}

/// The first bytes, and a reader of all.
fn peek<R: Read>(mut bytes: R) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut magic = Vec::with_capacity(MAGIC_LEN);
    bytes.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut magic)?;
    Ok((magic.clone(), io::Cursor::new(magic).chain(bytes)))
}

/// Writes text, counts and hashes it, and refuses what is not text.
struct TextWriter<W> {
    content: W,
    max_bytes: u64,
    bytes: u64,
    hash: Sha256,
    /// The first [`HEAD_LEN`] bytes.
    head: Vec<u8>,
    has_text: bool,
}

impl<W: Write> TextWriter<W> {
    fn new(content: W, max_bytes: u64) -> Self {
        let (hash, head) = (Sha256::default(), Vec::new());
        Self { content, max_bytes, bytes: 0, hash, head, has_text: false }
    }

    fn write(&mut self, text: &[u8]) -> Result<(), UnpackError> {
        self.bytes += text.len() as u64;
        if self.bytes > self.max_bytes {
            return Err(UnpackError::TooLarge { max_bytes: self.max_bytes });
        }
        let head = &text[..text.len().min(HEAD_LEN - self.head.len())];
        self.head.extend_from_slice(head);
        if self.head.len() == HEAD_LEN && !head.is_empty() {
            self.ensure_text()?;
        }
        self.has_text = self.has_text || !text.trim_ascii().is_empty();
        self.hash.update(text);
        self.content.write_all(text).map_err(UnpackError::Io)
    }

    /// One line with a stray control character makes no file unreadable, but other kinds of files are full of them.
    fn ensure_text(&self) -> Result<(), UnpackError> {
        let visible = self.head.iter().filter(|byte| !byte.is_ascii_whitespace());
        let controls = visible.clone().filter(|byte| byte.is_ascii_control()).count();
        match controls * MIN_BYTES_PER_CONTROL > visible.count() {
            true => Err(UnpackError::NotText),
            false => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Unpacked, UnpackError> {
        self.ensure_text()?;
        if !self.has_text {
            return Err(UnpackError::Empty);
        }
        self.content.flush().map_err(UnpackError::Io)?;
        let format = Format::detect(&self.head);
        Ok(Unpacked { bytes: self.bytes, sha256: self.hash.finish(), format })
    }
}
