//! Pictures that strangers send: what is accepted, and what is made of it. Three squares as WebP, upright,
//! without metadata; nothing of the bytes that came is passed on.

use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, imageops};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::container::{Unfit, bare_png, recognise};
use crate::error::{Error, ErrorCode, Failure, Result};

/// The most bytes of a file.
pub const MOST_BYTES: u64 = 5 << 20;
/// The most pixels.
const MOST_PIXELS: u64 = 40_000_000;
/// The most bytes that pixels are decoded to: four for each.
const MOST_DECODED: u64 = 4 * MOST_PIXELS;
/// What decoding takes beside what it comes to: a progressive JPEG is kept as coefficients first.
const WORKSPACE: u64 = 3;
/// How many may wait for their turn.
const MOST_WAITING: usize = 100;
/// The sides of the squares, in pixels, the largest first.
pub const SIDES: [u32; 3] = [512, 256, 64];
/// How good the squares are, of 100.
const QUALITY: f32 = 82.0;
/// A picture is brought to about this by averaging, which is quick, before it is scaled with care.
const ROUGH_SIDE: u32 = 2 * SIDES[0];
/// What decoding may take at once, in MiB: what the largest picture does.
const MEMORY: usize = 460;
/// What takes more, in MiB, is large: more than a photograph of 16 megapixels.
const LARGE: u32 = 140;

/// What is shown of a picture: WebP files, in the order of [`SIDES`].
pub type Squares = [Vec<u8>; SIDES.len()];

/// Makes squares of pictures, off the async threads: as many at once as there are cores, and as many as fit
/// into the memory that the largest one needs. Of large ones, one: however many of them come, the others wait
/// for one of them at most.
#[derive(Debug)]
pub struct Pictures {
    queue: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// Of which one is a mebibyte.
    memory: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

impl Default for Pictures {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            queue: Arc::new(Semaphore::new(cores + MOST_WAITING)),
            large: Arc::new(Semaphore::new(1)),
            memory: Arc::new(Semaphore::new(MEMORY)),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }
}

impl Pictures {
    /// Makes the squares of a file.
    ///
    /// # Errors
    /// UPLOAD_TOO_LARGE, UNSUPPORTED_MEDIA; SERVICE_UNAVAILABLE when too many are waiting.
    pub async fn squares(&self, file: std::fs::File) -> Result<Squares> {
        let busy = |cause: tokio::sync::TryAcquireError| {
            let message = "Too many pictures are coming in. Try again.";
            Error::ours(ErrorCode::ServiceUnavailable, message, cause)
        };
        let _place = self.queue.clone().try_acquire_owned().map_err(busy)?;
        let core = acquire(&self.cores, 1).await?;
        // What is acquired goes along: a caller who leaves does not free what is still at work.
        let measured = move || {
            let fit = Fit::read(&file)?;
            drop(core);
            Ok((file, fit.mebibytes))
        };
        // Only its size is kept while it waits.
        let (file, mebibytes) = off_thread(measured).await?;
        let large = match mebibytes > LARGE {
            true => Some(acquire(&self.large, 1).await?),
            false => None,
        };
        let memory = acquire(&self.memory, mebibytes).await?;
        let core = acquire(&self.cores, 1).await?;
        off_thread(move || {
            let squares = Fit::read(&file)?.squares();
            drop((core, memory, large));
            squares
        })
        .await
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, permits: u32) -> Result<OwnedSemaphorePermit> {
    semaphore.clone().acquire_many_owned(permits).await.map_err(Error::internal)
}

/// A decoder that does not get along with a file may panic: that is the file's fault.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(refusal(Unfit::Unsupported)),
        Err(error) => Err(Error::internal(error)),
    }
}

/// A file whose picture is small enough to be decoded.
struct Fit {
    file: Vec<u8>,
    format: ImageFormat,
    mebibytes: u32,
}

impl Fit {
    fn read(mut file: &std::fs::File) -> Result<Self> {
        let mut content = Vec::new();
        file.rewind().map_err(Error::internal)?;
        file.take(MOST_BYTES + 1).read_to_end(&mut content).map_err(Error::internal)?;
        Self::of(content).map_err(refusal)
    }

