//! Tests of what is a whole picture and nothing else.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};

use super::progressive_jpeg::progressive_jpeg;
use super::{
    BLUE, FORMATS, RED, UnsupportedImage, encoded, is_red, jpeg_segment, noise, png_chunk,
    red_and_blue, rejection, square, with_jpeg_segments, with_png_chunks,
};

const JPEG_END: &[u8] = b"\xff\xd9";
const ARCHIVE_END: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// How many bytes the end of a picture takes, without which the pixels are whole.
fn end_len(format: ImageFormat) -> usize {
    match format {
        ImageFormat::Png => 12,
        ImageFormat::Jpeg => 2,
        ImageFormat::Gif => 1,
        _ => 0,
    }
}

fn animated_gif() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut file, 30);
    for color in [RED, BLUE] {
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(9, 9, color))).expect("encoded");
    }
    drop(encoder);
    file
}

#[test]
fn pictures_are_whole_without_their_end() {
    let gray = DynamicImage::from(noise(50, 40).to_luma8());
    let mut files = vec![
        (ImageFormat::Gif, animated_gif()),
        (ImageFormat::Jpeg, [&progressive_jpeg(6, 0).0[..], JPEG_END].concat()),
        // Restarts after the last blocks, too, and between them alone.
        (ImageFormat::Jpeg, [&progressive_jpeg(6, 12).0[..], JPEG_END].concat()),
        (ImageFormat::Jpeg, [&progressive_jpeg(6, 10).0[..], JPEG_END].concat()),
    ];
    for format in FORMATS {
        files.push((format, encoded(&red_and_blue(8, 8), format)));
        files.push((format, encoded(&noise(50, 40), format)));
        files.push((format, encoded(&red_and_blue(100, 300), format)));
    }
    let mut gray_jpeg = std::io::Cursor::new(Vec::new());
    gray.write_to(&mut gray_jpeg, ImageFormat::Jpeg).expect("encoded");
    files.push((ImageFormat::Jpeg, gray_jpeg.into_inner()));
    for (number, (format, file)) in files.iter().enumerate() {
        for missing in 1..=end_len(*format) {
            let rest = &file[..file.len() - missing];
            assert_eq!(rejection(rest), None, "{number} {format:?}: {missing} missing");
            assert!(square(rest) == square(file), "{number} {format:?}: {missing} missing");
        }
    }
}

#[test]
fn truncated_files_are_rejected() {
    for format in FORMATS {
        for picture in [red_and_blue(32, 32), noise(32, 32)] {
            let whole = encoded(&picture, format);
            let pixels_end = whole.len() - end_len(format);
            for length in 0..pixels_end {
                let rejection = rejection(&whole[..length]);
                assert_eq!(rejection, Some(UnsupportedImage::Format), "{format:?} {length}");
            }
        }
    }
}

#[test]
fn progressive_jpegs_are_whole_with_all_bits_of_all_coefficients() {
    for interval in [0, 150] {
        let (file, last_scan) = progressive_jpeg(20, interval);
        // The last scan brings single bits. A few may be missing at its end: nobody sees the lowest bits.
        for length in 0..file.len() - 14 {
            let is_rejected = rejection(&file[..length]) == Some(UnsupportedImage::Format);
            assert!(is_rejected, "{length} of {}, the last scan begins at {last_scan}", file.len());
        }
        assert_eq!(rejection(&file), None);
    }
}

#[test]
fn what_lies_behind_a_picture_is_ignored() {
    for format in FORMATS {
        for file in [encoded(&red_and_blue(20, 20), format), encoded(&noise(31, 17), format)] {
            for trailer in [
                &b"\r\n"[..],
                b"\0",
                b"\0\0\0\x18ftypmp42 and a video",
                b"<html><script>alert(1)</script>",
                b"%PDF-1.7",
                ARCHIVE_END,
                &file,
                &file[..file.len() / 2],
            ] {
                let followed = [&file, trailer].concat();
                assert_eq!(rejection(&followed), None, "{format:?} {}", trailer.escape_ascii());
                assert!(square(&followed) == square(&file), "{format:?}");
            }
        }
    }
}

