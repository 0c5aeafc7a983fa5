//! Content sniffing of image files without decoding them: detects the format, counts frames or scans, and rejects files
//! that are truncated or also something else.

use image::ImageFormat;

use super::color_profile::MAX_PROFILE_BYTES;
use super::polyglot::is_polyglot;
use super::{gif, jpeg, png, webp};

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

/// The content of a file, without what would be unsafe to decode.
#[derive(Debug)]
pub struct ImageFile {
    /// The format by its first bytes.
    pub format: ImageFormat,
    /// The picture alone: what lies behind its end is left out.
    pub picture: Vec<u8>,
    /// Its ICC profile, of at most [`MAX_PROFILE_BYTES`].
    pub profile: Option<Vec<u8>>,
}

/// Detects the format of a file by its content, and checks the file. Nothing of it is kept, so what lies behind the
/// picture is of no account.
pub fn sniff(file: &[u8]) -> Result<ImageFile, UnsupportedImage> {
    let format = detect_format(file).ok_or(UnsupportedImage::Format)?;
    let (outline, max) = match format {
        ImageFormat::Png => (png::outline(file), MAX_FRAMES),
        ImageFormat::Jpeg => (jpeg::outline(file), MAX_SCANS),
        ImageFormat::Gif => (gif::outline(file), MAX_FRAMES),
        _ => (webp::outline(file), MAX_FRAMES),
    };
    let outline = outline.ok_or(UnsupportedImage::Format)?;
    if outline.parts > max {
        return Err(UnsupportedImage::TooLarge);
    }
    let picture = outline.picture;
    if is_polyglot(picture) {
        return Err(UnsupportedImage::Format);
    }
    let (picture, profile) = match format {
        ImageFormat::Png => (png::strip(picture), png::profile(picture)),
        ImageFormat::Jpeg => (picture.to_vec(), jpeg::profile(picture)),
        ImageFormat::Gif => (gif::enlarge_screen(picture.to_vec()), None),
        _ => (picture.to_vec(), webp::profile(picture)),
    };
    let profile = profile.filter(|profile| profile.len() <= MAX_PROFILE_BYTES);
    Ok(ImageFile { format, picture, profile })
}

fn detect_format(file: &[u8]) -> Option<ImageFormat> {
    match file {
        _ if file.starts_with(png::SIGNATURE) => Some(ImageFormat::Png),
        [0xff, 0xd8, 0xff, ..] => Some(ImageFormat::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(ImageFormat::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageFormat::WebP),
        _ => None,
    }
}
