//! Tests of pictures with an ICC profile.

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba, RgbaImage};

use super::icc_profiles::{
    DISPLAY_P3, SRGB, display_p3, encoded_with, iccp_chunk, power_curve, profile, profile_segments,
    rgb_profile, srgb_curve, table_profile, to_linear, webp_with,
};
use super::{encoded, exif, jpeg_segment, png_chunk, square, with_jpeg_segments, with_png_chunks};

const WITH_PROFILES: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
const COLORS: [[u8; 3]; 8] = [
    [230, 40, 40],
    [255, 0, 0],
    [20, 200, 60],
    [30, 60, 220],
    [240, 200, 30],
    [128, 128, 128],
    [12, 9, 5],
    [255, 255, 255],
];
/// The largest difference from what was computed, in steps of 256.
const TOLERANCE: u8 = 2;

fn from_linear(light: f64) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let value =
        if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let value = (value * 255.0).round() as u8;
    value
}

/// The colour in sRGB, by the matrix of CSS Color 4 for light in Display P3.
fn p3_to_srgb(color: [u8; 3]) -> [u8; 3] {
    let [red, green, blue] = color.map(|value| to_linear(f64::from(value) / 255.0));
    [
        [1.224_940_18, -0.224_940_18, 0.0],
        [-0.042_056_95, 1.042_056_95, 0.0],
        [-0.019_637_55, -0.078_636_05, 1.098_273_60],
    ]
    .map(|row: [f64; 3]| from_linear(row[0] * red + row[1] * green + row[2] * blue))
}

/// Stripes of all colours, of eight pixels each, with the same alpha everywhere.
fn stripes(alpha: u8) -> DynamicImage {
    RgbaImage::from_fn(64, 64, |x, _| {
        let [red, green, blue] = COLORS[x as usize / 8];
        Rgba([red, green, blue, alpha])
    })
    .into()
}

/// The colours in the middle of the stripes.
fn stripe_colors(square: &RgbaImage) -> [[u8; 3]; 8] {
    [4, 12, 20, 28, 36, 44, 52, 60].map(|x| {
        let [red, green, blue, _] = square.get_pixel(x, 32).0;
        [red, green, blue]
    })
}

fn assert_are_about(actual: [[u8; 3]; 8], expected: [[u8; 3]; 8], name: &str) {
    let differences = actual.as_flattened().iter().zip(expected.as_flattened());
    let is_about = differences.clone().all(|(a, b)| a.abs_diff(*b) <= TOLERANCE);
    assert!(is_about, "{name}: {actual:?} instead of {expected:?}");
}

#[test]
fn display_p3_becomes_srgb() {
    assert_eq!(p3_to_srgb([230, 40, 40]), [251, 0, 18]);
    for (name, profile) in [("matrix", display_p3()), ("table", table_profile(DISPLAY_P3))] {
        for format in WITH_PROFILES {
            let file = encoded(&stripes(255), format);
            let colors = stripe_colors(&square(&file));
            let converted = square(&encoded_with(&stripes(255), &profile, format));
            let name = format!("{name} {format:?}");
            assert_are_about(stripe_colors(&converted), colors.map(p3_to_srgb), &name);
            assert_are_about(colors, COLORS, &name);
        }
    }
}

#[test]
fn alpha_depth_and_orientation_are_kept() {
    let transparent = square(&encoded_with(&stripes(77), &display_p3(), ImageFormat::WebP));
    assert!(transparent.pixels().all(|pixel| pixel[3] == 77));
    assert_are_about(stripe_colors(&transparent), COLORS.map(p3_to_srgb), "transparent");

    let deep = DynamicImage::from(stripes(255).into_rgb16());
    let deep = square(&encoded_with(&deep, &display_p3(), ImageFormat::Png));
    assert_are_about(stripe_colors(&deep), COLORS.map(p3_to_srgb), "16 bits");

    // A quarter turn and a mirror image.
    for (orientation, is_reversed) in [(6, false), (8, true)] {
        let png = encoded(&stripes(255), ImageFormat::Png);
        let chunks = [png_chunk(b"eXIf", &exif(orientation)), iccp_chunk(&display_p3())].concat();
        let upright = square(&with_png_chunks(&png, &chunks));
        let mut rows = DynamicImage::from(upright).rotate270().into_rgba8();
        if is_reversed {
            image::imageops::rotate180_in_place(&mut rows);
        }
        assert_are_about(stripe_colors(&rows), COLORS.map(p3_to_srgb), "turned");
    }
}

