//! Content sniffing of image files without decoding them: detects the format, counts frames or scans, and rejects files
//! that are truncated or also something else.

use image::ImageFormat;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The most frames of an animation.
const MAX_FRAMES: usize = 500;
/// The most scans of a JPEG. Each is decoded over the whole picture; progressive files have about ten.
const MAX_SCANS: usize = 64;

/// Why an image file is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsupportedImage {
    /// Not an accepted format, truncated, or also valid as another kind of file.
    Format,
    /// Too many bytes, pixels, frames or scans.
    TooLarge,
}

/// Detects the format of a file by its content, and checks the file.
pub fn sniff_format(file: &[u8]) -> Result<ImageFormat, UnsupportedImage> {
    let format = match file {
        _ if file.starts_with(PNG) => ImageFormat::Png,
        [0xff, 0xd8, 0xff, ..] => ImageFormat::Jpeg,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => ImageFormat::Gif,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ImageFormat::WebP,
        _ => return Err(UnsupportedImage::Format),
    };
    let (count, max) = match format {
        ImageFormat::Png => (count_png_frames(file), MAX_FRAMES),
        ImageFormat::Jpeg => (count_jpeg_scans(file), MAX_SCANS),
        ImageFormat::Gif => (count_gif_frames(file), MAX_FRAMES),
        _ => (count_webp_frames(file), MAX_FRAMES),
    };
    match count {
        None => Err(UnsupportedImage::Format),
        Some(count) if count > max => Err(UnsupportedImage::TooLarge),
        Some(_) if is_polyglot(file) => Err(UnsupportedImage::Format),
        Some(_) => Ok(format),
    }
}

/// A tag's name followed by this many text characters is markup. Random bytes rarely are.
const MIN_MARKUP_TEXT_LEN: usize = 4;

/// Whether other programs would open the same bytes as HTML, script, PDF or archive.
fn is_polyglot(file: &[u8]) -> bool {
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

/// Reads a file from an offset on.
struct Reader<'f> {
    file: &'f [u8],
    offset: usize,
}

impl<'f> Reader<'f> {
    fn new(file: &'f [u8], offset: usize) -> Self {
        Self { file, offset }
    }

    fn take(&mut self, bytes: usize) -> Option<&'f [u8]> {
        let end = self.offset.checked_add(bytes)?;
        let taken = self.file.get(self.offset..end)?;
        self.offset = end;
        Some(taken)
    }

    fn take_byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Whether only padding is left.
    fn has_only_padding(&self) -> bool {
        self.file[self.offset..].iter().all(|byte| *byte == 0)
    }
}

/// The number of frames of a PNG. None: the file is truncated (PNG specification, third edition).
fn count_png_frames(file: &[u8]) -> Option<usize> {
    let (mut reader, mut frames) = (Reader::new(file, PNG.len()), 0);
    loop {
        match next_png_chunk(&mut reader)? {
            (b"fcTL", _) => frames += 1,
            (b"IEND", _) => return reader.has_only_padding().then_some(frames),
            _ => {}
        }
    }
}

/// The next chunk of a PNG: its type, and all its bytes.
fn next_png_chunk<'f>(reader: &mut Reader<'f>) -> Option<(&'f [u8], &'f [u8])> {
    let start = reader.offset;
    let length = usize::try_from(u32::from_be_bytes(reader.take_array()?)).ok()?;
    let kind = reader.take(4)?;
    reader.take(length.checked_add(4)?)?;
    Some((kind, &reader.file[start..reader.offset]))
}

