//! Avatars: pictures that users upload, shown to themselves and to users who may see their profile.
//!
//! The row names the current picture. Its files are stored before the row is written and deleted after it is replaced;
//! two jobs delete the files that a crash in between left behind.

mod change;
mod delete_discarded;
mod entity;
mod erase;
pub mod graphql;
pub mod loaders;
mod picture_file;
mod picture_name;
mod purge_orphans;
mod source_image;
mod state;
mod thumbnails;
mod watch;
mod watch_contacts;

pub use change::{remove_avatar, upload_avatar};
pub use delete_discarded::purge_discarded;
pub use entity::avatars::Model as Avatar;
pub use erase::erase;
pub use picture_file::{PictureFile, read_picture_file};
pub use picture_name::{FOLDER, PictureName};
pub use purge_orphans::purge_orphans;
pub use source_image::MAX_FILE_BYTES;
pub use state::Avatars;
pub use watch::{AvatarView, watch_avatar};
pub use watch_contacts::watch_contact_avatars;
