//! Names of stored objects. Public and private names are separate types: a route that serves public names cannot name
//! a private object.

use std::fmt;

use data_encoding::HEXLOWER;
use object_store::path::Path;
use sea_orm::DeriveValueType;

use crate::platform::entropy::Entropy;

/// The folder of all private objects.
pub(super) const PRIVATE_FOLDER: &str = "private";
const PRIVATE_ID_LEN: usize = 16;

/// Who may read an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody who knows the name, for instance from the bucket itself.
    Public,
    /// Only those whom a route of this server authorises.
    Private,
}

impl Visibility {
    /// The `Cache-Control` header with which a bucket serves the object: the content of a name never changes.
    pub fn cache_control(self) -> &'static str {
        match self {
            Self::Public => "public, max-age=31536000, immutable",
            Self::Private => "private, no-store",
        }
    }
}

/// The name of an object: a [`PublicName`] or a [`PrivateName`].
pub trait ObjectName: Sync {
    /// Who may read the object.
    fn visibility(&self) -> Visibility;
    /// The path in the store.
    fn path(&self) -> Path;
}

/// A folder of public objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicFolder(&'static str);

impl PublicFolder {
    /// A folder with this name. In a constant, an invalid name does not compile.
    ///
    /// # Panics
    /// If the name is that of the private folder, or has other characters than lower-case letters.
    pub const fn new(name: &'static str) -> Self {
        assert!(!matches!(name.as_bytes(), b"" | b"private"), "not a folder of public objects");
        let mut index = 0;
        while index < name.len() {
            assert!(name.as_bytes()[index].is_ascii_lowercase(), "only lower-case letters");
            index += 1;
        }
        Self(name)
    }

    /// The folder's name, without a slash.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The name of an object in this folder. Slashes and dots of `file` lead to no other folder.
    pub fn file(self, file: &str) -> PublicName {
        PublicName(Path::from_iter([self.0, file]))
    }
}

/// The name of a public object: a folder and a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicName(Path);

impl PublicName {
    /// The path in the store, and below the URL of public files.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl ObjectName for PublicName {
    fn visibility(&self) -> Visibility {
        Visibility::Public
    }

    fn path(&self) -> Path {
        self.0.clone()
    }
}

/// The name of a private object: 128 random bits. It is not shown to clients and not logged.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PrivateName(String);

impl PrivateName {
    /// A new name.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut id = [0; PRIVATE_ID_LEN];
        entropy.fill(&mut id);
        Self(format!("{PRIVATE_FOLDER}/{}", HEXLOWER.encode(&id)))
    }

    /// The path in the store, to be kept in a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateName")
    }
}

impl ObjectName for PrivateName {
    fn visibility(&self) -> Visibility {
        Visibility::Private
    }

    fn path(&self) -> Path {
        Path::from(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::entropy::SeededEntropy;

    #[test]
    fn public_names_stay_in_their_folder() {
        let folder = PublicFolder::new("pictures");
        assert_eq!(folder.file("a-64.webp").as_str(), "pictures/a-64.webp");
        for file in ["../private/x", "..", "/private/x", "..\\private", "%2e%2e/private/x", "a#1"] {
            let name = folder.file(file);
            let (start, rest) = name.as_str().split_once('/').expect("a folder");
            assert!(start == "pictures" && !rest.contains(['/', '#']) && rest != "..", "{name:?}");
        }
    }

    #[test]
    fn the_private_folder_is_not_public() {
        for name in ["private", "", "Private", "a/private", ".."] {
            assert!(std::panic::catch_unwind(|| PublicFolder::new(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn private_names_are_random_and_not_printed() {
        let entropy = SeededEntropy::new(1);
        let (one, two) = (PrivateName::new(&entropy), PrivateName::new(&entropy));
        assert_ne!(one, two);
        let id = one.as_str().strip_prefix("private/").expect("the folder");
        assert_eq!(HEXLOWER.decode(id.as_bytes()).expect("hex").len(), 16);
        assert_eq!(format!("{one:?}"), "PrivateName");
    }
}
