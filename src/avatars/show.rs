//! The files of pictures, for whoever has their addresses.

use super::entity::discards;
use super::name::Picture;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::files::Bytes;

/// A file that never changes.
pub struct File {
    /// WebP.
    pub content: Bytes,
    /// What it is known by, for ever.
    pub tag: String,
}

/// The file of a name, if it is one of ours and there. One of a picture that nobody shows any more is not, also
/// while the store has it still.
///
/// # Errors
/// SERVICE_UNAVAILABLE when the store or the database is out of reach.
pub async fn file(platform: &Platform, name: &str) -> Result<Option<File>> {
    let Some((picture, side)) = Picture::parse_file(name) else { return Ok(None) };
    if discards::contains(platform.database.reads(), &picture).await? {
        return Ok(None);
    }
    let content = platform.files.get(&picture.file(side)).await?;
    Ok(content.map(|content| File { content, tag: name.trim_end_matches(".webp").to_owned() }))
}