    fn of(file: Vec<u8>) -> Result<Self, Unfit> {
        if u64::try_from(file.len()).is_ok_and(|bytes| bytes > MOST_BYTES) {
            return Err(Unfit::TooLarge);
        }
        let format = recognise(&file)?;
        let file = if format == ImageFormat::Png { bare_png(&file) } else { file };
        let mut fit = Self { file, format, mebibytes: 0 };
        let decoder = fit.decoder()?;
        let (width, height) = decoder.dimensions();
        let bytes = decoder.total_bytes();
        drop(decoder);
        match u64::from(width) * u64::from(height) {
            0 => return Err(Unfit::Unsupported),
            pixels if pixels > MOST_PIXELS || bytes > MOST_DECODED => {
                return Err(Unfit::TooLarge);
            }
            _ => {}
        }
        fit.mebibytes = mebibytes(bytes * WORKSPACE);
        Ok(fit)
    }

    fn decoder(&self) -> Result<impl ImageDecoder + '_, Unfit> {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MOST_DECODED);
        let mut reader = ImageReader::with_format(Cursor::new(&self.file), self.format);
        reader.limits(limits);
        reader.into_decoder().map_err(|_| Unfit::Unsupported)
    }

    fn squares(&self) -> Result<Squares> {
        let picture = self.drawn().map_err(refusal)?;
        let mut squares = Squares::default();
        for (square, side) in squares.iter_mut().zip(SIDES) {
            let scaled =
                picture.resize_exact(side, side, imageops::FilterType::Lanczos3).into_rgba8();
            let encoder = webp::Encoder::from_rgba(&scaled, side, side);
            let failed = |error| Error::internal(format!("libwebp: {error:?}"));
            *square = encoder.encode_simple(false, QUALITY).map_err(failed)?.to_vec();
        }
        Ok(squares)
    }

    /// The middle of the picture, upright.
    fn drawn(&self) -> Result<DynamicImage, Unfit> {
        let mut decoder = self.decoder()?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let whole = DynamicImage::from_decoder(decoder).map_err(|_| Unfit::Unsupported)?;
        let (width, height) = (whole.width(), whole.height());
        let side = width.min(height);
        let rough = match side > ROUGH_SIDE {
            true => whole.thumbnail_exact(scaled(width, side), scaled(height, side)),
            false => whole,
        };
        let (width, height) = (rough.width(), rough.height());
        let side = width.min(height);
        let square = rough.crop_imm((width - side) / 2, (height - side) / 2, side, side);
        drop(rough);
        let mut square = DynamicImage::from(square.into_rgba8());
        square.apply_orientation(orientation);
        Ok(square)
    }
}

/// How much memory that is, in whole MiB; never more than there is for all.
fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20).min(MEMORY as u64)).unwrap_or(u32::MAX)
}

/// A side of a picture whose shorter one is made the rough one.
fn scaled(length: u32, shorter: u32) -> u32 {
    let scaled = u64::from(length) * u64::from(ROUGH_SIDE) / u64::from(shorter);
    u32::try_from(scaled).unwrap_or(u32::MAX).max(ROUGH_SIDE)
}

fn refusal(unfit: Unfit) -> Error {
    let (code, message) = match unfit {
        Unfit::Unsupported => {
            (ErrorCode::UnsupportedMedia, "This is no whole picture as PNG, JPEG, WebP or GIF.")
        }
        Unfit::TooLarge => {
            (ErrorCode::UploadTooLarge, "A picture has at most 5 MB, 40 megapixels and 500 frames.")
        }
    };
    Failure::new(code, message).at("file").into()
}

#[cfg(test)]
mod tests {
    use image::codecs::gif::GifEncoder;
    use image::codecs::jpeg::JpegEncoder;
    use image::{Frame, Rgba, RgbaImage};

    use super::*;

    const RED: Rgba<u8> = Rgba([250, 10, 10, 255]);
    const BLUE: Rgba<u8> = Rgba([10, 10, 250, 255]);

    fn refused(file: Vec<u8>) -> Option<Unfit> {
        match Fit::of(file) {
            Err(unfit) => Some(unfit),
            Ok(fit) => fit.drawn().err(),
        }
    }

    /// The left half red, the right half blue.
    fn halves(width: u32, height: u32) -> DynamicImage {
        RgbaImage::from_fn(width, height, |x, _| if x < width / 2 { RED } else { BLUE }).into()
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let picture = match format {
            ImageFormat::Jpeg => DynamicImage::from(picture.to_rgb8()),
            _ => picture.clone(),
        };
        picture.write_to(&mut file, format).expect("encoded");
        file.into_inner()
    }

    fn is_red(square: &RgbaImage, x: u32, y: u32) -> bool {
        let Rgba([red, _, blue, _]) = *square.get_pixel(x, y);
        red > 150 && blue < 100
    }

