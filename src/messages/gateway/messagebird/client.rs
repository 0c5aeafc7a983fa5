//! Client of MessageBird's SMS API: authentication and URL.

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use url::Url;

use crate::config::sms::MessageBirdConfig;
use crate::messages::gateway::FailureReason;
use crate::platform::outbound::Outbound;

/// Gateway that sends through MessageBird.
pub struct MessageBirdGateway(pub MessageBirdConfig);

impl MessageBirdGateway {
    pub(super) fn request(
        &self,
        outbound: &Outbound,
        method: Method,
    ) -> Result<RequestBuilder, FailureReason> {
        let url = self
            .messages_url()
            .ok_or_else(|| FailureReason::new("MESSAGEBIRD_BASE_URL has no path"))?;
        let key = format!("AccessKey {}", self.0.access_key.expose_secret());
        let mut key = HeaderValue::try_from(key)
            .map_err(|_| FailureReason::new("MESSAGEBIRD_ACCESS_KEY does not fit in a header"))?;
        key.set_sensitive(true);
        Ok(outbound
            .request(method, url)
            .header(AUTHORIZATION, key)
            .header(ACCEPT, "application/json"))
    }

    pub(super) fn messages_url(&self) -> Option<Url> {
        let mut url = self.0.base_url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push("messages");
        Some(url)
    }
}
