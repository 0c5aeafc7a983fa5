//! What a picture's file says of itself, seen without decoding anything: which format it is, how many parts
//! would have to be decoded, and whether it is whole and nothing else.

use image::ImageFormat;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The most frames of an animation.
const MOST_FRAMES: usize = 500;
/// The most scans of a JPEG, each of which goes over the whole picture. Progressive ones have about ten.
const MOST_SCANS: usize = 64;

/// Why a file is not looked at any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no picture of a format that is accepted, it is cut off, or it is something else as well.
    Unsupported,
    /// It has too much of something.
    TooLarge,
}

/// Recognises a file by its content.
///
/// # Errors
/// Why it is refused.
pub fn recognise(file: &[u8]) -> Result<ImageFormat, Unfit> {
    let format = match file {
        _ if file.starts_with(PNG) => ImageFormat::Png,
        [0xff, 0xd8, 0xff, ..] => ImageFormat::Jpeg,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => ImageFormat::Gif,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ImageFormat::WebP,
        _ => return Err(Unfit::Unsupported),
    };
    let (parts, most) = match format {
        ImageFormat::Png => (png(file), MOST_FRAMES),
        ImageFormat::Jpeg => (jpeg(file), MOST_SCANS),
        ImageFormat::Gif => (gif(file), MOST_FRAMES),
        _ => (webp(file), MOST_FRAMES),
    };
    match parts {
        None => Err(Unfit::Unsupported),
        Some(parts) if parts > most => Err(Unfit::TooLarge),
        Some(_) if is_also_something_else(file) => Err(Unfit::Unsupported),
        Some(_) => Ok(format),
    }
}

/// So much text after the name of a tag makes it one, and not chance.
const TEXT: usize = 4;

/// What some programs would run or show, were the same bytes given to them.
fn is_also_something_else(file: &[u8]) -> bool {
    const MARKUP: [&[u8]; 7] =
        [b"<script", b"<html", b"<svg", b"<!doctype", b"<?php", b"<iframe", b"<body"];
    let is_text = |rest: &[u8]| {
        rest.first().is_some_and(|byte| b" \t\r\n/>".contains(byte))
            && rest
                .iter()
                .take(TEXT)
                .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
    };
    let begins_markup = |rest: &[u8]| {
        let begins = |tag: &&[u8]| {
            let (name, then) = rest.split_at_checked(tag.len())?;
            Some(name.eq_ignore_ascii_case(tag) && is_text(then))
        };
        MARKUP.iter().any(|tag| begins(tag) == Some(true))
    };
    let has_markup =
        file.iter().enumerate().any(|(at, byte)| *byte == b'<' && begins_markup(&file[at..]));
    // A comment that makes a script of the rest. In a photograph with metadata the same two bytes are a length.
    let is_script = file.get(6..8) == Some(b"/*")
        || (file.get(4..6) == Some(b"/*") && file.get(6..10) != Some(b"Exif"));
    let is_pdf = file[..file.len().min(1024)].windows(5).any(|bytes| bytes == b"%PDF-");
    has_markup || is_script || is_pdf || is_archive(file)
}

/// Whether it ends as a ZIP does: with a directory's end, and a comment of the length that it names.
fn is_archive(file: &[u8]) -> bool {
    const END: usize = 22;
    let from = file.len().saturating_sub(END + usize::from(u16::MAX));
    let tail = &file[from..];
    tail.windows(END).enumerate().any(|(at, end)| {
        let comment = usize::from(u16::from_le_bytes([end[20], end[21]]));
        end.starts_with(b"PK\x05\x06") && at + END + comment <= tail.len()
    })
}

/// Reads on from a place.
struct Reader<'f> {
    file: &'f [u8],
    at: usize,
}

impl<'f> Reader<'f> {
    fn at(file: &'f [u8], at: usize) -> Self {
        Self { file, at }
    }

    fn take(&mut self, bytes: usize) -> Option<&'f [u8]> {
        let end = self.at.checked_add(bytes)?;
        let taken = self.file.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Whether nothing but filling is left.
    fn is_at_end(&self) -> bool {
        self.file[self.at..].iter().all(|byte| *byte == 0)
    }
}

/// How many frames a PNG has, when it is whole (PNG specification, third edition).
fn png(file: &[u8]) -> Option<usize> {
    let (mut reader, mut frames) = (Reader::at(file, PNG.len()), 0);
    loop {
        match png_chunk(&mut reader)? {
            (b"fcTL", _) => frames += 1,
            (b"IEND", _) => return reader.is_at_end().then_some(frames),
            _ => {}
        }
    }
}

/// The next chunk of a PNG: its kind, and the whole of it.
fn png_chunk<'f>(reader: &mut Reader<'f>) -> Option<(&'f [u8], &'f [u8])> {
    let from = reader.at;
    let length = usize::try_from(u32::from_be_bytes(reader.array()?)).ok()?;
    let kind = reader.take(4)?;
    reader.take(length.checked_add(4)?)?;
    Some((kind, &reader.file[from..reader.at]))
}

