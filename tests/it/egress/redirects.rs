//! Redirects: each hop is checked, and credentials stay at their origin.

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use serde::Deserialize;
use switchboard::platform::outbound::{EgressPolicy, EgressRule, Redirects, Request};
use url::Url;

use super::{Server, loopback_policy, outbound, policy, refused, text_of};

#[derive(Deserialize)]
struct Target {
    status: u16,
    to: String,
}

/// A server that redirects to where its URL says, and else responds with the request's headers.
async fn redirecting_server() -> Server {
    let redirect = async |Query(target): Query<Target>| {
        let status = StatusCode::from_u16(target.status).expect("a status");
        (status, [("location", target.to)])
    };
    let echo = async |headers: reqwest::header::HeaderMap| format!("{headers:?}");
    Server::start(Router::new().route("/to", axum::routing::any(redirect)).fallback(echo)).await
}

/// A request with credentials that is redirected.
fn request(server: &Server, method: Method, status: u16, to: &str) -> Request {
    let mut url = Url::parse(&format!("http://a.example:{}/to", server.port)).expect("a URL");
    url.query_pairs_mut().append_pair("status", &status.to_string()).append_pair("to", to);
    let secret = HeaderValue::from_static("hidden");
    Request::new(method, url)
        .header(AUTHORIZATION, secret.clone())
        .header(COOKIE, secret.clone())
        .header(HeaderName::from_static("x-api-key"), secret)
}

fn following(redirects: Redirects) -> EgressPolicy {
    EgressPolicy { redirects, ..loopback_policy() }
}

const ANY: Redirects = Redirects::AnyAllowed { max: 3 };
const SAME: Redirects = Redirects::SameOrigin { max: 3 };

#[tokio::test]
async fn redirects_to_addresses_that_are_not_allowed_are_refused() {
    let (outbound, _) = outbound();
    let (server, hidden) = (redirecting_server().await, redirecting_server().await);
    let entry = format!("127.0.0.1:{}", server.port);
    let policy = EgressPolicy { redirects: ANY, ..policy(&["*"], &[&entry]) };
    for host in ["127.0.0.1", "localhost", "b.example", "0x7f.1", "2130706433", "①②⑦.1", "[::1]"]
    {
        let to = format!("http://{host}:{}/", hidden.port);
        let request = request(&server, Method::GET, 302, &to);
        let rule = refused(outbound.call(request, &policy).await);
        assert_eq!(rule, EgressRule::Address("loopback"), "{host}");
    }
    for (to, rule) in [
        ("http://169.254.169.254/latest/meta-data/", EgressRule::Address("cloud metadata")),
        ("//[fd00:ec2::254]/", EgressRule::Address("cloud metadata")),
        ("http://10.0.0.1/", EgressRule::Address("private network")),
        ("file:///etc/passwd", EgressRule::Scheme),
        ("gopher://127.0.0.1:6379/_", EgressRule::Scheme),
    ] {
        let request = request(&server, Method::GET, 307, to);
        assert_eq!(refused(outbound.call(request, &policy).await), rule, "{to}");
    }
    // Two hops, of which the second is bad.
    let last = format!("/to?status=302&to=http%3A%2F%2F127.1%3A{}%2F", hidden.port);
    let request = request(&server, Method::GET, 302, &last);
    assert_eq!(refused(outbound.stream(request, &policy).await), EgressRule::Address("loopback"));
    assert_eq!(hidden.requests(), 0);
}

#[tokio::test]
async fn credentials_are_not_sent_to_another_origin() {
    let (outbound, _) = outbound();
    let (server, other) = (redirecting_server().await, redirecting_server().await);
    let call = async |redirects: Redirects, to: &str| {
        let request = request(&server, Method::GET, 302, to);
        text_of(&outbound, request, &following(redirects)).await
    };
    for redirects in [SAME, ANY] {
        let headers = call(redirects, "/").await;
        for name in ["authorization", "cookie", "x-api-key"] {
            assert!(headers.contains(name), "{headers}");
        }
    }
    let elsewhere = format!("http://a.example:{}/", other.port);
    let there_and_back = format!(
        "http://b.example:{}/to?status=302&to=http%3A%2F%2Fa.example%3A{}%2F",
        other.port, server.port
    );
    for to in [elsewhere, there_and_back] {
        let headers = call(ANY, &to).await;
        assert!(headers.contains("host") && !headers.contains("hidden"), "{headers}");
        let request = request(&server, Method::GET, 302, &to);
        let rule = refused(outbound.call(request, &following(SAME)).await);
        assert_eq!(rule, EgressRule::RedirectOrigin);
    }
    let to = format!("http://b.example:{}/", other.port);
    let request = request(&server, Method::POST, 307, &to).body("client_secret=hidden");
    let rule = refused(outbound.call(request, &following(ANY)).await);
    assert_eq!(rule, EgressRule::RedirectBody);
}

#[tokio::test]
async fn redirects_are_counted_and_can_be_off() {
    let (outbound, _) = outbound();
    let server = redirecting_server().await;
    let request = || {
        let mut to = "/".to_owned();
        for _ in 0..3 {
            let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
            to = format!("/to?status=302&to={encoded}");
        }
        request(&server, Method::GET, 302, &to)
    };
    let response = outbound.call(request(), &loopback_policy()).await.expect("a response");
    assert_eq!((response.status, server.requests()), (StatusCode::FOUND, 1));
    let exact = following(Redirects::AnyAllowed { max: 4 });
    outbound.call(request(), &exact).await.expect("a response");
    for redirects in [SAME, ANY] {
        let rule = refused(outbound.call(request(), &following(redirects)).await);
        assert_eq!(rule, EgressRule::TooManyRedirects);
    }
}
