//! Thumbnails of uploaded pictures: three upright WebP squares without metadata. No byte of the upload is copied into
//! them.

use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, imageops};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::sniff::{UnsupportedImage, sniff_format, strip_png};
use crate::error::{Error, ErrorCode, Result, UserError};

/// The most bytes of an uploaded file.
pub const MAX_FILE_BYTES: u64 = 5 << 20;
/// The most pixels of a picture.
const MAX_PIXELS: u64 = 40_000_000;
/// The most bytes of decoded pixels: four per pixel.
const MAX_DECODED_BYTES: u64 = 4 * MAX_PIXELS;
/// Decoding needs this multiple of the decoded size: a progressive JPEG is held as coefficients first.
const MEMORY_FACTOR: u64 = 3;
/// How many uploads may wait to be decoded.
const MAX_WAITING: usize = 100;
/// The side lengths of the thumbnails in pixels, largest first.
pub const SIDES: [u32; 3] = [512, 256, 64];
/// The WebP quality, up to 100.
const QUALITY: f32 = 82.0;
/// A picture is first reduced to about this side length by fast averaging, then scaled with a better filter.
const ROUGH_SIDE: u32 = 2 * SIDES[0];
/// Memory for concurrent decoding, in MiB: what the largest picture needs.
const MEMORY_BUDGET_MIB: usize = 460;
/// A picture that needs more, in MiB, counts as large: more than a photo of 16 megapixels.
const LARGE_PICTURE_MIB: u32 = 140;

/// The WebP files of a picture, in the order of [`SIDES`].
pub type Thumbnails = [Vec<u8>; SIDES.len()];

/// Renders thumbnails off the async threads: as many at once as there are cores, within the memory budget. Only one
/// large picture is decoded at a time, so that small ones wait for one large one at most.
#[derive(Debug)]
pub struct ThumbnailRenderer {
    /// One permit per upload that waits or runs.
    queue: Arc<Semaphore>,
    /// One permit, for large pictures.
    large: Arc<Semaphore>,
    /// One permit per MiB.
    memory: Arc<Semaphore>,
    /// One permit per core.
    cores: Arc<Semaphore>,
}

impl Default for ThumbnailRenderer {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            queue: Arc::new(Semaphore::new(cores + MAX_WAITING)),
            large: Arc::new(Semaphore::new(1)),
            memory: Arc::new(Semaphore::new(MEMORY_BUDGET_MIB)),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }
}

impl ThumbnailRenderer {
    /// Renders the thumbnails of a file.
    ///
    /// # Errors
    /// UPLOAD_TOO_LARGE, UNSUPPORTED_MEDIA; SERVICE_UNAVAILABLE when too many are waiting.
    pub async fn render(&self, file: std::fs::File) -> Result<Thumbnails> {
        let busy = |cause: tokio::sync::TryAcquireError| {
            let message = "Too many pictures are coming in. Try again.";
            Error::with_cause(ErrorCode::ServiceUnavailable, message, cause)
        };
        let _queue_permit = self.queue.clone().try_acquire_owned().map_err(busy)?;
        let core = acquire_permits(&self.cores, 1).await?;
        // The permits move into the blocking task, which keeps them until it ends even if the caller is dropped.
        let measure = move || {
            let image = SourceImage::read(&file)?;
            drop(core);
            Ok((file, image.memory_mib))
        };
        // The file's content is not held while waiting, only its size.
        let (file, memory_mib) = run_blocking(measure).await?;
        let large = match memory_mib > LARGE_PICTURE_MIB {
            true => Some(acquire_permits(&self.large, 1).await?),
            false => None,
        };
        let memory = acquire_permits(&self.memory, memory_mib).await?;
        let core = acquire_permits(&self.cores, 1).await?;
        run_blocking(move || {
            let thumbnails = SourceImage::read(&file)?.render();
            drop((core, memory, large));
            thumbnails
        })
        .await
    }
}

async fn acquire_permits(semaphore: &Arc<Semaphore>, permits: u32) -> Result<OwnedSemaphorePermit> {
    semaphore.clone().acquire_many_owned(permits).await.map_err(Error::internal)
}

/// Runs blocking work. A panic counts as an unsupported file: decoders may panic on malformed input.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(to_user_error(UnsupportedImage::Format)),
        Err(error) => Err(Error::internal(error)),
    }
}

