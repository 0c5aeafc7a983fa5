//! Checks of the file store: that it keeps files, and that its public URL does not lead to private ones.

use std::time::Duration;

use reqwest::Method;
use url::Url;

use crate::avatars;
use crate::config::Config;
use crate::config::files::FileStore;
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::platform::files::PrivateName;
use crate::platform::outbound::{EgressPolicy, OutboundError, Redirects, Request};

const TIMEOUT: Duration = Duration::from_secs(5);
const REDIRECTS: Redirects = Redirects::AnyAllowed { max: 5 };
const CONTENT_LEN: usize = 32;

/// Stores a file, reads it and deletes it again. Returns a line of output, or a problem.
pub async fn check_files(platform: &Platform) -> Result<String, String> {
    let files = &platform.files;
    let (name, content) = private_file(platform);
    let round_trip = async {
        files.put(&name, "text/plain", content.clone()).await?;
        let stored = files.get(&name).await?;
        files.delete(&name).await?;
        Ok::<_, Error>(stored.is_some_and(|stored| stored == content))
    };
    match round_trip.await {
        Ok(true) => Ok(format!("files: {} keeps them", files.location())),
        Ok(false) => Err(format!("files: {} lost one", files.location())),
        Err(error) => Err(format!("files: {}: {}", files.location(), error.describe())),
    }
}

/// Stores a private file and tries to get it by FILE_STORE_PUBLIC_URL, if that is set, without authorisation. Deletes it
/// in any case. Returns a line of output, or a problem.
pub async fn check_public_url(
    config: &Config,
    platform: &Platform,
) -> Option<Result<String, String>> {
    let public_url = config.files.public_url.as_ref()?;
    let (name, content) = private_file(platform);
    let exposed = match platform.files.put(&name, "text/plain", content.clone()).await {
        Ok(()) => find_exposed(config, platform, public_url, &name, &content).await,
        Err(error) => Err(format!("not tried: {}", error.describe())),
    };
    if let Err(error) = platform.files.delete(&name).await {
        error.log();
    }
    Some(match exposed {
        Ok(None) => Ok(format!("files: private ones are not served at {public_url}")),
        Ok(Some(url)) => Err(format!(
            "FILE_STORE_PUBLIC_URL: anybody can read private files: one was served at {url}. Let \
             it serve only {}/ of the store",
            avatars::FOLDER.name()
        )),
        Err(problem) => Err(format!("FILE_STORE_PUBLIC_URL: {problem}")),
    })
}

/// A new name and random content.
fn private_file(platform: &Platform) -> (PrivateName, Vec<u8>) {
    let content = data_encoding::HEXLOWER.encode(&platform.random::<CONTENT_LEN>());
    (PrivateName::new(&*platform.entropy), content.into_bytes())
}

/// The first URL that serves this private file to anybody. Fails if a URL cannot be reached.
async fn find_exposed(
    config: &Config,
    platform: &Platform,
    public_url: &Url,
    name: &PrivateName,
    content: &[u8],
) -> Result<Option<Url>, String> {
    for url in candidate_urls(public_url, &config.files.store, name.as_str()) {
        match serves(platform, url.clone(), content).await {
            Ok(true) => return Ok(Some(url)),
            Ok(false) => {}
            Err(error) => return Err(format!("{public_url}: {error}")),
        }
    }
    Ok(None)
}

/// The URLs at which a web server or CDN may expose a private file: below the public URL and the paths above it, below
/// the names of the bucket and the prefix, and through paths that lead out of the public folder.
fn candidate_urls(public_url: &Url, store: &FileStore, file: &str) -> Vec<Url> {
    let base = public_url.path().trim_end_matches('/');
    let ends = base.char_indices().filter(|(_, c)| *c == '/').map(|(index, _)| index);
    let mut folders: Vec<String> = ends.map(|end| base[..end].to_owned()).collect();
    folders.insert(0, base.to_owned());
    let public_folder = avatars::FOLDER.name();
    folders.extend([format!("{base}/{public_folder}.."), format!("{base}/{public_folder}/..%2f")]);
    if let FileStore::S3 { bucket, prefix, .. } = store {
        folders.extend([format!("/{prefix}"), format!("/{bucket}/{prefix}")]);
    }
    let mut urls: Vec<Url> = Vec::new();
    for folder in folders {
        let slash = if folder.ends_with("%2f") || folder.ends_with('/') { "" } else { "/" };
        let mut url = public_url.clone();
        url.set_path(&format!("{folder}{slash}{file}"));
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// Whether a URL, or the one that it redirects to, serves this content.
async fn serves(platform: &Platform, url: Url, content: &[u8]) -> Result<bool, OutboundError> {
    let policy =
        EgressPolicy { timeout: TIMEOUT, redirects: REDIRECTS, ..EgressPolicy::operator() };
    match platform.outbound.call(Request::new(Method::GET, url), &policy).await {
        Ok(response) => Ok(response.body.windows(content.len()).any(|part| part == content)),
        Err(OutboundError::TooLarge | OutboundError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_files_are_looked_for_wherever_the_public_url_may_expose_them() {
        let s3 = FileStore::S3 {
            bucket: "bucket".into(),
            prefix: "some/where".into(),
            settings: Vec::new(),
        };
        let candidates = |url: &str, store: &FileStore| {
            let url = Url::parse(url).expect("a URL");
            let urls = candidate_urls(&url, store, "private/1");
            urls.into_iter().map(|url| url.path().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            candidates("https://cdn.example.com", &FileStore::Memory),
            ["/private/1", "/avatars../private/1", "/avatars/..%2fprivate/1"]
        );
        assert_eq!(
            candidates("https://cdn.example.com/a/b/", &s3),
            [
                "/a/b/private/1",
                "/private/1",
                "/a/private/1",
                "/a/b/avatars../private/1",
                "/a/b/avatars/..%2fprivate/1",
                "/some/where/private/1",
                "/bucket/some/where/private/1",
            ]
        );
    }
}
