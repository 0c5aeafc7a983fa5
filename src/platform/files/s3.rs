//! The client of an S3 bucket.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ClientOptions, Result, RetryConfig};
use secrecy::{ExposeSecret, SecretString};

/// Limits of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_RETRIES: usize = 2;

/// Creates the client from the `AWS_…` settings. Sends nothing yet.
pub fn open_s3(bucket: &str, settings: &[(&str, SecretString)]) -> Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    let mut allows_http = false;
    for (name, value) in settings {
        let value = value.expose_secret().trim();
        // An operator who configures an http:// endpoint has it on their own network.
        allows_http |= name.starts_with("AWS_ENDPOINT_URL") && value.starts_with("http://");
        builder = builder.with_config(name.to_lowercase().parse()?, value);
    }
    let retry = RetryConfig {
        max_retries: MAX_RETRIES,
        retry_timeout: 2 * REQUEST_TIMEOUT,
        ..RetryConfig::default()
    };
    let options = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(allows_http);
    builder.with_retry(retry).with_client_options(options).build()
}
