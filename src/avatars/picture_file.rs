//! Reads the files of pictures, for anybody with the URL.

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

/// The file with this name, if it exists. The file of a discarded picture does not, even while it is in the store.
///
/// # Errors
/// SERVICE_UNAVAILABLE
pub async fn read_file(platform: &Platform, name: &str) -> Result<Option<PictureFile>> {
    let Some((picture, side)) = PictureName::parse_file_name(name) else { return Ok(None) };
    if discards::contains(platform.database.reads(), &picture).await? {
        return Ok(None);
    }
    let content = platform.files.get(&picture.path(side)).await?;
    Ok(content
        .map(|content| PictureFile { content, tag: name.trim_end_matches(".webp").to_owned() }))
}
