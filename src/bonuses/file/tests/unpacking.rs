//! Tests of unpacking: gzip, encodings, and files that are refused.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::super::{UnpackError, Unpacked, unpack};
use super::*;
use crate::error::{Error, ErrorCode};
use crate::platform::vault::sha256;

const NO_LIMIT: u64 = u64::MAX;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("packed");
    encoder.finish().expect("packed")
}

fn utf16(text: &str, to_bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(to_bytes).collect()
}

fn unpack_all(file: &[u8]) -> Result<(String, Unpacked), UnpackError> {
    let mut content = Vec::new();
    let unpacked = unpack(file, &mut content, NO_LIMIT)?;
    assert_eq!(unpacked.bytes, content.len() as u64);
    assert_eq!(unpacked.sha256, sha256(&content));
    assert_eq!(unpacked.format, Format::detect(&content));
    Ok((String::from_utf8(content).expect("UTF-8"), unpacked))
}

fn text_of(file: &[u8]) -> String {
    unpack_all(file).expect("unpacked").0
}

fn refusal(file: &[u8]) -> String {
    unpack_all(file).expect_err("refused").to_string()
}

#[test]
fn every_packing_of_a_text_has_the_same_content() {
    let text = "name,phone\nZoë 😀,+31612345678\r\n";
    let with_bom = format!("\u{feff}{text}");
    let encodings = [
        text.as_bytes().to_vec(),
        with_bom.into_bytes(),
        utf16(text, u16::to_le_bytes),
        utf16(text, u16::to_be_bytes),
    ];
    for file in encodings {
        assert_eq!(text_of(&file), text, "{file:x?}");
        assert_eq!(text_of(&gzip(&file)), text, "{file:x?}");
        let (first, second) = file.split_at(file.len() / 2);
        assert_eq!(text_of(&[gzip(first), gzip(second)].concat()), text, "in two members");
    }
}

#[test]
fn invalid_sequences_are_replaced() {
    assert_eq!(text_of(b"+31\xff6\n+32\xc3"), "+31\u{fffd}6\n+32\u{fffd}");
    let half = [utf16("1\n2", u16::to_le_bytes), vec![0x00, 0xd8, b'\n', 0, b'3']].concat();
    assert_eq!(text_of(&half), "1\n2\u{fffd}\n\u{fffd}");
}

#[test]
fn files_without_text_are_refused_as_empty() {
    for file in ["", "\u{feff}", "\n", " \r\n\t\n"] {
        assert_eq!(refusal(file.as_bytes()), "The file is empty.", "{file:?}");
        assert_eq!(refusal(&gzip(file.as_bytes())), "The file is empty.", "{file:?}");
    }
    assert_eq!(refusal(&utf16("\n", u16::to_be_bytes)), "The file is empty.");
}

#[test]
fn files_that_are_not_text_are_refused() {
    let utf16_without_bom = &utf16("+31612345678\n", u16::to_le_bytes)[2..];
    let late_zero = [vec![b'\n'; 65_000], vec![0]].concat();
    for file in [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(),
        b"\xff\xd8\xff\xe0\x10JFIF",
        b"GIF89a\x01\x01",
        b"RIFF\x24\x01\x01\x01WEBPVP8 ",
        b"%PDF-1.7\n",
        b"PK\x03\x04\x14",
        b"Rar!\x1a\x07",
        b"7z\xbc\xaf\x27\x1c",
        b"BZh91AY",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd\x04",
        b"BM\x46\0\0\0",
        b"+31612345678\0\n",
        // UTF-32.
        b"\xff\xfe\0\0\x31\0\0\0",
        utf16_without_bom,
        &late_zero,
        &gzip(b"+31612345678\n"),
    ] {
        assert!(refusal(&gzip(file)).starts_with("The file is not text."), "{file:x?}");
        if !file.starts_with(b"\x1f\x8b") {
            assert!(refusal(file).starts_with("The file is not text."), "{file:x?}");
        }
    }
}

