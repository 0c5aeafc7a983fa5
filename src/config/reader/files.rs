//! Reads the file storage settings.

use std::path::Path;

use secrecy::SecretString;
use url::Url;

use super::values::SettingsReader;
use crate::config::files::{BonusInbox, FileStore, FilesConfig};
use crate::config::setting_names::SETTING_NAMES;

/// The prefix of the AWS variables for credentials and endpoints.
const AWS_PREFIX: &str = "AWS_";

impl SettingsReader {
    pub(super) fn files(&mut self, data_dir: &Path) -> FilesConfig {
        // `temp_dir` is the fallback when the root file system of a container is read-only.
        let temp_folders = vec![data_dir.join("tmp"), std::env::temp_dir()];
        FilesConfig {
            store: self.store(data_dir),
            temp_folders,
            public_url: self.public_files_url(),
        }
    }

    fn store(&mut self, data_dir: &Path) -> FileStore {
        let Some(location) = self.text("FILE_STORE") else {
            return FileStore::Folder(data_dir.join("files"));
        };
        let location = location.trim();
        let Some(bucket) = location.strip_prefix("s3://") else {
            if location.contains("://") {
                self.problems.push("FILE_STORE: must be a folder or s3://bucket/prefix".into());
            }
            return if location == "memory:" {
                FileStore::Memory
            } else {
                FileStore::Folder(location.into())
            };
        };
        let (bucket, prefix) = self.bucket("FILE_STORE", bucket);
        FileStore::S3 { bucket, prefix, settings: self.aws_settings() }
    }

    pub(super) fn bonus_inbox(&mut self) -> Option<BonusInbox> {
        let location = self.text("BONUS_INBOX")?;
        let location = location.trim();
        let Some(bucket) = location.strip_prefix("s3://") else {
            if location.contains("://") || location == "memory:" {
                self.problems.push("BONUS_INBOX: must be a folder or s3://bucket/prefix".into());
            }
            return Some(BonusInbox::Folder(location.into()));
        };
        let (bucket, prefix) = self.bucket("BONUS_INBOX", bucket);
        Some(BonusInbox::Bucket { bucket, prefix, settings: self.aws_settings() })
    }

    /// The bucket and the prefix of "bucket/prefix".
    fn bucket(&mut self, key: &str, location: &str) -> (String, String) {
        let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
        if bucket.is_empty() || bucket.contains(['?', '#', '@']) {
            self.problems.push(format!("{key}: must name a bucket: s3://bucket/prefix"));
        }
        (bucket.to_owned(), prefix.trim_matches('/').to_owned())
    }

    fn aws_settings(&self) -> Vec<(&'static str, SecretString)> {
        let keys = SETTING_NAMES.iter().filter(|key| key.starts_with(AWS_PREFIX));
        keys.filter_map(|key| Some((*key, SecretString::from(self.text(key)?)))).collect()
    }

    fn public_files_url(&mut self) -> Option<Url> {
        let text = self.text("FILE_STORE_PUBLIC_URL")?;
        let url = Url::parse(text.trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| url.query().is_none() && url.fragment().is_none());
        if url.is_none() {
            self.problems.push("FILE_STORE_PUBLIC_URL: must be an address of the web".into());
        }
        url
    }
}
