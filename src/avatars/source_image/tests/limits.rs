//! Tests of the limits that bound the work of decoding.

use image::codecs::gif::GifEncoder;
use image::{Frame, ImageFormat, RgbaImage};

use super::{RED, UnsupportedImage, checksum, encoded, red_and_blue, rejection};

#[test]
fn too_many_pixels_are_rejected_before_decoding() {
    // Headers that announce more pixels than the file has.
    let png = |side: u32, depth: u8| {
        let mut file = encoded(&red_and_blue(8, 8), ImageFormat::Png);
        file[16..20].copy_from_slice(&side.to_be_bytes());
        file[20..24].copy_from_slice(&side.to_be_bytes());
        file[24] = depth;
        let sum = checksum(&file[12..29]);
        file[29..33].copy_from_slice(&sum);
        file
    };
    let gif = encoded(&red_and_blue(8, 8), ImageFormat::Gif);
    let mut large_screen = gif.clone();
    large_screen[6..10].copy_from_slice(&[255; 4]);
    // Decoders need memory for the whole frame, even if the screen is small.
    let mut large_frame = gif;
    let frame = large_frame.windows(9).position(|bytes| bytes == b"\x2c\0\0\0\0\x08\0\x08\0");
    let size = frame.expect("a frame") + 5;
    large_frame[size..size + 4].copy_from_slice(&[255; 4]);
    let mut jpeg = encoded(&red_and_blue(8, 8), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|bytes| bytes == b"\xff\xc0").expect("a frame");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
    let unterminated_jpeg = jpeg[..jpeg.len() - 2].to_vec();
    for (name, file) in [
        ("png", png(65_536, 8)),
        ("just above the limit", png(6_325, 8)),
        ("few pixels of 16 bits", png(5_000, 16)),
        ("gif with a large screen", large_screen),
        ("gif with a large frame", large_frame),
        ("jpeg", jpeg),
        ("jpeg without its end marker", unterminated_jpeg),
    ] {
        assert_eq!(rejection(&file), Some(UnsupportedImage::TooLarge), "{name}");
    }
    assert_eq!(
        rejection(&png(6_324, 8)),
        Some(UnsupportedImage::Format),
        "within the limit, but the file has fewer pixels than it announces"
    );
    assert_eq!(rejection(&vec![0; 20 << 20]), Some(UnsupportedImage::TooLarge));
}

#[test]
fn animations_are_limited_in_frames() {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut file, 30);
    for _ in 0..501 {
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(4, 4, RED))).expect("encoded");
    }
    drop(encoder);
    assert_eq!(rejection(&file), Some(UnsupportedImage::TooLarge));
}

#[test]
fn jpegs_are_limited_in_scans() {
    let file = encoded(&red_and_blue(8, 8), ImageFormat::Jpeg);
    let scan = file.windows(2).position(|bytes| bytes == b"\xff\xda").expect("a scan");
    let end = file.len() - 2;
    let scans = file[scan..end].repeat(100);
    let many_scans = [&file[..scan], &scans, &file[end..]].concat();
    assert_eq!(rejection(&many_scans), Some(UnsupportedImage::TooLarge));
}