#[test]
fn pictures_that_are_something_else_are_rejected() {
    let png = encoded(&red_and_blue(8, 8), ImageFormat::Png);
    let jpeg = encoded(&red_and_blue(8, 8), ImageFormat::Jpeg);
    let gif = encoded(&red_and_blue(8, 8), ImageFormat::Gif);
    let with_comment = |text: &[u8]| with_jpeg_segments(&jpeg, &jpeg_segment(0xfe, text));
    let mut script = gif.clone();
    script[6..8].copy_from_slice(b"/*");
    let archive_comment = [ARCHIVE_END, &[0; 200]].concat();
    for (name, file) in [
        ("nothing", Vec::new()),
        ("text", b"hello".to_vec()),
        ("svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec()),
        ("html", b"<!DOCTYPE html><script>alert(1)</script>".to_vec()),
        ("a PNG without its signature", png[8..].to_vec()),
        ("html in front", [b"<html><body>", &png[..]].concat()),
        ("html in a PNG", with_png_chunks(&png, &png_chunk(b"tEXt", b"a\0<html><body>"))),
        ("html in a JPEG", with_comment(b"<HTML><SCRIPT>alert(1)</SCRIPT>")),
        ("php in a JPEG", with_comment(b"<?php 1;>")),
        ("an archive in a JPEG", with_comment(&archive_comment)),
        ("a document in a JPEG", with_comment(b"%PDF-1")),
        ("a script", script),
    ] {
        assert_eq!(rejection(&file), Some(UnsupportedImage::Format), "{name}");
    }
}

#[test]
fn gif_frames_may_reach_beyond_their_screen() {
    let gif = encoded(&red_and_blue(8, 8), ImageFormat::Gif);
    let frame = gif.windows(9).position(|bytes| bytes == b"\x2c\0\0\0\0\x08\0\x08\0");
    let frame = frame.expect("a frame");
    let gif_with = |screen: [u8; 4], left: u8| {
        let mut gif = gif.clone();
        gif[6..10].copy_from_slice(&screen);
        gif[frame + 1] = left;
        square(&gif)
    };
    let clear = Rgba([0; 4]);
    let shifted = gif_with([8, 0, 8, 0], 6);
    assert_eq!((shifted.dimensions(), *shifted.get_pixel(5, 4)), ((8, 8), clear));
    assert!(is_red(&shifted, 6, 4) && is_red(&shifted, 7, 4));
    assert_eq!(gif_with([8, 0, 8, 0], 200), RgbaImage::new(8, 8), "wholly outside");
    for screen in [[0, 0, 0, 0], [4, 0, 4, 0], [200, 0, 4, 0], [4, 0, 200, 0]] {
        let larger_frame = gif_with(screen, 6);
        assert_eq!(larger_frame.dimensions(), (8, 8), "the screen is enlarged: {screen:?}");
        assert!(is_red(&larger_frame, 0, 0) && !is_red(&larger_frame, 7, 7));
    }
}

#[test]
fn webp_files_are_whole_if_libwebp_opens_them() {
    let is_odd = |file: &Vec<u8>| file[16] % 2 == 1;
    let sizes = 1..100;
    let mut files = sizes.map(|size| encoded(&red_and_blue(size, 7), ImageFormat::WebP));
    let odd = files.find(is_odd).expect("an odd chunk");
    let even = files.find(|file| !is_odd(file)).expect("an even chunk");
    for (name, file) in [("odd", odd), ("even", even)] {
        let length = u32::try_from(file.len() - 8).expect("short");
        for removed in 0..=2 {
            for stated in (length - 3..=length + 2).chain([0, 4, 12, u32::MAX]) {
                let mut file = file[..file.len() - removed].to_vec();
                file[4..8].copy_from_slice(&stated.to_le_bytes());
                let is_opened = webp::Decoder::new(&file).decode().is_some();
                assert_eq!(
                    rejection(&file).is_none(),
                    is_opened,
                    "{name}: {removed} bytes less, length {stated} for {length}"
                );
            }
        }
    }
}
