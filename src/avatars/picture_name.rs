//! Names of pictures: a time, randomness, and a hash of the content. Every upload gets a new name, so that a file never
//! changes; a name reveals neither the owner nor the content.

use data_encoding::BASE32_DNSSEC;
use sea_orm::DeriveValueType;
use uuid::Uuid;

use super::thumbnails::SIDES;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::files::{PublicFolder, PublicName};
use crate::platform::vault::sha256;

/// The folder of all pictures, which everyone with the URL may see.
pub const FOLDER: PublicFolder = PublicFolder::new("avatars");
const ID_LEN: usize = 16;
const CONTENT_HASH_LEN: usize = 16;

/// The name of a picture. The names of its files add the side length.
#[derive(Clone, Debug, PartialEq, Eq, Hash, DeriveValueType)]
pub struct PictureName(String);

// SeaORM requires this trait for primary keys. A name is never a number.
impl sea_orm::TryFromU64 for PictureName {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("Picture"))
    }
}

impl PictureName {
    /// A new name for a picture with this content.
    pub fn new(platform: &Platform, content: &[u8]) -> Self {
        let id: Uuid = platform.new_id();
        // Salted with the id: whether two users have the same picture must not show in its hash.
        let hash = sha256(&[id.as_bytes(), content].concat());
        Self(BASE32_DNSSEC.encode(&[id.as_bytes(), &hash[..CONTENT_HASH_LEN]].concat()))
    }

    /// Parses a name exactly: no path, no other letter case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE32_DNSSEC.decode(text.as_bytes()).ok()?;
        (bytes.len() == ID_LEN + CONTENT_HASH_LEN && BASE32_DNSSEC.encode(&bytes) == text)
            .then(|| Self(text.to_owned()))
    }

    /// Parses a file name ("06dn…-512.webp") into the picture's name and the side length.
    pub fn parse_file_name(file: &str) -> Option<(Self, u32)> {
        let (name, side) = file.strip_suffix(".webp")?.rsplit_once('-')?;
        let side = SIDES.into_iter().find(|allowed| allowed.to_string() == side)?;
        Some((Self::parse(name)?, side))
    }

    /// The name of a file in the store, and below the files' URL.
    pub fn file(&self, side: u32) -> PublicName {
        FOLDER.file(&format!("{}-{side}.webp", self.0))
    }

    /// When the picture was uploaded.
    pub fn uploaded_at(&self) -> Option<Timestamp> {
        let bytes = BASE32_DNSSEC.decode(self.0.as_bytes()).ok()?;
        let (seconds, nanos) =
            Uuid::from_slice(bytes.get(..ID_LEN)?).ok()?.get_timestamp()?.to_unix();
        Timestamp::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_file_names_are_parsed() {
        let name = &BASE32_DNSSEC.encode(&[7; ID_LEN + CONTENT_HASH_LEN]);
        let picture = PictureName::parse(name).expect("a name");
        for side in SIDES {
            let file = format!("{name}-{side}.webp");
            assert_eq!(PictureName::parse_file_name(&file), Some((picture.clone(), side)));
            assert_eq!(picture.file(side).as_str(), format!("avatars/{file}"));
        }
        for bad in [
            "",
            ".webp",
            "-64.webp",
            "../../etc/passwd",
            &format!("{name}-65.webp"),
            &format!("{name}-064.webp"),
            &format!("{name}-64.webp/"),
            &format!("../{name}-64.webp"),
            &format!("{name}-64.webp#1"),
            &format!("{name}-64.WEBP"),
            &format!("{}-64.webp", name.to_uppercase()),
            &format!("{}-64.webp", &name[1..]),
            &format!("{}1-64.webp", &name[..51]),
        ] {
            assert_eq!(PictureName::parse_file_name(bad), None, "{bad}");
        }
    }
}