/// An uploaded file that is safe to decode.
struct SourceImage {
    file: Vec<u8>,
    format: ImageFormat,
    /// The memory that decoding needs.
    memory_mib: u32,
}

impl SourceImage {
    fn read(mut file: &std::fs::File) -> Result<Self> {
        let mut content = Vec::new();
        file.rewind().map_err(Error::internal)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(Error::internal)?;
        Self::parse(content).map_err(to_user_error)
    }

    fn parse(file: Vec<u8>) -> Result<Self, UnsupportedImage> {
        if u64::try_from(file.len()).is_ok_and(|bytes| bytes > MAX_FILE_BYTES) {
            return Err(UnsupportedImage::TooLarge);
        }
        let format = sniff_format(&file)?;
        let file = if format == ImageFormat::Png { strip_png(&file) } else { file };
        let mut image = Self { file, format, memory_mib: 0 };
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
        image.memory_mib = to_mib(bytes * MEMORY_FACTOR);
        Ok(image)
    }

    fn decoder(&self) -> Result<impl ImageDecoder + '_, UnsupportedImage> {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        let mut reader = ImageReader::with_format(Cursor::new(&self.file), self.format);
        reader.limits(limits);
        reader.into_decoder().map_err(|_| UnsupportedImage::Format)
    }

    fn render(&self) -> Result<Thumbnails> {
        let picture = self.decode_square().map_err(to_user_error)?;
        let mut thumbnails = Thumbnails::default();
        for (thumbnail, side) in thumbnails.iter_mut().zip(SIDES) {
            let scaled =
                picture.resize_exact(side, side, imageops::FilterType::Lanczos3).into_rgba8();
            let encoder = webp::Encoder::from_rgba(&scaled, side, side);
            let failed = |error| Error::internal(format!("libwebp: {error:?}"));
            *thumbnail = encoder.encode_simple(false, QUALITY).map_err(failed)?.to_vec();
        }
        Ok(thumbnails)
    }

    /// Decodes the central square of the picture, upright.
    fn decode_square(&self) -> Result<DynamicImage, UnsupportedImage> {
        let mut decoder = self.decoder()?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let whole = DynamicImage::from_decoder(decoder).map_err(|_| UnsupportedImage::Format)?;
        let (width, height) = (whole.width(), whole.height());
        let side = width.min(height);
        let rough = match side > ROUGH_SIDE {
            true => whole.thumbnail_exact(scaled_length(width, side), scaled_length(height, side)),
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

/// Whole MiB for a number of bytes, at most the memory budget.
fn to_mib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20).min(MEMORY_BUDGET_MIB as u64)).unwrap_or(u32::MAX)
}

/// The length of a side after scaling the shorter side to [`ROUGH_SIDE`].
fn scaled_length(length: u32, shorter: u32) -> u32 {
    let scaled = u64::from(length) * u64::from(ROUGH_SIDE) / u64::from(shorter);
    u32::try_from(scaled).unwrap_or(u32::MAX).max(ROUGH_SIDE)
}

fn to_user_error(unsupported: UnsupportedImage) -> Error {
    let (code, message) = match unsupported {
        UnsupportedImage::Format => {
            (ErrorCode::UnsupportedMedia, "This is no whole picture as PNG, JPEG, WebP or GIF.")
        }
        UnsupportedImage::TooLarge => {
            (ErrorCode::UploadTooLarge, "A picture has at most 5 MB, 40 megapixels and 500 frames.")
        }
    };
    UserError::new(code, message).for_field("file").into()
}

#[cfg(test)]
mod tests {
    use image::codecs::gif::GifEncoder;
    use image::codecs::jpeg::JpegEncoder;
    use image::{Frame, Rgba, RgbaImage};

    use super::*;

    const RED: Rgba<u8> = Rgba([250, 10, 10, 255]);
    const BLUE: Rgba<u8> = Rgba([10, 10, 250, 255]);

    fn rejection(file: Vec<u8>) -> Option<UnsupportedImage> {
        match SourceImage::parse(file) {
            Err(unsupported) => Some(unsupported),
            Ok(image) => image.decode_square().err(),
        }
    }

