//! Tests of what part of a picture is decoded, and which way up.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbaImage};

use super::super::png;
use super::{
    BLUE, RED, ROUGH_SIDE, encoded, exif, is_red, oriented_jpeg, png_chunk, red_and_blue, square,
    with_png_chunks,
};

#[test]
fn pictures_are_cropped_to_their_center() {
    let (width, height) = (5000, 1500);
    let middle = |x| (1750..3250).contains(&x);
    let picture = RgbaImage::from_fn(width, height, |x, _| if middle(x) { RED } else { BLUE });
    for picture in [DynamicImage::from(picture.clone()), DynamicImage::from(picture).rotate90()] {
        let square = square(&encoded(&picture, ImageFormat::Png));
        let side = square.width();
        assert_eq!((side, square.height()), (ROUGH_SIDE, ROUGH_SIDE));
        for (x, y) in [(3, 3), (side - 4, 3), (3, side - 4), (side - 4, side - 4)] {
            assert!(is_red(&square, x, y), "{x} {y}");
        }
    }
}

#[test]
fn pictures_are_upright() {
    for (orientation, red_at) in [(1, (8, 32)), (3, (56, 32)), (6, (32, 8)), (8, (32, 56))] {
        let square = square(&oriented_jpeg(orientation));
        assert!(is_red(&square, red_at.0, red_at.1), "{orientation}");
    }
}

#[test]
fn extra_png_chunks_are_dropped_before_decoding() {
    let file = encoded(&red_and_blue(8, 8), ImageFormat::Png);
    let mut text = png_chunk(b"zTXt", b"x\0\0??");
    // Its checksum is wrong, too.
    text.pop();
    text.push(0);
    assert_eq!(png::strip(&with_png_chunks(&file, &text)), png::strip(&file));
    let rotated = with_png_chunks(&file, &png_chunk(b"eXIf", &exif(6)));
    let square = square(&rotated);
    assert!(is_red(&square, 4, 1) && !is_red(&square, 4, 6));
}

#[test]
fn animations_show_their_first_frame() {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut file, 30);
    for color in [RED, BLUE, BLUE] {
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(4, 4, color))).expect("encoded");
    }
    drop(encoder);
    assert!(is_red(&square(&file), 1, 1));
}
