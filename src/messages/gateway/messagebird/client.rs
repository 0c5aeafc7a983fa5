//! Client of MessageBird's SMS API: authentication and URL.

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret;
use url::Url;

use crate::config::sms::MessageBirdConfig;
use crate::messages::gateway::FailureReason;
use crate::platform::outbound::Request;

/// Gateway that sends through MessageBird.
pub struct MessageBirdGateway(pub MessageBirdConfig);

impl MessageBirdGateway {
    pub(super) fn request(&self, method: Method) -> Result<Request, FailureReason> {
        let url = self
            .messages_url()
            .ok_or_else(|| FailureReason::new("MESSAGEBIRD_BASE_URL has no path"))?;
        let key = format!("AccessKey {}", self.0.access_key.expose_secret());
        let key = HeaderValue::try_from(key)
            .map_err(|_| FailureReason::new("MESSAGEBIRD_ACCESS_KEY does not fit in a header"))?;
        Ok(Request::new(method, url)
            .secret_header(AUTHORIZATION, key)
            .header(ACCEPT, HeaderValue::from_static("application/json")))
    }

    pub(super) fn messages_url(&self) -> Option<Url> {
        let mut url = self.0.base_url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push("messages");
        Some(url)
    }
}