#[test]
fn damaged_gzip_is_refused() {
    let packed = gzip("+31612345678\n".repeat(1_000).as_bytes());
    let damaged = "The file is damaged: its gzip data cannot be unpacked to the end.";
    for len in [2, 3, 9, 12, packed.len() / 2, packed.len() - 1] {
        assert_eq!(refusal(&packed[..len]), damaged, "{len} bytes");
    }
    let mut wrong_checksum = packed.clone();
    wrong_checksum[packed.len() - 8] ^= 1;
    assert_eq!(refusal(&wrong_checksum), damaged);
    assert_eq!(refusal(&[&packed, b"more".as_slice()].concat()), damaged);
}

#[test]
fn the_unpacked_size_is_limited() {
    let bomb = gzip(&vec![b'\n'; 10_000_000]);
    let mut written = Vec::new();
    let error = unpack(bomb.as_slice(), &mut written, 100_000).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "The file is too large: unpacked, it may have at most 100000 bytes."
    );
    assert!(written.len() <= 100_000);
    for (max_bytes, is_accepted) in [(13, true), (12, false)] {
        let result = unpack(b"+31612345678\n".as_slice(), io::sink(), max_bytes);
        assert_eq!(result.is_ok(), is_accepted, "{max_bytes}");
    }
}

#[test]
fn errors_have_codes_at_the_file() {
    let io_error = || io::Error::other("disk");
    for (error, code, field) in [
        (UnpackError::Empty, ErrorCode::BadUserInput, Some("file")),
        (UnpackError::NotText, ErrorCode::BadUserInput, Some("file")),
        (UnpackError::DamagedGzip, ErrorCode::BadUserInput, Some("file")),
        (UnpackError::TooLarge { max_bytes: 1 }, ErrorCode::UploadTooLarge, Some("file")),
        (UnpackError::Io(io_error()), ErrorCode::InternalServerError, None),
    ] {
        let error = Error::from(error);
        assert_eq!((error.code(), error.user_errors()[0].field.as_deref()), (code, field));
    }
}

#[test]
fn a_failing_disk_is_not_a_bad_file() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk"))
        }
    }
    let packed = gzip(b"+31612345678\n");
    for start in [b"".as_slice(), b"+31612345678\n", &packed[..12]] {
        let result = unpack(start.chain(Failing), io::sink(), NO_LIMIT);
        assert!(matches!(result, Err(UnpackError::Io(_))), "{start:x?}: {result:?}");
    }
}

/// Returns one byte at a time.
struct Trickle<'f>(&'f [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

proptest! {
    #[test]
    fn packing_does_not_matter(text in "[0-9a\u{e9}\u{10437},\r\n]{0,200}") {
        let plain = unpack_all(text.as_bytes()).map_err(|error| error.to_string());
        for file in [
            gzip(text.as_bytes()),
            utf16(&text, u16::to_le_bytes),
            utf16(&text, u16::to_be_bytes),
            gzip(&utf16(&text, u16::to_be_bytes)),
        ] {
            prop_assert_eq!(&unpack_all(&file).map_err(|error| error.to_string()), &plain);
            let mut content = Vec::new();
            if unpack(Trickle(&file), &mut content, NO_LIMIT).is_ok() {
                prop_assert_eq!(content, text.as_bytes());
            }
        }
    }

    #[test]
    fn any_bytes_are_unpacked_or_refused(file in prop::collection::vec(any::<u8>(), 0..200), packs: bool) {
        let file = if packs { [&[0x1f, 0x8b, 8], file.as_slice()].concat() } else { file };
        let _ = unpack_all(&file);
    }
}

#[test]
fn a_stray_control_character_makes_no_file_unreadable() {
    let lines = "+31612345678\n".repeat(20);
    let stray = format!("{lines}+316\0 12345678\n{lines}");
    assert!(unpack(stray.as_bytes(), io::sink(), u64::MAX).is_ok());
    let many = format!("{lines}{}", "\0".repeat(10));
    assert!(matches!(unpack(many.as_bytes(), io::sink(), u64::MAX), Err(UnpackError::NotText)));
}
