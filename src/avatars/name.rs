//! What a picture is called: when it was made, randomness, and a hash of what it shows. So every upload has
//! files of its own, a name never shows anything else, and it tells neither whose it is nor what it shows.

use data_encoding::BASE32_DNSSEC;
use sea_orm::DeriveValueType;
use uuid::Uuid;

use super::picture::SIDES;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::vault::sha256;

/// The folder of all of them.
pub const FOLDER: &str = "avatars";
const ID: usize = 16;
const HASH: usize = 16;

/// The name of a picture, which is that of its files but for their sizes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, DeriveValueType)]
pub struct Picture(String);

// What a primary key must have. A picture is never a number.
impl sea_orm::TryFromU64 for Picture {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("Picture"))
    }
}

impl Picture {
    /// A new name for what is shown by `content`.
    pub fn new(platform: &Platform, content: &[u8]) -> Self {
        let id: Uuid = platform.new_id();
        // Salted: whoever has the same picture cannot tell that somebody shows it.
        let hash = sha256(&[id.as_bytes(), content].concat());
        Self(BASE32_DNSSEC.encode(&[id.as_bytes(), &hash[..HASH]].concat()))
    }

    /// Reads a name. Nothing else is one: no path, no other case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE32_DNSSEC.decode(text.as_bytes()).ok()?;
        (bytes.len() == ID + HASH && BASE32_DNSSEC.encode(&bytes) == text)
            .then(|| Self(text.to_owned()))
    }

    /// Reads the name of one of its files ("06dn…-512.webp"), and which size it is.
    pub fn parse_file(file: &str) -> Option<(Self, u32)> {
        let (name, side) = file.strip_suffix(".webp")?.rsplit_once('-')?;
        let side = SIDES.into_iter().find(|known| known.to_string() == side)?;
        Some((Self::parse(name)?, side))
    }

    /// Where its file of a size is in the store, and below our address.
    pub fn file(&self, side: u32) -> String {
        format!("{FOLDER}/{}-{side}.webp", self.0)
    }

    /// When it was made.
    pub fn made_at(&self) -> Option<Instant> {
        let bytes = BASE32_DNSSEC.decode(self.0.as_bytes()).ok()?;
        let (seconds, nanos) = Uuid::from_slice(bytes.get(..ID)?).ok()?.get_timestamp()?.to_unix();
        Instant::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_alone() {
        let name = &BASE32_DNSSEC.encode(&[7; ID + HASH]);
        let picture = Picture::parse(name).expect("a name");
        for side in SIDES {
            let file = format!("{name}-{side}.webp");
            assert_eq!(Picture::parse_file(&file), Some((picture.clone(), side)));
            assert_eq!(picture.file(side), format!("avatars/{file}"));
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
            assert_eq!(Picture::parse_file(bad), None, "{bad}");
        }
    }
}