#[test]
fn steps_of_dark_light_are_kept_with_16_bits() {
    // Of linear light, most dark colours lie within one step of 8 bits.
    let ramp = ImageBuffer::from_fn(64, 64, |x, _| {
        let value = u16::try_from(x * 20).expect("small");
        Rgb([value, value, value])
    });
    let linear = rgb_profile(SRGB, &power_curve(1.0));
    let picture = DynamicImage::ImageRgb16(ramp);
    let square = square(&encoded_with(&picture, &linear, ImageFormat::Png));
    for x in 0..64 {
        let expected = from_linear(f64::from(x * 20) / 65535.0);
        let actual = square.get_pixel(x, 5)[0];
        assert!(actual.abs_diff(expected) <= TOLERANCE, "{x}: {actual} instead of {expected}");
    }
}

#[test]
fn gray_pixels_have_gray_profiles() {
    let gray = profile(b"GRAY", &[(b"kTRC", power_curve(1.0))]);
    let expected = |value: u32| from_linear(f64::from(value) / 255.0);
    let value = |x: u32| u8::try_from(4 * x).expect("small");
    let opaque = DynamicImage::from(ImageBuffer::from_fn(64, 64, |x, _| Luma([value(x)])));
    let transparent = ImageBuffer::from_fn(64, 64, |x, _| LumaA([value(x), 99]));
    let transparent = DynamicImage::from(transparent);
    for (picture, alpha) in [(opaque, 255), (transparent, 99)] {
        let square = square(&encoded_with(&picture, &gray, ImageFormat::Png));
        for x in 0..64 {
            let Rgba([red, green, blue, actual_alpha]) = *square.get_pixel(x, 9);
            assert!(red.abs_diff(expected(4 * x)) <= TOLERANCE, "{x}: {red}");
            assert_eq!((green, blue, actual_alpha), (red, red, alpha));
        }
    }
}

#[test]
fn profiles_of_other_pixels_are_not_applied() {
    let gray_profile = profile(b"GRAY", &[(b"kTRC", power_curve(1.0))]);
    let gray_picture = DynamicImage::from(stripes(255).into_luma8());
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    table.resize(48 + 4 * 256 + 3 * 16 + 3 * 256, 99);
    let cmyk_profile = profile(b"CMYK", &[(b"A2B0", table)]);
    let mut device_link = display_p3();
    device_link[12..16].copy_from_slice(b"link");
    for (name, picture, profile) in [
        ("gray for RGB", stripes(255), gray_profile),
        ("RGB for gray", gray_picture, display_p3()),
        ("CMYK for RGB", stripes(255), cmyk_profile),
        ("from a device to another", stripes(255), device_link),
    ] {
        let plain = square(&encoded(&picture, ImageFormat::Png));
        let profiled = square(&encoded_with(&picture, &profile, ImageFormat::Png));
        assert!(plain == profiled, "{name}");
    }
}

#[test]
fn srgb_under_any_name_changes_nothing() {
    for profile in [rgb_profile(SRGB, &srgb_curve()), table_profile(SRGB)] {
        for format in WITH_PROFILES {
            let plain = square(&encoded(&stripes(255), format));
            assert!(square(&encoded_with(&stripes(255), &profile, format)) == plain, "{format:?}");
        }
    }
}