    #[test]
    fn every_format_becomes_three_squares_of_webp() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let fit = Fit::of(encoded(&halves(300, 200), format)).expect("accepted");
            let squares = fit.squares().unwrap_or_else(|error| panic!("{}", error.describe()));
            for (square, side) in squares.iter().zip(SIDES) {
                assert_eq!(image::guess_format(square).ok(), Some(ImageFormat::WebP));
                let square = image::load_from_memory(square).expect("a picture").into_rgba8();
                assert_eq!(square.dimensions(), (side, side), "{format:?}");
                assert!(is_red(&square, side / 8, side / 2) && !is_red(&square, side - 1, 0));
            }
        }
    }

    #[test]
    fn a_large_picture_is_cut_to_its_middle() {
        let (width, height) = (5000, 1500);
        let middle = |x| (1750..3250).contains(&x);
        let picture = RgbaImage::from_fn(width, height, |x, _| if middle(x) { RED } else { BLUE });
        for picture in [DynamicImage::from(picture.clone()), DynamicImage::from(picture).rotate90()]
        {
            let fit = Fit::of(encoded(&picture, ImageFormat::Png)).expect("accepted");
            let square = fit.drawn().expect("drawn").into_rgba8();
            let side = square.width();
            assert_eq!((side, square.height()), (ROUGH_SIDE, ROUGH_SIDE));
            for (x, y) in [(3, 3), (side - 4, 3), (3, side - 4), (side - 4, side - 4)] {
                assert!(is_red(&square, x, y), "{x} {y}");
            }
        }
    }

    /// Metadata that say how a picture was held.
    fn exif(orientation: u8) -> Vec<u8> {
        let head = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
        [&head[..], &[orientation], b"\0\0\0\0\0\0"].concat()
    }

    /// A JPEG with it.
    fn held(orientation: u8) -> Vec<u8> {
        let file = encoded(&halves(64, 64), ImageFormat::Jpeg);
        [&file[..2], b"\xff\xe1\x00\x22Exif\0\0", &exif(orientation), &file[2..]].concat()
    }

    /// The same as PNG has it.
    fn exif_chunk(orientation: u8) -> Vec<u8> {
        let content = [&b"eXIf"[..], &exif(orientation)].concat();
        [&b"\0\0\0\x1a"[..], &content, &checksum(&content)].concat()
    }

    /// As PNG has it.
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

    #[test]
    fn a_picture_is_shown_upright_and_without_metadata() {
        for (orientation, red_at) in [(1, (8, 32)), (3, (56, 32)), (6, (32, 8)), (8, (32, 56))] {
            let fit = Fit::of(held(orientation)).expect("accepted");
            let square = fit.drawn().expect("drawn").into_rgba8();
            assert!(is_red(&square, red_at.0, red_at.1), "{orientation}");
            let squares = fit.squares().unwrap_or_else(|error| panic!("{}", error.describe()));
            for square in squares {
                assert!(!square.windows(4).any(|bytes| bytes == b"EXIF" || bytes == b"Exif"));
            }
        }
    }

    #[test]
    fn what_lets_light_through_still_does() {
        let clear = RgbaImage::from_pixel(100, 100, Rgba([0, 0, 0, 0]));
        let fit = Fit::of(encoded(&clear.into(), ImageFormat::Png)).expect("accepted");
        let squares = fit.squares().unwrap_or_else(|error| panic!("{}", error.describe()));
        let square = image::load_from_memory(&squares[2]).expect("a picture").into_rgba8();
        assert!(square.pixels().all(|pixel| pixel[3] == 0));
    }

    #[test]
    fn of_an_animation_the_first_frame_is_shown_and_too_many_are_refused() {
        let animation = |frames: usize| {
            let mut file = Vec::new();
            let mut encoder = GifEncoder::new_with_speed(&mut file, 30);
            for number in 0..frames {
                let colour = if number == 0 { RED } else { BLUE };
                encoder
                    .encode_frame(Frame::new(RgbaImage::from_pixel(4, 4, colour)))
                    .expect("encoded");
            }
            drop(encoder);
            file
        };
        let square = Fit::of(animation(3)).expect("accepted").drawn().expect("drawn").into_rgba8();
        assert!(is_red(&square, 1, 1));
        assert_eq!(refused(animation(10_000)), Some(Unfit::TooLarge));
    }

    #[test]
    fn a_flood_of_pixels_is_refused_unseen() {
        // Headers that promise more than there is.
        let png = |side: u32, depth: u8| {
            let mut file = encoded(&halves(8, 8), ImageFormat::Png);
            file[16..20].copy_from_slice(&side.to_be_bytes());
            file[20..24].copy_from_slice(&side.to_be_bytes());
            file[24] = depth;
            let sum = checksum(&file[12..29]);
            file[29..33].copy_from_slice(&sum);
            file
        };
        let mut gif = encoded(&halves(8, 8), ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[255; 4]);
        let mut jpeg = encoded(&halves(8, 8), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|it| it == b"\xff\xc0").expect("a frame");
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
        for (name, file) in [
            ("png", png(65_536, 8)),
            ("a little too large", png(6_325, 8)),
            ("deep pixels, as many as may be", png(5_000, 16)),
            ("gif", gif),
            ("jpeg", jpeg),
        ] {
            assert_eq!(refused(file), Some(Unfit::TooLarge), "{name}");
        }
        assert_eq!(refused(png(6_324, 8)), Some(Unfit::Unsupported), "it has none of these pixels");
    }

    #[test]
    fn what_stands_beside_the_pixels_is_not_even_unpacked() {
        let png = encoded(&halves(8, 8), ImageFormat::Png);
        let beside = [&b"\0\0\0\x05"[..], b"iCCP", b"x\0\0??", b"\0\0\0\0"].concat();
        // Behind the header, where a profile stands. Its checksum is wrong, too.
        let with = [&png[..33], &beside, &png[33..]].concat();
        assert_eq!(Fit::of(with).expect("accepted").file, bare_png(&png));
        let turned = [&png[..33], &exif_chunk(6), &png[33..]].concat();
        let square = Fit::of(turned).expect("accepted").drawn().expect("drawn").into_rgba8();
        assert!(is_red(&square, 4, 1) && !is_red(&square, 4, 6));
    }

    #[test]
    fn a_jpeg_that_goes_over_its_picture_again_and_again_is_refused() {
        let mut file = Vec::new();
        JpegEncoder::new(&mut file)
            .encode_image(&DynamicImage::from(halves(8, 8).to_rgb8()))
            .expect("encoded");
        let scan = file.windows(2).position(|it| it == b"\xff\xda").expect("a scan");
        let end = file.len() - 2;
        let scans = file[scan..end].repeat(100);
        let again = [&file[..scan], &scans, &file[end..]].concat();
        assert_eq!(refused(again), Some(Unfit::TooLarge));
    }

    #[test]
    fn what_is_cut_off_is_refused_wherever_it_is_cut() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let whole = encoded(&halves(32, 32), format);
            for length in 0..whole.len() {
                assert_eq!(
                    refused(whole[..length].to_vec()),
                    Some(Unfit::Unsupported),
                    "{format:?} {length}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_picture_or_more_than_one_is_refused() {
        let png = encoded(&halves(8, 8), ImageFormat::Png);
        let jpeg = encoded(&halves(8, 8), ImageFormat::Jpeg);
        let gif = encoded(&halves(8, 8), ImageFormat::Gif);
        let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let mut script = gif.clone();
        script[6..8].copy_from_slice(b"/*");
        for (name, file) in [
            ("nothing", Vec::new()),
            ("text", b"hello".to_vec()),
            ("svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec()),
            ("html", b"<!DOCTYPE html><script>alert(1)</script>".to_vec()),
            ("a bitmap", encoded(&halves(8, 8), ImageFormat::Png)[8..].to_vec()),
            ("html behind", [&png[..], b"<html><script>alert(1)</script>"].concat()),
            ("html behind a photograph", [&jpeg[..], b"<HTML><SCRIPT>alert(1)</SCRIPT>"].concat()),
            ("html within", [&jpeg[..2], b"\xff\xfe\x00\x0b<?php 1;>", &jpeg[2..]].concat()),
            ("an archive behind", [&jpeg[..], zip].concat()),
            ("another picture behind", [&png[..], &png].concat()),
            ("a script", script),
            ("a document within", [&jpeg[..2], b"\xff\xfe\x00\x08%PDF-1", &jpeg[2..]].concat()),
        ] {
            assert_eq!(refused(file), Some(Unfit::Unsupported), "{name}");
        }
        let film = [&jpeg[..], b"\0\0\0\x18ftypmp42 and what a phone filmed"].concat();
        assert_eq!(refused(film), None, "phones do so");
        assert_eq!(refused(vec![0; 20 << 20]), Some(Unfit::TooLarge));
    }
}
