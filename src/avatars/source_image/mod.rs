//! Uploaded pictures, from the file to an upright square of pixels in sRGB. What the file says is checked before it is
//! decoded, so that decoding is bounded in memory and time.

mod color_profile;
mod gif;
mod jpeg;
mod outline;
mod png;
mod polyglot;
mod reader;
mod sniff;
#[cfg(test)]
pub mod tests;
mod webp;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use color_profile::{PROFILE_MEMORY_FACTOR, convert_to_srgb};
use sniff::{ImageFile, sniff};

pub use sniff::UnsupportedImage;

/// The most bytes of an uploaded file.
pub const MAX_FILE_BYTES: u64 = 5 << 20;
/// The most pixels of a picture.
const MAX_PIXELS: u64 = 40_000_000;
/// The most bytes of decoded pixels: four per pixel.
const MAX_DECODED_BYTES: u64 = 4 * MAX_PIXELS;
/// Decoding needs this multiple of the decoded size: a progressive JPEG is held as coefficients first.
const MEMORY_FACTOR: u64 = 3;

/// An uploaded file that is safe to decode.
pub struct SourceImage {
    file: ImageFile,
    /// The bytes of memory that decoding needs.
    pub memory: u64,
}

impl SourceImage {
    /// Checks the content of a file.
    pub fn parse(file: &[u8]) -> Result<Self, UnsupportedImage> {
        if u64::try_from(file.len()).is_ok_and(|bytes| bytes > MAX_FILE_BYTES) {
            return Err(UnsupportedImage::TooLarge);
        }
        let mut image = Self { file: sniff(file)?, memory: 0 };
        let decoder = image.decoder()?;
        let (width, height) = decoder.dimensions();
        let bytes = decoder.total_bytes();
        drop(decoder);
        match u64::from(width) * u64::from(height) {
            0 => return Err(UnsupportedImage::Format),
            pixels if pixels > MAX_PIXELS || bytes > MAX_DECODED_BYTES => {
                return Err(UnsupportedImage::TooLarge);
            }
            _ => {}
        }
        let profile_len = image.file.profile.as_ref().map_or(0, |profile| profile.len() as u64);
        image.memory = bytes * MEMORY_FACTOR + profile_len * PROFILE_MEMORY_FACTOR;
        Ok(image)
    }

    fn decoder(&self) -> Result<impl ImageDecoder + '_, UnsupportedImage> {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        let mut reader =
            ImageReader::with_format(Cursor::new(&self.file.picture), self.file.format);
        reader.limits(limits);
        reader.into_decoder().map_err(|_| UnsupportedImage::Format)
    }

    /// Decodes the central square of the picture, upright and in sRGB. A larger one is reduced to about this side
    /// length by fast averaging.
    pub fn decode_square(&self, rough_side: u32) -> Result<DynamicImage, UnsupportedImage> {
        let mut decoder = self.decoder()?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let whole = match self.file.format {
            ImageFormat::Jpeg if !jpeg::is_terminated(&self.file.picture) => {
                jpeg::decode_unterminated(&self.file.picture)
            }
            _ => DynamicImage::from_decoder(decoder).ok(),
        };
        let whole = whole.ok_or(UnsupportedImage::Format)?;
        let (width, height) = (whole.width(), whole.height());
        let side = width.min(height);
        let scaled = |length| scaled_length(length, side, rough_side);
        let rough = match side > rough_side {
            true => whole.thumbnail_exact(scaled(width), scaled(height)),
            false => whole,
        };
        let (width, height) = (rough.width(), rough.height());
        let side = width.min(height);
        let square = rough.crop_imm((width - side) / 2, (height - side) / 2, side, side);
        drop(rough);
        let mut square = DynamicImage::from(match &self.file.profile {
            Some(profile) => convert_to_srgb(&square, profile),
            None => square.into_rgba8(),
        });
        square.apply_orientation(orientation);
        Ok(square)
    }
}

/// The length of a side after scaling the shorter side to this length.
fn scaled_length(length: u32, shorter: u32, scaled_shorter: u32) -> u32 {
    let scaled = u64::from(length) * u64::from(scaled_shorter) / u64::from(shorter);
    u32::try_from(scaled).unwrap_or(u32::MAX).max(scaled_shorter)
}
