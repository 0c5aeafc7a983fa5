//! Listing of objects: the files of a public folder, the private objects of a group, and what others put into a store.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::names::{
    ForeignName, ObjectName, PRIVATE_FOLDER, PrivateGroup, PrivateName, PublicFolder,
};
use super::store::{Files, unavailable};
use crate::error::Result;
use crate::platform::clock::Timestamp;

/// A private object of a group.
#[derive(Clone, Debug)]
pub struct ListedObject {
    /// Its name.
    pub name: PrivateName,
    /// When it was stored, by the clock of the store.
    pub stored_at: Timestamp,
}

/// An object that somebody else puts into a store.
#[derive(Clone, Debug)]
pub struct ListedFile {
    /// Its name.
    pub name: ForeignName,
    /// Its size in bytes.
    pub size: u64,
    /// Changes with its content.
    pub version: String,
}

impl Files {
    /// Lists the files in a folder, by their names without the folder, in no particular order.
    pub fn list(&self, folder: PublicFolder) -> BoxStream<'static, Result<String>> {
        let objects = self.store.list(Some(&Path::from(folder.name())));
        let file_name = |path: &Path| path.filename().unwrap_or_default().to_owned();
        objects.map_ok(move |object| file_name(&object.location)).map_err(unavailable).boxed()
    }

    /// Lists the private objects of a group, in no particular order.
    pub fn list_group(&self, group: PrivateGroup) -> BoxStream<'static, Result<ListedObject>> {
        let objects = self.store.list(Some(&Path::from(PRIVATE_FOLDER)));
        let listed = objects.try_filter_map(move |object| {
            let name = group.parse(object.location.as_ref());
            let stored_at = object.last_modified;
            std::future::ready(Ok(name.map(|name| ListedObject { name, stored_at })))
        });
        listed.map_err(unavailable).boxed()
    }

    /// Lists the objects that are in no folder, by their names.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is unreachable.
    pub async fn list_top(&self) -> Result<Vec<ListedFile>> {
        let listed = self.store.list_with_delimiter(None).await.map_err(unavailable)?;
        let at_top =
            listed.objects.into_iter().filter(|object| object.location.parts().count() == 1);
        let mut files: Vec<ListedFile> = at_top.filter_map(to_listed_file).collect();
        files.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        Ok(files)
    }

    /// An object that somebody else puts into the store, as it is now.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the store is unreachable.
    pub async fn find_file(&self, name: &ForeignName) -> Result<Option<ListedFile>> {
        match self.store.head(&name.path()).await {
            Ok(object) => Ok(to_listed_file(object)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn to_listed_file(object: ObjectMeta) -> Option<ListedFile> {
    let version = format!(
        "{}:{}:{}",
        object.size,
        object.last_modified.timestamp_millis(),
        object.e_tag.unwrap_or_default()
    );
    let name = ForeignName::parse(object.location.as_ref())?;
    Some(ListedFile { name, size: object.size, version })
}
