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

/// A group of private objects: whatever one feature keeps. Their names begin with the group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateGroup(&'static str);

impl PrivateGroup {
    /// A group with this name. In a constant, an invalid name does not compile.
    ///
    /// # Panics
    /// If the name has other characters than lower-case letters.
    pub const fn new(name: &'static str) -> Self {
        // The rules of a public folder: names are as simple.
        let _ = PublicFolder::new(name);
        Self(name)
    }

    /// A new name in this group.
    pub fn new_name(self, entropy: &dyn Entropy) -> PrivateName {
        PrivateName(format!("{}{}", self.prefix(), random_id(entropy)))
    }

    /// The name at a path in the store, if it was made by [`Self::new_name`].
    pub(super) fn parse(self, path: &str) -> Option<PrivateName> {
        let id = path.strip_prefix(&self.prefix())?;
        let is_id = HEXLOWER.decode(id.as_bytes()).is_ok_and(|id| id.len() == PRIVATE_ID_LEN);
        is_id.then(|| PrivateName(path.to_owned()))
    }

    fn prefix(self) -> String {
        format!("{PRIVATE_FOLDER}/{}-", self.0)
    }
}

fn random_id(entropy: &dyn Entropy) -> String {
    let mut id = [0; PRIVATE_ID_LEN];
    entropy.fill(&mut id);
    HEXLOWER.encode(&id)
}

/// The name of a private object: 128 random bits. It is not shown to clients and not logged.
#[derive(Clone, PartialEq, Eq, Hash, DeriveValueType)]
pub struct PrivateName(String);

impl PrivateName {
    /// A new name in no group.
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(format!("{PRIVATE_FOLDER}/{}", random_id(entropy)))
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

/// The name of an object that somebody else puts into the store. It is treated as private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignName(Path);

impl ForeignName {
    /// The name of an object at this path, with its characters as they are. None if no object can have it.
    pub fn parse(path: &str) -> Option<Self> {
        Path::parse(path).ok().map(Self)
    }

    /// The path in the store.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl ObjectName for ForeignName {
    fn visibility(&self) -> Visibility {
        Visibility::Private
    }

    fn path(&self) -> Path {
        self.0.clone()
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

    #[test]
    fn a_group_has_only_the_names_that_were_made_for_it() {
        let entropy = SeededEntropy::new(1);
        let group = PrivateGroup::new("pictures");
        let name = group.new_name(&entropy);
        assert_eq!(group.parse(name.as_str()), Some(name.clone()));
        let other = PrivateGroup::new("picture").new_name(&entropy);
        let ungrouped = PrivateName::new(&entropy);
        let partial = format!("{}#1", name.as_str());
        let longer = format!("{}00", name.as_str());
        let above = name.as_str().replace("private/", "");
        for path in [other.as_str(), ungrouped.as_str(), &partial, &longer, &above, "private/x", ""]
        {
            assert_eq!(group.parse(path), None, "{path}");
        }
    }
}
