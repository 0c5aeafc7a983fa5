//! A writer of ICC profiles (ICC.1:2022), and of files that carry them.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{DynamicImage, ImageFormat};

use super::{encoded, jpeg_segment, png_chunk, with_jpeg_segments, with_png_chunks};

/// The light of a value between 0 and 1 (IEC 61966-2-1).
pub fn to_linear(value: f64) -> f64 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// Red, green and blue of Display P3 and of sRGB, as XYZ under D50.
pub const DISPLAY_P3: [[f64; 3]; 3] = [
    [0.515_12, 0.241_20, -0.001_05],
    [0.291_98, 0.692_25, 0.041_89],
    [0.157_10, 0.066_57, 0.784_07],
];
pub const SRGB: [[f64; 3]; 3] = [
    [0.436_07, 0.222_49, 0.013_92],
    [0.385_15, 0.716_87, 0.097_08],
    [0.143_07, 0.060_61, 0.714_10],
];

fn fixed_point(number: f64) -> [u8; 4] {
    #[expect(clippy::cast_possible_truncation, reason = "all numbers of these profiles are small")]
    let number = (number * 65536.0).round() as i32;
    number.to_be_bytes()
}

fn xyz(color: [f64; 3]) -> Vec<u8> {
    [b"XYZ \0\0\0\0", &color.map(fixed_point).concat()[..]].concat()
}

/// The curve that sRGB and Display P3 share.
pub fn srgb_curve() -> Vec<u8> {
    let parameters = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045].map(fixed_point);
    [b"para\0\0\0\0\0\x03\0\0", &parameters.concat()[..]].concat()
}

/// A curve by its exponent.
pub fn power_curve(exponent: f64) -> Vec<u8> {
    [b"para\0\0\0\0\0\0\0\0", &fixed_point(exponent)[..]].concat()
}

/// A profile of a display with these tags.
pub fn profile(color_space: &[u8], tags: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut table = u32::try_from(tags.len()).expect("few").to_be_bytes().to_vec();
    for (signature, tag) in tags {
        let number = |number: usize| u32::try_from(number).expect("short").to_be_bytes();
        let offset = number(132 + 12 * tags.len() + content.len());
        table.extend([&signature[..], &offset, &number(tag.len())].concat());
        content.extend(tag);
        content.resize(content.len().next_multiple_of(4), 0);
    }
    let mut header = [0; 128];
    let length = u32::try_from(header.len() + table.len() + content.len()).expect("short");
    header[..4].copy_from_slice(&length.to_be_bytes());
    header[8] = 4;
    header[12..16].copy_from_slice(b"mntr");
    header[16..20].copy_from_slice(color_space);
    header[20..24].copy_from_slice(b"XYZ ");
    header[24..30].copy_from_slice(&[7, 234, 0, 1, 0, 1]);
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&[0.9642, 1.0, 0.8249].map(fixed_point).concat());
    [&header[..], &table, &content].concat()
}

/// A profile of RGB by its colours and one curve.
pub fn rgb_profile(colors: [[f64; 3]; 3], curve: &[u8]) -> Vec<u8> {
    let [red, green, blue] = colors.map(xyz);
    let curve = curve.to_vec();
    let tags = [
        (b"rXYZ", red),
        (b"gXYZ", green),
        (b"bXYZ", blue),
        (b"rTRC", curve.clone()),
        (b"gTRC", curve.clone()),
        (b"bTRC", curve),
    ];
    profile(b"RGB ", &tags)
}

pub fn display_p3() -> Vec<u8> {
    rgb_profile(DISPLAY_P3, &srgb_curve())
}

/// A profile that has the colours in a table, with their values in 16 bits.
pub fn table_profile(colors: [[f64; 3]; 3]) -> Vec<u8> {
    // Two points along each side of the cube, curves of 1024 points in front, straight lines behind.
    let mut table = [b"mft2\0\0\0\0\x03\x03\x02\0", &[[0; 4]; 9].concat()[..]].concat();
    for diagonal in [12, 28, 44] {
        table[diagonal..diagonal + 4].copy_from_slice(&fixed_point(1.0));
    }
    table.extend([4, 0, 0, 2]);
    for _ in 0..3 {
        for point in 0..1024 {
            let value = to_linear(f64::from(point) / 1023.0);
            table.extend(sixteen_bits(value * 65535.0));
        }
    }
    for corner in 0..8 {
        let parts = [corner & 4, corner & 2, corner & 1].map(|part| f64::from(u8::from(part > 0)));
        for axis in [0, 1, 2] {
            let value: f64 = (0..3).map(|color| parts[color] * colors[color][axis]).sum();
            table.extend(sixteen_bits(value.max(0.0) * 32768.0));
        }
    }
    table.extend([0, 0, 255, 255].repeat(3));
    profile(b"RGB ", &[(b"A2B0", table)])
}

fn sixteen_bits(number: f64) -> [u8; 2] {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let number = number.round() as u16;
    number.to_be_bytes()
}

/// The picture as a file with this profile.
pub fn encoded_with(picture: &DynamicImage, profile: &[u8], format: ImageFormat) -> Vec<u8> {
    let file = encoded(picture, format);
    match format {
        ImageFormat::Png => with_png_chunks(&file, &iccp_chunk(profile)),
        ImageFormat::Jpeg => with_jpeg_segments(&file, &profile_segments(profile, 60_000).concat()),
        _ => webp_with(&file, profile, 0x30),
    }
}

/// The profile in a chunk of a PNG.
pub fn iccp_chunk(profile: &[u8]) -> Vec<u8> {
    let mut compressed = ZlibEncoder::new(b"a name\0\0".to_vec(), Compression::fast());
    compressed.write_all(profile).expect("compressed");
    png_chunk(b"iCCP", &compressed.finish().expect("compressed"))
}

/// The profile in segments of a JPEG with this many bytes each.
pub fn profile_segments(profile: &[u8], length: usize) -> Vec<Vec<u8>> {
    let count = profile.len().div_ceil(length);
    let number = |number: usize| u8::try_from(number).expect("few");
    let segment = |(index, part): (usize, &[u8])| {
        let head = [number(index + 1), number(count)];
        jpeg_segment(0xe2, &[b"ICC_PROFILE\0", &head[..], part].concat())
    };
    profile.chunks(length).enumerate().map(segment).collect()
}

/// A WebP of the simple format extended by a profile. 0x20 of the flags announces it, 0x10 transparency.
pub fn webp_with(file: &[u8], profile: &[u8], flags: u8) -> Vec<u8> {
    let size = |number: u32| [(number - 1).to_le_bytes()[0], (number - 1).to_le_bytes()[1], 0];
    let (width, height) = image::load_from_memory(file)
        .map(|picture| (picture.width(), picture.height()))
        .expect("a picture");
    let header = [&[flags, 0, 0, 0], &size(width)[..], &size(height)].concat();
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len()).expect("short").to_le_bytes();
        [kind, &length[..], content, &[0][..content.len() % 2]].concat()
    };
    let content =
        [b"WEBP".to_vec(), chunk(b"VP8X", &header), chunk(b"ICCP", profile), file[12..].to_vec()]
            .concat();
    chunk(b"RIFF", &content)
}
