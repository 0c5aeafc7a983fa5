//! Thumbnails of uploaded pictures: three upright WebP squares without metadata. No byte of the upload is copied into
//! them.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use image::imageops;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::source_image::{MAX_FILE_BYTES, SourceImage, UnsupportedImage};
use crate::error::{Error, ErrorCode, Result, UserError};

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
    pub async fn render(&self, file: File) -> Result<Thumbnails> {
        let busy = |cause: tokio::sync::TryAcquireError| {
            let message = "Too many pictures are coming in. Try again.";
            Error::with_cause(ErrorCode::ServiceUnavailable, message, cause)
        };
        let _queue_permit = self.queue.clone().try_acquire_owned().map_err(busy)?;
        let core = acquire_permits(&self.cores, 1).await?;
        // The permits move into the blocking task, which keeps them until it ends even if the caller is dropped.
        let measure = move || {
            let memory_mib = to_mib(read_image(&file)?.memory);
            drop(core);
            Ok((file, memory_mib))
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
            let thumbnails = read_image(&file).and_then(|image| render(&image));
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

fn read_image(mut file: &File) -> Result<SourceImage> {
    let mut content = Vec::new();
    file.rewind().map_err(Error::internal)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(Error::internal)?;
    SourceImage::parse(&content).map_err(to_user_error)
}

fn render(image: &SourceImage) -> Result<Thumbnails> {
    let picture = image.decode_square(ROUGH_SIDE).map_err(to_user_error)?;
    let mut thumbnails = Thumbnails::default();
    for (thumbnail, side) in thumbnails.iter_mut().zip(SIDES) {
        let scaled = picture.resize_exact(side, side, imageops::FilterType::Lanczos3).into_rgba8();
        let encoder = webp::Encoder::from_rgba(&scaled, side, side);
        let failed = |error| Error::internal(format!("libwebp: {error:?}"));
        *thumbnail = encoder.encode_simple(false, QUALITY).map_err(failed)?.to_vec();
    }
    Ok(thumbnails)
}

/// Whole MiB for a number of bytes, at most the memory budget.
fn to_mib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20).min(MEMORY_BUDGET_MIB as u64)).unwrap_or(u32::MAX)
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
    use image::{ImageFormat, Rgba, RgbaImage};

    use super::super::source_image::tests::{
        FORMATS, encoded, is_red, oriented_jpeg, red_and_blue,
    };
    use super::*;

    fn thumbnails(file: &[u8]) -> Thumbnails {
        let image = SourceImage::parse(file).expect("accepted");
        render(&image).unwrap_or_else(|error| panic!("{}", error.describe()))
    }

    #[test]
    fn every_format_becomes_three_webp_squares() {
        for format in FORMATS {
            let thumbnails = thumbnails(&encoded(&red_and_blue(300, 200), format));
            for (square, side) in thumbnails.iter().zip(SIDES) {
                assert_eq!(image::guess_format(square).ok(), Some(ImageFormat::WebP));
                let square = image::load_from_memory(square).expect("a picture").into_rgba8();
                assert_eq!(square.dimensions(), (side, side), "{format:?}");
                assert!(is_red(&square, side / 8, side / 2) && !is_red(&square, side - 1, 0));
            }
        }
    }

    #[test]
    fn thumbnails_have_no_metadata() {
        for thumbnail in thumbnails(&oriented_jpeg(6)) {
            assert!(!thumbnail.windows(4).any(|bytes| bytes == b"EXIF" || bytes == b"Exif"));
        }
    }

    #[test]
    fn transparency_is_kept() {
        let clear = RgbaImage::from_pixel(100, 100, Rgba([0, 0, 0, 0]));
        let thumbnails = thumbnails(&encoded(&clear.into(), ImageFormat::Png));
        let square = image::load_from_memory(&thumbnails[2]).expect("a picture").into_rgba8();
        assert!(square.pixels().all(|pixel| pixel[3] == 0));
    }
}
