//! The segments of a JPEG (ITU-T T.81, annex B).

use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::outline::Outline;
use super::reader::Reader;

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;
const RESTART_INTERVAL: u8 = 0xdd;
/// What identifies the application segments of an ICC profile (ICC.1:2022, annex B.4).
const PROFILE_TAG: &[u8] = b"ICC_PROFILE\0";

/// The scans and the end of a JPEG. None: it is cut off. A file without its end marker is whole here if its scans bring
/// every coefficient; whether the last scan is whole, [`decode_unterminated`] sees.
pub fn outline(file: &[u8]) -> Option<Outline<'_>> {
    let (mut reader, mut scans) = (Reader::new(file, 2), 0);
    let mut coefficients = Coefficients::default();
    loop {
        let Some(marker) = next_marker(&mut reader) else {
            return coefficients.are_complete().then_some(Outline { parts: scans, picture: file });
        };
        if marker == END_OF_IMAGE {
            return (scans > 0).then_some(Outline { parts: scans, picture: reader.read() });
        }
        let segment = take_segment(&mut reader, marker)?;
        if is_start_of_frame(marker) {
            coefficients = Coefficients::of_frame(segment);
        }
        if marker == START_OF_SCAN {
            scans += 1;
            coefficients.add_scan(segment);
        }
    }
}

/// Whether the last bytes are the end marker.
pub fn is_terminated(picture: &[u8]) -> bool {
    picture.ends_with(&[0xff, END_OF_IMAGE])
}

/// The next marker. Between segments is scan data, where 0xFF is followed by 0.
fn next_marker(reader: &mut Reader<'_>) -> Option<u8> {
    loop {
        while reader.take_byte()? != 0xff {}
        let mut marker = reader.take_byte()?;
        while marker == 0xff {
            marker = reader.take_byte()?;
        }
        if marker != 0 {
            return Some(marker);
        }
    }
}

/// The content of the segment behind its marker. Markers that start none have no content.
fn take_segment<'f>(reader: &mut Reader<'f>, marker: u8) -> Option<&'f [u8]> {
    if matches!(marker, 0x01 | 0xd0..=0xd9) {
        return Some(&[]);
    }
    let length = usize::from(u16::from_be_bytes(reader.take_array()?));
    reader.take(length.checked_sub(2)?)
}

fn is_start_of_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Which coefficients the scans have brought in full precision: for each component its id, and a bit per coefficient.
#[derive(Default)]
struct Coefficients(Vec<(u8, u64)>);

impl Coefficients {
    fn of_frame(header: &[u8]) -> Self {
        let components = header.get(6..).unwrap_or_default().chunks_exact(3);
        Self(components.map(|component| (component[0], 0)).collect())
    }

    fn add_scan(&mut self, header: &[u8]) {
        let Some((count, rest)) = header.split_first() else { return };
        let Some((ids, range)) = rest.split_at_checked(2 * usize::from(*count)) else { return };
        // The last number is 0 unless later scans refine these coefficients.
        if let [first @ 0..64, last @ 0..64, precision, ..] = range
            && precision.is_multiple_of(16)
        {
            let coefficients = (u64::MAX << first) & (u64::MAX >> (63 - last));
            for (id, complete) in &mut self.0 {
                if ids.iter().step_by(2).any(|component| component == id) {
                    *complete |= coefficients;
                }
            }
        }
    }

    fn are_complete(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, complete)| *complete == u64::MAX)
    }
}

/// Decodes a picture without its end marker. None: pixels are missing, too. Decoders that are not strict paint them
/// grey.
pub fn decode_unterminated(picture: &[u8]) -> Option<DynamicImage> {
    // The decoder reads up to eight bytes ahead, and needs to see the end behind the last scan. Where a scan is cut
    // off, it does not come that far: no code consists of ones alone, and a marker without a meaning is an error there.
    let padding = b"\xff\x00".repeat(8);
    // At the end of an interval it looks for a restart.
    let restart = if has_restarts(picture) { &b"\xff\xd0"[..] } else { b"" };
    let content = [picture, &padding, restart, b"\xff\x02\x00\x02\xff\xd9"].concat();
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&content), options);
    decoder.decode_headers().ok()?;
    let is_gray = decoder.input_colorspace()? == ColorSpace::Luma;
    let colors = if is_gray { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(colors));
    let (width, height) = decoder.dimensions()?;
    let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    let pixels = decoder.decode().ok()?;
    match is_gray {
        true => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        false => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    }
}

fn has_restarts(picture: &[u8]) -> bool {
    let mut reader = Reader::new(picture, 2);
    let mut segments = std::iter::from_fn(|| {
        let marker = next_marker(&mut reader)?;
        Some((marker, take_segment(&mut reader, marker)?))
    });
    segments.any(|(marker, segment)| marker == RESTART_INTERVAL && segment != [0, 0])
}

/// The ICC profile, joined from its segments in whatever order they come. None: there is none, a segment is missing, or
/// the pixels are of four colours and will be decoded to others.
pub fn profile(picture: &[u8]) -> Option<Vec<u8>> {
    let (mut reader, mut parts) = (Reader::new(picture, 2), Vec::new());
    loop {
        let marker = next_marker(&mut reader)?;
        let segment = take_segment(&mut reader, marker)?;
        if is_start_of_frame(marker) && *segment.get(5)? == 4 {
            return None;
        }
        match segment.strip_prefix(PROFILE_TAG) {
            Some([number, count, content @ ..]) if marker == 0xe2 => {
                if parts.is_empty() {
                    parts = vec![None; usize::from(*count)];
                }
                let part = parts.get_mut(usize::from(*number).checked_sub(1)?)?;
                let is_repeated = part.replace(content).is_some();
                if is_repeated || parts.len() != usize::from(*count) {
                    return None;
                }
            }
            _ if marker == START_OF_SCAN => break,
            _ => {}
        }
    }
    let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
    (!parts.is_empty()).then(|| parts.concat())
}