/// A PNG with its pixels and how they are held, and nothing else: what is packed beside them, profiles and
/// texts, would be unpacked to whatever size it has.
pub fn bare_png(file: &[u8]) -> Vec<u8> {
    const KEPT: [&[u8]; 6] = [b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"];
    let mut reader = Reader::at(file, PNG.len());
    let chunks = std::iter::from_fn(|| png_chunk(&mut reader));
    let kept = chunks.filter(|(kind, _)| KEPT.contains(kind)).map(|(_, chunk)| chunk);
    std::iter::once(PNG).chain(kept).collect::<Vec<_>>().concat()
}

/// How many scans a JPEG has, when its end is there (ITU-T T.81, annex B). What comes behind the end is not
/// looked at here: phones put films and previews there.
fn jpeg(file: &[u8]) -> Option<usize> {
    let (mut reader, mut scans) = (Reader::at(file, 2), 0);
    loop {
        // Between segments stands the data of a scan, where 0xFF is followed by 0 or is a restart.
        while reader.byte()? != 0xff {}
        let mut marker = reader.byte()?;
        while marker == 0xff {
            marker = reader.byte()?;
        }
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            0xd9 => return (scans > 0).then_some(scans),
            _ => {
                scans += usize::from(marker == 0xda);
                let length = usize::from(u16::from_be_bytes(reader.array()?));
                reader.take(length.checked_sub(2)?)?;
            }
        }
    }
}

/// How many frames a GIF has, when it is whole (GIF89a).
fn gif(file: &[u8]) -> Option<usize> {
    fn table(flags: u8) -> usize {
        if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
    }
    fn blocks(reader: &mut Reader<'_>) -> Option<()> {
        loop {
            match reader.byte()? {
                0 => return Some(()),
                length => reader.take(usize::from(length))?,
            };
        }
    }
    // Decoders make room for a frame, however small the screen is that it belongs to.
    fn is_within(frame: [u8; 9], screen: [u8; 7]) -> bool {
        let number = |bytes: &[u8], at| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let fits = |at| number(&frame, at) + number(&frame, at + 4) <= number(&screen, at);
        fits(0) && fits(2)
    }
    let (mut reader, mut frames) = (Reader::at(file, 6), 0);
    let screen: [u8; 7] = reader.array()?;
    reader.take(table(screen[4]))?;
    loop {
        match reader.byte()? {
            0x3b => return (frames > 0 && reader.is_at_end()).then_some(frames),
            0x21 => {
                reader.byte()?;
                blocks(&mut reader)?;
            }
            0x2c => {
                frames += 1;
                let frame: [u8; 9] = reader.array()?;
                if !is_within(frame, screen) {
                    return None;
                }
                reader.take(table(frame[8]))?;
                reader.byte()?;
                blocks(&mut reader)?;
            }
            _ => return None,
        }
    }
}

/// How many frames a WebP has, when it is whole (RFC 9649).
fn webp(file: &[u8]) -> Option<usize> {
    let mut header = Reader::at(file, 4);
    let length = usize::try_from(u32::from_le_bytes(header.array()?)).ok()?;
    let end = length.checked_add(8).filter(|end| *end <= file.len())?;
    let (mut reader, mut frames) = (Reader::at(&file[..end], 12), 0);
    while reader.at < end {
        let kind: [u8; 4] = reader.array()?;
        let length = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
        reader.take(length)?;
        // The filling of an odd length is left out at the end by some.
        reader.take((length % 2).min(end - reader.at))?;
        frames += usize::from(kind == *b"ANMF");
    }
    Reader::at(file, end).is_at_end().then_some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text_that_goes_on_and_not_what_chance_writes() {
        // The numbers of a generator: as good as compressed data, and the same each time.
        let mut state = 1_u64;
        let mut drawn = Vec::new();
        for _ in 0..1 << 20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            drawn.extend_from_slice(&state.to_be_bytes()[..4]);
        }
        for (at, tag) in [(9, "<svg"), (70_000, "<SvG"), (300_001, "<html"), (900_000, "<?PHP")] {
            drawn[at..at + tag.len()].copy_from_slice(tag.as_bytes());
        }
        assert!(!is_also_something_else(&drawn));
        for markup in ["<svg onload=alert(1)>", "<SCRIPT>alert(1)</script>", "<svg/>"] {
            assert!(is_also_something_else(&[&drawn, markup.as_bytes()].concat()), "{markup}");
        }
    }

    #[test]
    fn a_frame_of_a_gif_is_within_its_screen() {
        let of = |width: u16, height: u16| {
            let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
            let frame = [&[0x2c, 1, 0, 1, 0], &size[..], &[0, 2, 1, 0, 0, 0x3b]].concat();
            [&b"GIF89a\x08\x00\x08\x00\x00\x00\x00"[..], &frame].concat()
        };
        assert_eq!(gif(&of(7, 7)), Some(1));
        for (width, height) in [(8, 7), (7, 8), (65_535, 600), (65_535, 65_535)] {
            assert_eq!(gif(&of(width, height)), None, "{width} x {height}");
        }
    }
}
