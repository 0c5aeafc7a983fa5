//! Detects pictures that are also something else.

/// A tag's name followed by this many text characters is markup. Random bytes rarely are.
const MIN_MARKUP_TEXT_LEN: usize = 4;

/// Whether other programs would open the same bytes as HTML, script, PDF or archive.
pub fn is_polyglot(file: &[u8]) -> bool {
    const MARKUP: [&[u8]; 7] =
        [b"<script", b"<html", b"<svg", b"<!doctype", b"<?php", b"<iframe", b"<body"];
    let is_text = |rest: &[u8]| {
        rest.first().is_some_and(|byte| b" \t\r\n/>".contains(byte))
            && rest
                .iter()
                .take(MIN_MARKUP_TEXT_LEN)
                .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
    };
    let is_markup = |rest: &[u8]| {
        let starts_with = |tag: &&[u8]| {
            let (name, rest) = rest.split_at_checked(tag.len())?;
            Some(name.eq_ignore_ascii_case(tag) && is_text(rest))
        };
        MARKUP.iter().any(|tag| starts_with(tag) == Some(true))
    };
    let has_markup =
        file.iter().enumerate().any(|(at, byte)| *byte == b'<' && is_markup(&file[at..]));
    // A comment start, which turns the rest into a script. In a photo with Exif the same two bytes are a length.
    let is_script = file.get(6..8) == Some(b"/*")
        || (file.get(4..6) == Some(b"/*") && file.get(6..10) != Some(b"Exif"));
    let is_pdf = file[..file.len().min(1024)].windows(5).any(|bytes| bytes == b"%PDF-");
    has_markup || is_script || is_pdf || is_archive(file)
}

/// Whether the file ends like a ZIP: with an end-of-directory record and a comment of the stated length.
fn is_archive(file: &[u8]) -> bool {
    const END_RECORD_LEN: usize = 22;
    let tail_start = file.len().saturating_sub(END_RECORD_LEN + usize::from(u16::MAX));
    let tail = &file[tail_start..];
    tail.windows(END_RECORD_LEN).enumerate().any(|(at, end)| {
        let comment = usize::from(u16::from_le_bytes([end[20], end[21]]));
        end.starts_with(b"PK\x05\x06") && at + END_RECORD_LEN + comment <= tail.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_detected_and_random_bytes_are_not() {
        // A fixed random sequence in place of compressed data.
        let mut state = 1_u64;
        let mut noise = Vec::new();
        for _ in 0..1 << 20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.extend_from_slice(&state.to_be_bytes()[..4]);
        }
        for (at, tag) in [(9, "<svg"), (70_000, "<SvG"), (300_001, "<html"), (900_000, "<?PHP")] {
            noise[at..at + tag.len()].copy_from_slice(tag.as_bytes());
        }
        assert!(!is_polyglot(&noise));
        for markup in ["<svg onload=alert(1)>", "<SCRIPT>alert(1)</script>", "<svg/>"] {
            assert!(is_polyglot(&[&noise, markup.as_bytes()].concat()), "{markup}");
        }
    }
}
