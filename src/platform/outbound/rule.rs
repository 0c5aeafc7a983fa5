//! The rules of an egress policy that can refuse a request.

use std::error::Error;

/// The rule that refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressRule {
    /// The policy does not allow the URL's scheme.
    #[error("the scheme is not allowed")]
    Scheme,
    /// The policy does not allow the URL's host, or the host at this port.
    #[error("the host is not allowed")]
    Host,
    /// The host is, or resolves only to, addresses that the policy does not allow. Has the name of their range.
    #[error("the address is not allowed: {0}")]
    Address(&'static str),
    /// The policy follows redirects only to the same origin.
    #[error("a redirect to another origin is not allowed")]
    RedirectOrigin,
    /// A redirect would send the request's body to another origin.
    #[error("a redirect of a body to another origin is not allowed")]
    RedirectBody,
    /// More redirects than the policy allows.
    #[error("too many redirects")]
    TooManyRedirects,
}

impl EgressRule {
    /// Finds the rule among the causes of an error, if it is why the request failed.
    pub(super) fn find_in(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(rule) = error.downcast_ref() {
                return Some(*rule);
            }
            cause = error.source();
        }
        None
    }
}
