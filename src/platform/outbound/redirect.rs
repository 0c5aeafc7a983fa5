//! The request that follows a redirect (RFC 9110, section 15.4).

use reqwest::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RANGE, TRANSFER_ENCODING, USER_AGENT,
};
use reqwest::{Method, StatusCode};

use super::policy::Redirects;
use super::request::{Body, Request};
use super::rule::EgressRule;

/// The headers that another origin may get, because they cannot be credentials.
const SHARED_HEADERS: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    RANGE,
    USER_AGENT,
];
/// The headers that describe a body.
const BODY_HEADERS: [HeaderName; 5] =
    [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING];

impl Request {
    /// Turns a request into the one that its redirect asks for. `None` if the status and `Location` ask for none.
    pub(super) fn redirected(self, status: StatusCode, location: &HeaderValue) -> Option<Self> {
        let location = std::str::from_utf8(location.as_bytes()).ok()?;
        let url = self.url.join(location).ok()?;
        let mut next = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if self.method == Method::POST => {
                self.without_body()
            }
            StatusCode::SEE_OTHER if self.method != Method::HEAD => self.without_body(),
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => self,
            _ => return None,
        };
        let is_same_origin = next.url.origin() == url.origin();
        next.url = url;
        Some(if is_same_origin { next } else { next.without_credentials() })
    }

    fn without_body(mut self) -> Self {
        self.method = Method::GET;
        self.body = Body::default();
        for name in BODY_HEADERS {
            self.headers.remove(name);
        }
        self
    }

    fn without_credentials(mut self) -> Self {
        let headers = std::mem::take(&mut self.headers);
        for name in SHARED_HEADERS {
            for value in headers.get_all(&name).iter().filter(|value| !value.is_sensitive()) {
                self.headers.append(&name, value.clone());
            }
        }
        // Only a URL without a host refuses these, and it has no credentials.
        let _ = self.url.set_username("");
        let _ = self.url.set_password(None);
        self
    }
}

impl Redirects {
    /// Checks a redirect, given how many were followed before.
    pub(super) fn check(
        self,
        followed: u32,
        from: &url::Url,
        next: &Request,
    ) -> Result<(), EgressRule> {
        let is_same_origin = from.origin() == next.url.origin();
        match self {
            Self::SameOrigin { .. } if !is_same_origin => Err(EgressRule::RedirectOrigin),
            Self::AnyAllowed { .. } if !is_same_origin && !next.body.is_empty() => {
                Err(EgressRule::RedirectBody)
            }
            Self::SameOrigin { max } | Self::AnyAllowed { max } if followed < max => Ok(()),
            _ => Err(EgressRule::TooManyRedirects),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{AUTHORIZATION, HOST};
    use url::Url;

    use super::*;

    fn request(method: Method) -> Request {
        let url = Url::parse("https://user:password@a.example/x/y?z").expect("a URL");
        let text = HeaderValue::from_static("text/plain");
        Request::new(method, url)
            .header(ACCEPT, text.clone())
            .header(CONTENT_TYPE, text.clone())
            .header(HOST, HeaderValue::from_static("a.example"))
            .header(HeaderName::from_static("x-api-key"), HeaderValue::from_static("key"))
            .secret_header(AUTHORIZATION, HeaderValue::from_static("key"))
            .secret_header(USER_AGENT, HeaderValue::from_static("key"))
            .body("body")
    }

    fn redirected(method: Method, status: u16, location: &str) -> Option<Request> {
        let status = StatusCode::from_u16(status).expect("a status");
        request(method).redirected(status, &location.parse().expect("a value"))
    }

    fn names(request: &Request) -> Vec<&str> {
        let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn methods_and_bodies_follow_the_status() {
        for (method, status, expected, has_body) in [
            ("POST", 301, "GET", false),
            ("POST", 302, "GET", false),
            ("PUT", 302, "PUT", true),
            ("PUT", 303, "GET", false),
            ("HEAD", 303, "HEAD", true),
            ("POST", 307, "POST", true),
            ("POST", 308, "POST", true),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let next = redirected(method, status, "/z").expect("a redirect");
            assert_eq!((next.method.as_str(), !next.body.is_empty()), (expected, has_body));
            assert_eq!(next.headers.contains_key(CONTENT_TYPE), has_body, "{status}");
        }
        for status in [200, 300, 304, 305, 400] {
            assert!(redirected(Method::GET, status, "/z").is_none(), "{status}");
        }
        assert!(redirected(Method::GET, 302, "http://[").is_none());
    }

    #[test]
    fn credentials_stay_at_their_origin() {
        for location in ["", "z", "/z", "https://a.example:443/", "//user:password@a.example"] {
            let next = redirected(Method::POST, 307, location).expect("a redirect");
            let all =
                ["accept", "authorization", "content-type", "host", "user-agent", "x-api-key"];
            assert_eq!(names(&next), all, "{location}");
        }
        for location in [
            "http://a.example/",
            "https://a.example:444/",
            "//b.example/",
            "https://user:password@b.example/",
            "https://a.example./",
            "https://a.example@b.example/",
        ] {
            let next = redirected(Method::POST, 307, location).expect("a redirect");
            assert_eq!(names(&next), ["accept", "content-type"], "{location}");
            assert_eq!((next.url.username(), next.url.password()), ("", None), "{location}");
        }
    }

    #[test]
    fn redirects_are_limited_by_the_policy() {
        use EgressRule::{RedirectBody, RedirectOrigin, TooManyRedirects};
        let (same, any) = (Redirects::SameOrigin { max: 2 }, Redirects::AnyAllowed { max: 2 });
        for (redirects, followed, status, location, expected) in [
            (Redirects::None, 0, 302, "/z", Err(TooManyRedirects)),
            (same, 1, 307, "/z", Ok(())),
            (same, 2, 307, "/z", Err(TooManyRedirects)),
            (same, 0, 302, "//b.example", Err(RedirectOrigin)),
            (any, 0, 302, "//b.example", Ok(())),
            (any, 2, 302, "//b.example", Err(TooManyRedirects)),
            (any, 0, 307, "//b.example", Err(RedirectBody)),
            (any, 0, 307, "/z", Ok(())),
        ] {
            let next = redirected(Method::POST, status, location).expect("a redirect");
            let from = request(Method::POST).url;
            assert_eq!(redirects.check(followed, &from, &next), expected, "{location}");
        }
    }
}
