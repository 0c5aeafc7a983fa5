//! Reading where files are kept.

use std::path::Path;

use secrecy::SecretString;
use url::Url;

use super::{KEYS, Reader};
use crate::config::files::{Files, Store};

/// What the names of Amazon's variables begin with: who we are to the store, and where it is.
const AWS: &str = "AWS_";

impl Reader {
    pub fn files(&mut self, data_dir: &Path) -> Files {
        // The second is TMPDIR. The root file system of a container may be read-only.
        let temp_folders = vec![data_dir.join("tmp"), std::env::temp_dir()];
        Files { store: self.store(data_dir), temp_folders, public_url: self.public_files() }
    }

    fn store(&mut self, data_dir: &Path) -> Store {
        let Some(place) = self.text("FILE_STORE") else {
            return Store::Folder(data_dir.join("files"));
        };
        let place = place.trim();
        let Some(bucket) = place.strip_prefix("s3://") else {
            if place.contains("://") {
                self.problems.push("FILE_STORE: must be a folder or s3://bucket/prefix".into());
            }
            return if place == "memory:" { Store::Memory } else { Store::Folder(place.into()) };
        };
        let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
        if bucket.is_empty() || bucket.contains(['?', '#', '@']) {
            self.problems.push("FILE_STORE: must name a bucket: s3://bucket/prefix".into());
        }
        let keys = KEYS.iter().filter(|key| key.starts_with(AWS));
        let settings = keys.filter_map(|key| Some((*key, SecretString::from(self.text(key)?))));
        Store::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            settings: settings.collect(),
        }
    }

    fn public_files(&mut self) -> Option<Url> {
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
