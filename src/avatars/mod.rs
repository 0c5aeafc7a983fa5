//! Avatars: a picture that somebody uploads, shown to themselves and to those who see their profile, and told
//! to whoever watches as soon as it is another.
//!
//! The row says which picture is shown; the files in the store are written before it and removed after it.
//! What a process that died in between left behind is removed by another.

use std::time::Duration;

use picture::Pictures;

use crate::config::Config;
use crate::ids::UserId;
use crate::platform::throttle::{Limit, Throttle};

mod change;
mod container;
mod discard;
mod entity;
mod forget;
pub mod graphql;
pub mod loaders;
mod name;
mod picture;
mod show;
mod sweep;
mod watch;
mod watch_contacts;

pub use change::{remove, upload};
pub use discard::discard_left;
pub use entity::avatars::Model as Avatar;
pub use forget::forget;
pub use name::Picture;
pub use picture::MOST_BYTES;
pub use show::{File, file};
pub use sweep::sweep;
pub use watch::{Seen, watch};
pub use watch_contacts::watch_contacts;

const UPLOADS_WINDOW: Duration = Duration::from_hours(1);

/// What the room keeps as long as the process lives.
#[derive(Debug)]
pub struct Avatars {
    pictures: Pictures,
    uploads: Throttle<UserId>,
    /// What stands before the names of files in their addresses.
    shown_at: String,
}

impl Avatars {
    /// As it is configured.
    pub fn new(config: &Config) -> Self {
        let shown_at =
            config.files.public_url.as_ref().map_or(config.base_url(), |url| url.as_str());
        let limit = Limit { attempts: config.limits.uploads, window: UPLOADS_WINDOW };
        Self {
            pictures: Pictures::default(),
            uploads: Throttle::new(limit),
            shown_at: shown_at.trim_end_matches('/').to_owned(),
        }
    }

    /// Where a square of a picture is shown.
    pub fn url(&self, picture: &Picture, side: u32) -> String {
        format!("{}/{}", self.shown_at, picture.file(side))
    }
}
