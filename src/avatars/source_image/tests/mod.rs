//! Tests of reading uploaded pictures.

mod colors;
mod hostile_profiles;
mod icc_profiles;
mod limits;
mod pixels;
mod progressive_jpeg;
mod whole_pictures;

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use super::{SourceImage, UnsupportedImage};

pub const FORMATS: [ImageFormat; 4] =
    [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
pub const RED: Rgba<u8> = Rgba([250, 10, 10, 255]);
pub const BLUE: Rgba<u8> = Rgba([10, 10, 250, 255]);
/// Larger than most pictures of the tests.
const ROUGH_SIDE: u32 = 1024;

/// The square of an accepted file.
fn square(file: &[u8]) -> RgbaImage {
    let image = SourceImage::parse(file).expect("accepted");
    image.decode_square(ROUGH_SIDE).expect("decoded").into_rgba8()
}

fn rejection(file: &[u8]) -> Option<UnsupportedImage> {
    match SourceImage::parse(file) {
        Err(unsupported) => Some(unsupported),
        Ok(image) => image.decode_square(ROUGH_SIDE).err(),
    }
}

/// The left half red, the right half blue.
pub fn red_and_blue(width: u32, height: u32) -> DynamicImage {
    RgbaImage::from_fn(width, height, |x, _| if x < width / 2 { RED } else { BLUE }).into()
}

/// Colours without a pattern, which need many bytes.
fn noise(width: u32, height: u32) -> DynamicImage {
    let mut numbers = Random(1);
    RgbaImage::from_fn(width, height, |_, _| {
        let [red, green, blue, ..] = numbers.next().to_be_bytes();
        Rgba([red, green, blue, 255])
    })
    .into()
}

pub fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = match format {
        ImageFormat::Jpeg => DynamicImage::from(picture.to_rgb8()),
        _ => picture.clone(),
    };
    picture.write_to(&mut file, format).expect("encoded");
    file.into_inner()
}

pub fn is_red(square: &RgbaImage, x: u32, y: u32) -> bool {
    let Rgba([red, _, blue, _]) = *square.get_pixel(x, y);
    red > 150 && blue < 100
}

/// A fixed sequence of random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0
    }

    /// A number below this one.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % bound
    }
}

/// A chunk of a PNG.
fn png_chunk(kind: &[u8], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("short");
    let content = [kind, content].concat();
    [&length.to_be_bytes(), &content[..], &checksum(&content)].concat()
}

/// The checksum of a PNG chunk.
fn checksum(content: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    (!crc).to_be_bytes()
}

/// The PNG with chunks between its header and its pixels.
fn with_png_chunks(png: &[u8], chunks: &[u8]) -> Vec<u8> {
    let header_end = 33;
    [&png[..header_end], chunks, &png[header_end..]].concat()
}

/// The JPEG with segments in front of all others.
fn with_jpeg_segments(jpeg: &[u8], segments: &[u8]) -> Vec<u8> {
    [&jpeg[..2], segments, &jpeg[2..]].concat()
}

/// A segment of a JPEG.
fn jpeg_segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).expect("short");
    [&[0xff, marker], &length.to_be_bytes()[..], content].concat()
}

/// Exif metadata with an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let head = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
    [&head[..], &[orientation], b"\0\0\0\0\0\0"].concat()
}

/// A JPEG with this orientation.
pub fn oriented_jpeg(orientation: u8) -> Vec<u8> {
    let file = encoded(&red_and_blue(64, 64), ImageFormat::Jpeg);
    let content = [b"Exif\0\0", &exif(orientation)[..]].concat();
    with_jpeg_segments(&file, &jpeg_segment(0xe1, &content))
}
