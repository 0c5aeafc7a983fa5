//! Reads of picture files, which everyone with the URL may see.

use super::entity::discards;
use super::picture_name::PictureName;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::files::Bytes;

/// A file of a picture. It never changes.
pub struct PictureFile {
    /// The WebP content.
    pub content: Bytes,
    /// The entity tag.
    pub tag: String,
}

/// Reads the file with this name. None: there is none, or its picture is discarded and the file not yet deleted.
///
/// # Errors
/// SERVICE_UNAVAILABLE
pub async fn read_picture_file(platform: &Platform, name: &str) -> Result<Option<PictureFile>> {
    let Some((picture, side)) = PictureName::parse_file_name(name) else { return Ok(None) };
    if discards::is_discarded(platform.database.reads(), &picture).await? {
        return Ok(None);
    }
    let content = platform.files.get(&picture.file(side)).await?;
    Ok(content
        .map(|content| PictureFile { content, tag: name.trim_end_matches(".webp").to_owned() }))
}