    /// The left half red, the right half blue.
    fn red_and_blue(width: u32, height: u32) -> DynamicImage {
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
    fn every_format_becomes_three_webp_squares() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let image =
                SourceImage::parse(encoded(&red_and_blue(300, 200), format)).expect("accepted");
            let thumbnails = image.render().unwrap_or_else(|error| panic!("{}", error.describe()));
            for (square, side) in thumbnails.iter().zip(SIDES) {
                assert_eq!(image::guess_format(square).ok(), Some(ImageFormat::WebP));
                let square = image::load_from_memory(square).expect("a picture").into_rgba8();
                assert_eq!(square.dimensions(), (side, side), "{format:?}");
                assert!(is_red(&square, side / 8, side / 2) && !is_red(&square, side - 1, 0));
            }
        }
    }

    #[test]
    fn pictures_are_cropped_to_their_center() {
        let (width, height) = (5000, 1500);
        let middle = |x| (1750..3250).contains(&x);
        let picture = RgbaImage::from_fn(width, height, |x, _| if middle(x) { RED } else { BLUE });
        for picture in [DynamicImage::from(picture.clone()), DynamicImage::from(picture).rotate90()]
        {
            let image = SourceImage::parse(encoded(&picture, ImageFormat::Png)).expect("accepted");
            let square = image.decode_square().expect("decoded").into_rgba8();
            let side = square.width();
            assert_eq!((side, square.height()), (ROUGH_SIDE, ROUGH_SIDE));
            for (x, y) in [(3, 3), (side - 4, 3), (3, side - 4), (side - 4, side - 4)] {
                assert!(is_red(&square, x, y), "{x} {y}");
            }
        }
    }

    /// Exif metadata with an orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let head = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
        [&head[..], &[orientation], b"\0\0\0\0\0\0"].concat()
    }

    /// A JPEG with this orientation.
    fn oriented_jpeg(orientation: u8) -> Vec<u8> {
        let file = encoded(&red_and_blue(64, 64), ImageFormat::Jpeg);
        [&file[..2], b"\xff\xe1\x00\x22Exif\0\0", &exif(orientation), &file[2..]].concat()
    }

    /// A PNG chunk with this orientation.
    fn exif_chunk(orientation: u8) -> Vec<u8> {
        let content = [&b"eXIf"[..], &exif(orientation)].concat();
        [&b"\0\0\0\x1a"[..], &content, &checksum(&content)].concat()
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

    #[test]
    fn thumbnails_are_upright_and_without_metadata() {
        for (orientation, red_at) in [(1, (8, 32)), (3, (56, 32)), (6, (32, 8)), (8, (32, 56))] {
            let image = SourceImage::parse(oriented_jpeg(orientation)).expect("accepted");
            let square = image.decode_square().expect("decoded").into_rgba8();
            assert!(is_red(&square, red_at.0, red_at.1), "{orientation}");
            let thumbnails = image.render().unwrap_or_else(|error| panic!("{}", error.describe()));
            for thumbnail in thumbnails {
                assert!(!thumbnail.windows(4).any(|bytes| bytes == b"EXIF" || bytes == b"Exif"));
            }
        }
    }

    #[test]
    fn transparency_is_kept() {
        let clear = RgbaImage::from_pixel(100, 100, Rgba([0, 0, 0, 0]));
        let image = SourceImage::parse(encoded(&clear.into(), ImageFormat::Png)).expect("accepted");
        let thumbnails = image.render().unwrap_or_else(|error| panic!("{}", error.describe()));
        let square = image::load_from_memory(&thumbnails[2]).expect("a picture").into_rgba8();
        assert!(square.pixels().all(|pixel| pixel[3] == 0));
    }

    #[test]
    fn animations_show_their_first_frame_and_are_limited_in_frames() {
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
        let square = SourceImage::parse(animation(3))
            .expect("accepted")
            .decode_square()
            .expect("decoded")
            .into_rgba8();
        assert!(is_red(&square, 1, 1));
        assert_eq!(rejection(animation(10_000)), Some(UnsupportedImage::TooLarge));
    }

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
        let mut gif = encoded(&red_and_blue(8, 8), ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[255; 4]);
        let mut jpeg = encoded(&red_and_blue(8, 8), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|bytes| bytes == b"\xff\xc0").expect("a frame");
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
        for (name, file) in [
            ("png", png(65_536, 8)),
            ("just above the limit", png(6_325, 8)),
            ("few pixels of 16 bits", png(5_000, 16)),
            ("gif", gif),
            ("jpeg", jpeg),
        ] {
            assert_eq!(rejection(file), Some(UnsupportedImage::TooLarge), "{name}");
        }
        assert_eq!(
            rejection(png(6_324, 8)),
            Some(UnsupportedImage::Format),
            "within the limit, but the file has fewer pixels than it announces"
        );
    }

    #[test]
    fn extra_png_chunks_are_dropped_before_decoding() {
        let png = encoded(&red_and_blue(8, 8), ImageFormat::Png);
        let profile = [&b"\0\0\0\x05"[..], b"iCCP", b"x\0\0??", b"\0\0\0\0"].concat();
        // After the header, where a profile belongs. Its checksum is wrong, too.
        let with_profile = [&png[..33], &profile, &png[33..]].concat();
        assert_eq!(SourceImage::parse(with_profile).expect("accepted").file, strip_png(&png));
        let rotated = [&png[..33], &exif_chunk(6), &png[33..]].concat();
        let square = SourceImage::parse(rotated)
            .expect("accepted")
            .decode_square()
            .expect("decoded")
            .into_rgba8();
        assert!(is_red(&square, 4, 1) && !is_red(&square, 4, 6));
    }

    #[test]
    fn jpegs_are_limited_in_scans() {
        let mut file = Vec::new();
        JpegEncoder::new(&mut file)
            .encode_image(&DynamicImage::from(red_and_blue(8, 8).to_rgb8()))
            .expect("encoded");
        let scan = file.windows(2).position(|bytes| bytes == b"\xff\xda").expect("a scan");
        let end = file.len() - 2;
        let scans = file[scan..end].repeat(100);
        let many_scans = [&file[..scan], &scans, &file[end..]].concat();
        assert_eq!(rejection(many_scans), Some(UnsupportedImage::TooLarge));
    }

    #[test]
    fn truncated_files_are_rejected() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let whole = encoded(&red_and_blue(32, 32), format);
            for length in 0..whole.len() {
                assert_eq!(
                    rejection(whole[..length].to_vec()),
                    Some(UnsupportedImage::Format),
                    "{format:?} {length}"
                );
            }
        }
    }

    #[test]
    fn files_that_are_not_exactly_one_picture_are_rejected() {
        let png = encoded(&red_and_blue(8, 8), ImageFormat::Png);
        let jpeg = encoded(&red_and_blue(8, 8), ImageFormat::Jpeg);
        let gif = encoded(&red_and_blue(8, 8), ImageFormat::Gif);
        let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let mut script = gif.clone();
        script[6..8].copy_from_slice(b"/*");
        for (name, file) in [
            ("nothing", Vec::new()),
            ("text", b"hello".to_vec()),
            ("svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec()),
            ("html", b"<!DOCTYPE html><script>alert(1)</script>".to_vec()),
            (
                "a PNG without its signature",
                encoded(&red_and_blue(8, 8), ImageFormat::Png)[8..].to_vec(),
            ),
            ("appended html", [&png[..], b"<html><script>alert(1)</script>"].concat()),
            ("html appended to a photo", [&jpeg[..], b"<HTML><SCRIPT>alert(1)</SCRIPT>"].concat()),
            ("embedded html", [&jpeg[..2], b"\xff\xfe\x00\x0b<?php 1;>", &jpeg[2..]].concat()),
            ("an appended archive", [&jpeg[..], zip].concat()),
            ("an appended picture", [&png[..], &png].concat()),
            ("a script", script),
            ("an embedded document", [&jpeg[..2], b"\xff\xfe\x00\x08%PDF-1", &jpeg[2..]].concat()),
        ] {
            assert_eq!(rejection(file), Some(UnsupportedImage::Format), "{name}");
        }
        let with_video = [&jpeg[..], b"\0\0\0\x18ftypmp42 and a video"].concat();
        assert_eq!(rejection(with_video), None, "phones append videos");
        assert_eq!(rejection(vec![0; 20 << 20]), Some(UnsupportedImage::TooLarge));
    }
}
