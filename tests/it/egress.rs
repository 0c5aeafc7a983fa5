//! Outbound requests under an egress policy: guarded addresses, redirects, limits, streams and connection pools.
//! All servers listen on loopback, so the policies allow parts of it.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use chrono::DateTime;
use futures_util::FutureExt;
use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::HeaderMap;
use switchboard::platform::clock::ManualClock;
use switchboard::platform::outbound::{
    AllowedAddress, Destinations, EgressPolicy, EgressRule, HostPattern, NameResolver, Outbound,
    OutboundError, Request, Schemes,
};
use tokio::net::TcpListener;
use url::Url;

mod addresses;
mod limits;
mod redirects;
mod streams;

/// A resolver with scripted answers. The last one is repeated.
struct FakeResolver {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    lookups: AtomicUsize,
}

impl FakeResolver {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |address: &&str| address.parse().expect("an address");
        let answers = answers.iter().map(|addresses| addresses.iter().map(parse).collect());
        Arc::new(Self { answers: Mutex::new(answers.collect()), lookups: AtomicUsize::new(0) })
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl NameResolver for FakeResolver {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Ok(next.unwrap_or_default())
    }
}

/// An outbound client whose names all resolve to 127.0.0.1, and its clock.
fn outbound() -> (Outbound, ManualClock) {
    outbound_with(FakeResolver::new(&[&["127.0.0.1"]]))
}

fn outbound_with(resolver: Arc<dyn NameResolver>) -> (Outbound, ManualClock) {
    let clock = ManualClock::at(DateTime::UNIX_EPOCH);
    (Outbound::with_resolver(Arc::new(clock.clone()), resolver), clock)
}

/// A policy that allows these hosts by http, and these addresses besides the public ones.
fn policy(hosts: &[&str], allowed_addresses: &[&str]) -> EgressPolicy {
    let hosts = hosts.iter().map(|host| host.parse().expect("a pattern"));
    let addresses = allowed_addresses.iter().map(|address| address.parse().expect("a pattern"));
    let destinations = Destinations {
        schemes: Schemes::HttpAndHttps,
        hosts: hosts.collect::<Vec<HostPattern>>(),
        allowed_addresses: addresses.collect::<Vec<AllowedAddress>>(),
    };
    EgressPolicy { destinations: Arc::new(destinations), ..EgressPolicy::default() }
}

/// A policy that allows every host, and all of 127.0.0.1.
fn loopback_policy() -> EgressPolicy {
    policy(&["*"], &["127.0.0.1"])
}

fn get(url: impl AsRef<str>) -> Request {
    Request::new(Method::GET, Url::parse(url.as_ref()).expect("a URL"))
}

fn refused<T>(result: Result<T, OutboundError>) -> EgressRule {
    match result {
        Err(OutboundError::Refused(rule)) => rule,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("a response"),
    }
}

