//! Client of Twilio's Messages resource (API of 2010-04-01): authentication and URL.

use reqwest::Method;
use url::Url;

use crate::config::sms::TwilioConfig;
use crate::platform::outbound::Request;

/// Gateway that sends through Twilio.
pub struct TwilioGateway(pub TwilioConfig);

impl TwilioGateway {
    /// URL of the account's messages. `None` if the base URL cannot have a path.
    pub(super) fn messages_url(&self) -> Option<Url> {
        let mut url = self.0.base_url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend([
            "2010-04-01",
            "Accounts",
            &self.0.account_sid,
            "Messages.json",
        ]);
        Some(url)
    }

    pub(super) fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url).basic_auth(&self.0.account_sid, &self.0.auth_token)
    }
}
