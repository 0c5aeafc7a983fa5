//! Conversion of a picture from the colours of its ICC profile (ICC.1:2022) to sRGB, which is what a picture without a
//! profile is shown in.

use std::sync::Arc;

use image::{DynamicImage, RgbaImage};
use moxcms::{
    ColorProfile, DataColorSpace, Layout, ProfileClass, Transform16BitExecutor, TransformOptions,
};

/// The most bytes of an unpacked profile.
pub const MAX_PROFILE_BYTES: usize = 4 << 20;
/// Reading a profile needs this multiple of its size: a table of bytes becomes one of floating-point numbers.
pub const PROFILE_MEMORY_FACTOR: u64 = 8;
/// Two 16-bit values that differ by less look the same with 8 bits.
const VISIBLE_DIFFERENCE: u16 = 257;
/// The length of a profile's header, which the number of its tags follows (ICC.1:2022, section 7).
const HEADER_LEN: usize = 128;
/// The length of a tag's entry: signature, offset and size.
const TAG_LEN: usize = 12;
/// The tags by which colours of a device become those of the standard observer: colorants and curves, or a table.
const CONVERSION_TAGS: [&[u8]; 8] =
    [b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"A2B0"];

/// The picture in sRGB with 8 bits. It stays as it is if its profile cannot be read, is for pixels of another kind, or
/// changes nothing that is seen.
pub fn convert_to_srgb(picture: &DynamicImage, profile: &[u8]) -> RgbaImage {
    convert(picture, profile).unwrap_or_else(|| picture.to_rgba8())
}

fn convert(picture: &DynamicImage, profile: &[u8]) -> Option<RgbaImage> {
    let is_gray = !picture.color().has_color();
    let transform = transform_to_srgb(profile, is_gray)?;
    let (width, height) = (picture.width(), picture.height());
    let mut converted = RgbaImage::new(width, height);
    for (y, target) in (0..height).zip(converted.rows_mut()) {
        // With 16 bits, so that dark colours of a linear profile keep their steps; row by row, to save memory.
        let row = picture.crop_imm(0, y, width, 1);
        let row = match is_gray {
            true => row.into_luma_alpha16().into_raw(),
            false => row.into_rgba16().into_raw(),
        };
        let row = apply(&*transform, &row, is_gray)?;
        for (pixel, color) in target.zip(row.chunks_exact(4)) {
            for (value, sample) in pixel.0.iter_mut().zip(color) {
                *value = to_8_bits(*sample);
            }
        }
    }
    Some(converted)
}

fn to_8_bits(sample: u16) -> u8 {
    u8::try_from((u32::from(sample) + 128) / 257).unwrap_or(u8::MAX)
}

/// The conversion of RGB with alpha, or of gray with alpha, to sRGB with alpha. None: the pixels can stay as they are.
fn transform_to_srgb(profile: &[u8], is_gray: bool) -> Option<Arc<Transform16BitExecutor>> {
    let profile = ColorProfile::new_from_slice(&keep_conversion_tags(profile)?).ok()?;
    let (color_space, layout) = match is_gray {
        true => (DataColorSpace::Gray, Layout::GrayAlpha),
        false => (DataColorSpace::Rgb, Layout::Rgba),
    };
    let describes_device = matches!(
        profile.profile_class,
        ProfileClass::InputDevice
            | ProfileClass::DisplayDevice
            | ProfileClass::OutputDevice
            | ProfileClass::ColorSpace
    );
    if profile.color_space != color_space || !describes_device {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let transform = profile.create_transform_16bit(layout, &srgb, Layout::Rgba, options).ok()?;
    changes_colors(&*transform, is_gray)?.then_some(transform)
}

/// The profile without the tags that a conversion does not need, and without repeated ones: thousands may name the same
/// bytes, and each would be read into memory of its own.
fn keep_conversion_tags(profile: &[u8]) -> Option<Vec<u8>> {
    let mut kept = profile.to_vec();
    let (count, tags) = kept.get_mut(HEADER_LEN..)?.split_first_chunk_mut()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let mut seen = Vec::new();
    for tag in tags.chunks_exact_mut(TAG_LEN).take(count) {
        let signature = CONVERSION_TAGS.into_iter().find(|signature| tag.starts_with(signature));
        match signature.filter(|signature| !seen.contains(signature)) {
            Some(signature) => seen.push(signature),
            None => tag.fill(0),
        }
    }
    Some(kept)
}

/// Whether any of a few colours looks different after the conversion. Many profiles are sRGB under another name.
fn changes_colors(transform: &Transform16BitExecutor, is_gray: bool) -> Option<bool> {
    const LEVELS: [u16; 6] = [0, 0x2222, 0x5555, 0x8888, 0xbbbb, u16::MAX];
    let mut colors = Vec::new();
    for red in LEVELS {
        for green in LEVELS {
            colors.extend(LEVELS.map(|blue| if is_gray { [red; 3] } else { [red, green, blue] }));
        }
    }
    let samples = colors.iter().flat_map(|[red, green, blue]| match is_gray {
        true => vec![*red, u16::MAX],
        false => vec![*red, *green, *blue, u16::MAX],
    });
    let converted = apply(transform, &samples.collect::<Vec<_>>(), is_gray)?;
    let is_changed = |(color, converted): (&[u16; 3], &[u16])| {
        color.iter().zip(converted).any(|(a, b)| a.abs_diff(*b) >= VISIBLE_DIFFERENCE)
    };
    Some(colors.iter().zip(converted.chunks_exact(4)).any(is_changed))
}

/// Colours with alpha, in sRGB.
fn apply(transform: &Transform16BitExecutor, samples: &[u16], is_gray: bool) -> Option<Vec<u16>> {
    let pixels = samples.len() / if is_gray { 2 } else { 4 };
    let mut converted = vec![0; 4 * pixels];
    transform.transform(samples, &mut converted).ok()?;
    Some(converted)
}
