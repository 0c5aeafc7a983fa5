//! What is known of an image file without decoding it.

/// The structure of a file of one of the accepted formats.
#[derive(Debug, PartialEq, Eq)]
pub struct Outline<'f> {
    /// Frames of an animation, or scans of a JPEG.
    pub parts: usize,
    /// The file up to the end of the picture.
    pub picture: &'f [u8],
}
