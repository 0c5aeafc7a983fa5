//! File store: a folder (shared by all instances), an S3 bucket, or memory (for one process, lost when it ends). An
//! object is stored completely or not at all, never changes, and stays until it is deleted. Public objects may be
//! served to anybody and cached; private ones only by a route that authorises.

mod list;
mod names;
mod partial_files;
mod purge;
mod s3;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod upload;

/// The content of a file.
pub use axum::body::Bytes;
pub use list::{ListedFile, ListedObject};
pub use names::{
    ForeignName, ObjectName, PrivateGroup, PrivateName, PublicFolder, PublicName, Visibility,
};
pub use purge::purge_unfinished;
pub use store::Files;
pub use stream::ObjectStream;