/// An HTTP server on loopback, with the number of its requests.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(router: Router) -> Self {
        Self::at("127.0.0.1:0", router).await
    }

    async fn at(address: &str, router: Router) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let count = axum::middleware::map_request(move |request: axum::extract::Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(request)
        });
        let service = router.layer(count).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { port, requests }
    }

    /// A server that responds with the headers of the request as text, one a line.
    async fn echo_headers() -> Self {
        let echo = async |headers: HeaderMap| {
            let line = |(name, value): (_, &reqwest::header::HeaderValue)| {
                format!("{name}: {}\n", value.to_str().expect("text"))
            };
            headers.iter().map(line).collect::<String>()
        };
        Self::start(Router::new().fallback(echo)).await
    }

    /// A server that responds with the caller's port, which tells connections apart.
    async fn echo_port() -> Self {
        let echo = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.port().to_string();
        Self::start(Router::new().fallback(echo)).await
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn text_of(outbound: &Outbound, request: Request, policy: &EgressPolicy) -> String {
    let response = outbound.call(request, policy).await.expect("a response");
    String::from_utf8(response.body).expect("text")
}

#[tokio::test]
async fn policies_do_not_share_connections() {
    let (outbound, _) = outbound();
    let server = Server::echo_port().await;
    let call = async |policy: &EgressPolicy| {
        text_of(&outbound, get(format!("http://a.example:{}/", server.port)), policy).await
    };
    let permissive = loopback_policy();
    let first = call(&permissive).await;
    assert_eq!(call(&permissive).await, first, "a policy reuses its connection");
    assert_eq!(call(&loopback_policy()).await, first, "an equal policy shares it");
    let limited = EgressPolicy { max_response_bytes: 10, ..loopback_policy() };
    assert_eq!(call(&limited).await, first, "limits are no matter of connections");
    let other = policy(&["a.example"], &["127.0.0.1"]);
    assert_ne!(call(&other).await, first);
    let strict = policy(&["*"], &[]);
    let request = get(format!("http://a.example:{}/", server.port));
    assert_eq!(refused(outbound.call(request, &strict).await), EgressRule::Address("loopback"));
}

#[tokio::test]
async fn an_allowed_host_opens_only_its_port() {
    let (outbound, _) = outbound();
    let (server, other) = (Server::echo_port().await, Server::echo_port().await);
    let entry = format!("a.example:{}", server.port);
    let policy = policy(&["*"], &[&entry]);
    let call = async |host: &str, port: u16| {
        outbound.call(get(format!("http://{host}:{port}/")), &policy).await
    };
    call("a.example", server.port).await.expect("a response");
    for (host, port) in [("a.example", other.port), ("b.example", server.port)] {
        assert_eq!(refused(call(host, port).await), EgressRule::Address("loopback"), "{host}");
    }
    assert_eq!((server.requests(), other.requests()), (1, 0));
}

#[tokio::test]
async fn a_policy_that_allows_nothing_refuses_and_the_log_names_the_rule() {
    let log = Log::default();
    let _captured = log.capture();
    let (outbound, _) = outbound();
    for (url, policy, rule) in [
        ("https://a.example/", EgressPolicy::default(), EgressRule::Host),
        ("http://a.example/", EgressPolicy::public(), EgressRule::Scheme),
        ("https://b.example/", policy(&["a.example"], &[]), EgressRule::Host),
        ("https://a.example/", policy(&["a.example:8443"], &[]), EgressRule::Host),
        ("https://a.example/", EgressPolicy::public(), EgressRule::Address("loopback")),
        ("ftp://a.example/", EgressPolicy::operator(), EgressRule::Scheme),
        ("data:text/plain,a", EgressPolicy::operator(), EgressRule::Scheme),
    ] {
        assert_eq!(refused(outbound.call(get(url), &policy).await), rule, "{url}");
        assert_eq!(refused(outbound.stream(get(url), &policy).await), rule, "{url}");
        assert_eq!(log.take().matches(&rule.to_string()).count(), 2, "{url}");
    }
    let secret = get("https://user:hidden@b.example/hidden?key=hidden#hidden");
    refused(outbound.call(secret, &EgressPolicy::default()).await);
    let line = log.take();
    assert!(line.contains("b.example") && line.contains("WARN"), "{line}");
    assert!(!line.contains("hidden"), "{line}");
}

#[tokio::test]
async fn credentials_in_the_url_become_a_header_and_a_host_header_cannot_leave_the_policy() {
    let (outbound, _) = outbound();
    let server = Server::echo_headers().await;
    let request = || {
        let request = get(format!("http://user:password@a.example:{}/", server.port));
        request.header(reqwest::header::HOST, "b.example".parse().expect("a value"))
    };
    let headers = text_of(&outbound, request(), &loopback_policy()).await;
    assert!(headers.contains("authorization: Basic dXNlcjpwYXNzd29yZA==\n"), "{headers}");
    assert!(headers.contains("host: b.example\n"), "{headers}");
    let headers = text_of(&outbound, request(), &policy(&["a.example"], &["127.0.0.1"])).await;
    assert!(headers.contains("host: a.example:"), "{headers}");
}

/// A resolver that remembers on which threads it was asked.
#[derive(Default)]
struct ThreadResolver(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl NameResolver for ThreadResolver {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let thread = std::thread::current();
        self.0.lock().push(thread.name().unwrap_or_default().to_owned());
        Ok(vec![[127, 0, 0, 1].into()])
    }
}

#[tokio::test]
async fn servers_that_are_not_trusted_have_threads_of_their_own() {
    let resolver = Arc::new(ThreadResolver::default());
    let (outbound, _) = outbound_with(resolver.clone());
    let outbound = outbound.isolate_untrusted();
    let server = Server::start(Router::new().fallback(async || "text")).await;
    for (host, is_trusted) in [("a.example", false), ("b.example", true)] {
        let policy = EgressPolicy { is_trusted, ..policy(&[host], &["127.0.0.1"]) };
        let request = get(format!("http://{host}:{}", server.port));
        assert_eq!(text_of(&outbound, request, &policy).await, "text");
        let thread = resolver.0.lock().pop().expect("a lookup");
        assert_eq!(thread == "outbound", !is_trusted, "{thread}");
    }
}

/// A resolver that never answers.
struct HangingResolver;

#[async_trait::async_trait]
impl NameResolver for HangingResolver {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn connecting_is_limited_by_our_clock() {
    let (outbound, clock) = outbound_with(Arc::new(HangingResolver));
    let policy = EgressPolicy { timeout: Duration::from_secs(15), ..EgressPolicy::operator() };
    let mut call = Box::pin(outbound.call(get("http://a.example/"), &policy));
    assert!((&mut call).now_or_never().is_none());
    clock.advance(Duration::from_secs(10));
    // At once, and not when the HTTP client's own time-out ends.
    let result = call.now_or_never();
    assert!(matches!(result, Some(Err(OutboundError::NotConnected(_)))), "{result:?}");
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> tracing::dispatcher::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone()).finish();
        tracing::dispatcher::set_default(&tracing::Dispatch::new(subscriber))
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock())).expect("text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