/// A PNG reduced to its pixels and orientation. Compressed profiles and texts could unpack to any size.
pub fn strip_png(file: &[u8]) -> Vec<u8> {
    const ALLOWED_CHUNKS: [&[u8]; 6] = [b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"];
    let mut reader = Reader::new(file, PNG.len());
    let chunks = std::iter::from_fn(|| next_png_chunk(&mut reader));
    let kept = chunks.filter(|(kind, _)| ALLOWED_CHUNKS.contains(kind)).map(|(_, chunk)| chunk);
    std::iter::once(PNG).chain(kept).collect::<Vec<_>>().concat()
}

/// The number of scans of a JPEG. None: it has no end (ITU-T T.81, annex B). Data after the end is accepted: phones put
/// videos and previews there.
fn count_jpeg_scans(file: &[u8]) -> Option<usize> {
    let (mut reader, mut scans) = (Reader::new(file, 2), 0);
    loop {
        // Between segments is scan data, where 0xFF is followed by 0 or is a restart marker.
        while reader.take_byte()? != 0xff {}
        let mut marker = reader.take_byte()?;
        while marker == 0xff {
            marker = reader.take_byte()?;
        }
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            0xd9 => return (scans > 0).then_some(scans),
            _ => {
                scans += usize::from(marker == 0xda);
                let length = usize::from(u16::from_be_bytes(reader.take_array()?));
                reader.take(length.checked_sub(2)?)?;
            }
        }
    }
}

/// The number of frames of a GIF. None: the file is truncated (GIF89a).
fn count_gif_frames(file: &[u8]) -> Option<usize> {
    fn color_table_len(flags: u8) -> usize {
        if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
    }
    fn skip_blocks(reader: &mut Reader<'_>) -> Option<()> {
        loop {
            match reader.take_byte()? {
                0 => return Some(()),
                length => reader.take(usize::from(length))?,
            };
        }
    }
    // Decoders allocate the whole frame, even if the screen is small.
    fn fits_screen(frame: [u8; 9], screen: [u8; 7]) -> bool {
        let number = |bytes: &[u8], at| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let fits = |at| number(&frame, at) + number(&frame, at + 4) <= number(&screen, at);
        fits(0) && fits(2)
    }
    let (mut reader, mut frames) = (Reader::new(file, 6), 0);
    let screen: [u8; 7] = reader.take_array()?;
    reader.take(color_table_len(screen[4]))?;
    loop {
        match reader.take_byte()? {
            0x3b => return (frames > 0 && reader.has_only_padding()).then_some(frames),
            0x21 => {
                reader.take_byte()?;
                skip_blocks(&mut reader)?;
            }
            0x2c => {
                frames += 1;
                let frame: [u8; 9] = reader.take_array()?;
                if !fits_screen(frame, screen) {
                    return None;
                }
                reader.take(color_table_len(frame[8]))?;
                reader.take_byte()?;
                skip_blocks(&mut reader)?;
            }
            _ => return None,
        }
    }
}

/// The number of frames of a WebP. None: the file is truncated (RFC 9649).
fn count_webp_frames(file: &[u8]) -> Option<usize> {
    let mut header = Reader::new(file, 4);
    let length = usize::try_from(u32::from_le_bytes(header.take_array()?)).ok()?;
    let end = length.checked_add(8).filter(|end| *end <= file.len())?;
    let (mut reader, mut frames) = (Reader::new(&file[..end], 12), 0);
    while reader.offset < end {
        let kind: [u8; 4] = reader.take_array()?;
        let length = usize::try_from(u32::from_le_bytes(reader.take_array()?)).ok()?;
        reader.take(length)?;
        // Some encoders omit the padding after an odd length at the end of the file.
        reader.take((length % 2).min(end - reader.offset))?;
        frames += usize::from(kind == *b"ANMF");
    }
    Reader::new(file, end).has_only_padding().then_some(frames)
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

    #[test]
    fn gif_frames_must_fit_the_screen() {
        let gif_with_frame = |width: u16, height: u16| {
            let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
            let frame = [&[0x2c, 1, 0, 1, 0], &size[..], &[0, 2, 1, 0, 0, 0x3b]].concat();
            [&b"GIF89a\x08\x00\x08\x00\x00\x00\x00"[..], &frame].concat()
        };
        assert_eq!(count_gif_frames(&gif_with_frame(7, 7)), Some(1));
        for (width, height) in [(8, 7), (7, 8), (65_535, 600), (65_535, 65_535)] {
            assert_eq!(
                count_gif_frames(&gif_with_frame(width, height)),
                None,
                "{width} x {height}"
            );
        }
    }
}
