//! In-memory state of avatars: the thumbnail renderer, the upload limit, and the base URL of files.

use std::time::Duration;

use super::picture_name::PictureName;
use super::thumbnails::ThumbnailRenderer;
use crate::config::Config;
use crate::ids::UserId;
use crate::platform::rate_limiter::{RateLimit, RateLimiter};

const UPLOAD_LIMIT_WINDOW: Duration = Duration::from_hours(1);

/// The in-memory state of avatars, one per process.
#[derive(Debug)]
pub struct Avatars {
    pub(super) renderer: ThumbnailRenderer,
    pub(super) upload_limiter: RateLimiter<UserId>,
    /// The URL in front of file paths, without a trailing slash.
    files_url: String,
}

impl Avatars {
    /// The state with the configured limit and URL.
    pub fn new(config: &Config) -> Self {
        let files_url =
            config.files.public_url.as_ref().map_or(config.base_url(), |url| url.as_str());
        let limit =
            RateLimit { max_attempts: config.rate_limits.uploads, window: UPLOAD_LIMIT_WINDOW };
        Self {
            renderer: ThumbnailRenderer::default(),
            upload_limiter: RateLimiter::new(limit),
            files_url: files_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The URL of a picture's thumbnail with this side length.
    pub fn url(&self, picture: &PictureName, side: u32) -> String {
        format!("{}/{}", self.files_url, picture.file(side).as_str())
    }
}
