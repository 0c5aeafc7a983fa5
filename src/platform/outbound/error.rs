//! Why a request has no response.

use super::rule::EgressRule;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The policy refused the request, or a redirect of it, which was then sent to the first host. The rule says why.
    #[error("refused: {0}")]
    Refused(#[source] EgressRule),
    /// The connection failed, so the service received nothing of the request.
    #[error("not reached: {0}")]
    NotConnected(#[source] reqwest::Error),
    /// The connection was lost. The service may have received the request.
    #[error("broken off: {0}")]
    ConnectionLost(#[source] reqwest::Error),
    /// The service switched to another protocol, which nobody asked for (RFC 9110, section 15.2.2). It has received the
    /// request.
    #[error("switched to another protocol")]
    SwitchedProtocols,
    /// No response in time.
    #[error("no answer in time")]
    Timeout,
    /// The response exceeds the size limit.
    #[error("the answer is too large")]
    TooLarge,
}

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        match EgressRule::find_in(&error) {
            Some(rule) => Self::Refused(rule),
            None if error.is_connect() => Self::NotConnected(error.without_url()),
            None => Self::ConnectionLost(error.without_url()),
        }
    }
}