#[test]
fn profiles_of_jpegs_come_in_segments_of_any_order() {
    let jpeg = encoded(&stripes(255), ImageFormat::Jpeg);
    let plain = square(&jpeg);
    let converted = square(&encoded_with(&stripes(255), &display_p3(), ImageFormat::Jpeg));
    assert!(plain != converted);
    let segments = profile_segments(&display_p3(), 100);
    let mut reversed = segments.clone();
    reversed.reverse();
    let mut mixed = segments.clone();
    mixed.insert(1, jpeg_segment(0xe2, b"MPF\0 and a preview"));
    let mut repeated = segments.clone();
    repeated.push(segments[0].clone());
    let mut renumbered = segments.clone();
    renumbered[1][16] = 0;
    let mut recounted = segments.clone();
    recounted[1][17] += 1;
    for (name, segments, is_applied) in [
        ("in order", &segments[..], true),
        ("reversed", &reversed, true),
        ("with others", &mixed, true),
        ("without the first", &segments[1..], false),
        ("without the last", &segments[..segments.len() - 1], false),
        ("twice", &repeated, false),
        ("number 0", &renumbered, false),
        ("of different counts", &recounted, false),
    ] {
        let square = square(&with_jpeg_segments(&jpeg, &segments.concat()));
        assert!(square == if is_applied { converted.clone() } else { plain.clone() }, "{name}");
    }
}

#[test]
fn profiles_that_cannot_be_read_change_nothing() {
    let png = encoded(&stripes(255), ImageFormat::Png);
    let webp = encoded(&stripes(255), ImageFormat::WebP);
    let plain = square(&png);
    let mut damaged = iccp_chunk(&display_p3());
    damaged[40] ^= 0xff;
    let mut unknown_compression = iccp_chunk(&display_p3());
    unknown_compression[15] = 1;
    let mut large = display_p3();
    large.resize((4 << 20) + 1, 0);
    let behind_pixels = |chunk: &[u8]| {
        let end = png.len() - 12;
        [&png[..end], chunk, &png[end..]].concat()
    };
    for (name, file) in [
        ("nothing", with_png_chunks(&png, &iccp_chunk(b""))),
        ("no profile", with_png_chunks(&png, &iccp_chunk(&[7; 3000]))),
        ("damaged", with_png_chunks(&png, &damaged)),
        ("unknown compression", with_png_chunks(&png, &unknown_compression)),
        ("no name", with_png_chunks(&png, &png_chunk(b"iCCP", b"abc"))),
        ("too large", with_png_chunks(&png, &iccp_chunk(&large))),
        ("behind the pixels", behind_pixels(&iccp_chunk(&display_p3()))),
        ("without its flag", webp_with(&webp, &display_p3(), 0x10)),
    ] {
        assert!(square(&file) == plain, "{name}");
    }
    let unpacked = with_png_chunks(&png, &iccp_chunk(&vec![0; 16 << 20]));
    let unpacked = super::super::png::profile(&unpacked).expect("a profile");
    assert_eq!(unpacked.len(), (4 << 20) + 1, "no more is unpacked");
    large.truncate(4 << 20);
    let largest = square(&with_png_chunks(&png, &iccp_chunk(&large)));
    assert_are_about(stripe_colors(&largest), COLORS.map(p3_to_srgb), "4 MB");
}

#[test]
fn pictures_of_four_colors_take_no_profile() {
    // A JPEG header with four components.
    let frame = [8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0];
    let segments = profile_segments(&display_p3(), 60_000).concat();
    let file = |components: u8| {
        let mut frame = frame;
        frame[5] = components;
        let frame = jpeg_segment(0xc0, &frame[..6 + 3 * usize::from(components)]);
        [b"\xff\xd8", &segments[..], &frame, &jpeg_segment(0xda, &[0; 6])].concat()
    };
    assert_eq!(super::super::jpeg::profile(&file(3)), Some(display_p3()));
    assert_eq!(super::super::jpeg::profile(&file(4)), None);
}
