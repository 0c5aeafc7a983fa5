//! The guard of addresses: every notation of an address, and resolvers that change their answer.

use axum::Router;
use switchboard::platform::outbound::{EgressPolicy, EgressRule};

use super::{FakeResolver, Server, get, outbound, outbound_with, policy, refused};

/// Notations of 127.0.0.1, of what leads there, and of names that resolve to it.
const LOOPBACK: &[&str] = &[
    // Dotted, decimal, octal, hexadecimal, and mixed.
    "127.0.0.1",
    "127.0.1.3",
    "127.127.127.127",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0X7F000001",
    "0177.0.0.1",
    "0177.0000.0000.0001",
    "00000177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0x7f.0.0x00.01",
    "0x0000007f.0.0.1",
    "127.0x0.00.0x1",
    "127.0.0.0x",
    // Short forms.
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0177.1",
    "127.0x1",
    // Trailing dots.
    "127.0.0.1.",
    "127.1.",
    "2130706433.",
    "0x7f000001.",
    "localhost.",
    // Percent-encoding.
    "%31%32%37%2e%30%2e%30%2e%31",
    "127%2e0%2e0%2e1",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "%30x7f.1",
    // Full-width digits and dots, enclosed alphanumerics, mathematical digits, soft hyphens.
    "１２７.０.０.１",
    "１２７．０．０．１",
    "127。0。0。1",
    "127｡0｡0｡1",
    "①②⑦.⓪.⓪.①",
    "①②⑦.0.0.①",
    "②①③⓪⑦⓪⑥④③③",
    "⓪ⓧ⑦ⓕ.①",
    "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
    "𝟙𝟚𝟟.𝟘.𝟘.𝟙",
    "1\u{ad}27.0.0.1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "ｌｏｃａｌｈｏｓｔ",
    // IPv6 and its embeddings.
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0:1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]",
    "[64:ff9b:1:fffe::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::7f00:0001]",
    "[2001:0:7f00:1::]",
    "[2001::80ff:fffe]",
    "[2606:4700::5efe:127.0.0.1]",
    "[2606:4700::200:5efe:7f00:1]",
    "[fe80::5efe:127.0.0.1]",
    "[fe80::1]",
    // Names.
    "localhost",
    "LOCALHOST",
    "localhost.localdomain",
    "a.localhost",
    "ip6-localhost",
    "127.0.0.1.nip.example",
    "user@127.0.0.1",
    "allowed.example@127.1",
    "allowed.example%40x:p@0x7f.1",
    "0",
    "0.0.0.0",
    "0x0",
    "0.1",
    "[::]",
    "[0:0:0:0:0:0:0:0]",
];

/// Notations of addresses that are neither public nor loopback.
const OTHERS: &[&str] = &[
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "0251.254.43518",
    "169.254.43518",
    "169.16689662",
    "025177524776",
    "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    "１６９.254.169.254",
    "169。254。169。254",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "0x64646464.",
    "192.0.0.192",
    "10.0.0.1",
    "10.1",
    "012.1",
    "0xa000001",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "0300.0250.1.1",
    "3232235777",
    "[::ffff:192.168.1.1]",
    "100.64.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "192.88.99.1",
    "224.0.0.1",
    "255.255.255.255",
    "4294967295",
    "0xffffffff",
    "240.0.0.1",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[100::1]",
    "[5f00::1]",
    "[4000::1]",
];

/// What `Url` refuses: such text cannot become a request.
const NO_URLS: &[&str] = &[
    "256.0.0.1",
    "127.0.0.1.1",
    "4294967296",
    "0x100000000",
    "127..0.1",
    "08.0.0.1",
    "[::1",
    "[127.0.0.1]",
    "[::1%25lo]",
    "[fe80::1%25eth0]",
    "[::ffff:127.1]",
    "127.0.0.1%00.a.example",
    "127.0.0.1%20",
    "a.example%2f@127.0.0.1%2f",
    "١٢٧.0.0.1",
];

#[tokio::test]
async fn no_notation_of_an_address_gets_through() {
    let (outbound, _) = outbound();
    let server = Server::start(Router::new()).await;
    let policy = policy(&["*"], &[]);
    for host in LOOPBACK.iter().chain(OTHERS) {
        let request = || get(format!("http://{host}:{}/", server.port));
        for rule in [
            refused(outbound.call(request(), &policy).await),
            refused(outbound.stream(request(), &policy).await),
        ] {
            assert!(matches!(rule, EgressRule::Address(_)), "{host}: {rule}");
        }
    }
    for host in NO_URLS {
        let url = format!("http://{host}:{}/", server.port);
        assert!(url::Url::parse(&url).is_err(), "{host}");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn notations_of_the_server_reach_it_when_the_operator_names_them() {
    let (outbound, _) = outbound();
    let server = Server::start(Router::new()).await;
    for host in ["0x7f.1", "2130706433", "①②⑦.1", "127.1.", "localhost", "[::ffff:127.0.0.1]"]
    {
        let request = get(format!("http://{host}:{}/", server.port));
        outbound.call(request, &EgressPolicy::operator()).await.expect("a response");
    }
    assert_eq!(server.requests(), 6);
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let close = || async { ([("connection", "close")], "") };
    let server = Server::start(Router::new().fallback(close)).await;
    let hidden = Server::at(&format!("127.0.0.2:{}", server.port), Router::new()).await;
    // The policy takes 127.0.0.1 for a public address, and 127.0.0.2 for a private one.
    let policy = policy(&["*"], &["127.0.0.1"]);
    let resolver = FakeResolver::new(&[
        &["127.0.0.1"],
        &["127.0.0.2"],
        &["127.0.0.1"],
        &["127.0.0.2", "::1"],
        &["127.0.0.2", "127.0.0.1", "10.0.0.1"],
    ]);
    let (outbound, _) = outbound_with(resolver.clone());
    for (lookups, is_allowed) in [(1, true), (2, false), (3, true), (4, false), (5, true)] {
        let request = get(format!("http://rebind.example:{}/", server.port));
        let result = outbound.call(request, &policy).await;
        assert_eq!(resolver.lookups(), lookups, "each connection has one lookup");
        match is_allowed {
            true => assert!(result.is_ok(), "lookup {lookups}: {result:?}"),
            false => assert_eq!(refused(result), EgressRule::Address("loopback"), "{lookups}"),
        }
    }
    assert_eq!((server.requests(), hidden.requests()), (3, 0));
}

#[tokio::test]
async fn a_pooled_connection_needs_no_lookup() {
    let server = Server::echo_port().await;
    let resolver = FakeResolver::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let (outbound, _) = outbound_with(resolver.clone());
    let policy = policy(&["*"], &["127.0.0.1"]);
    for _ in 0..3 {
        let request = get(format!("http://rebind.example:{}/", server.port));
        outbound.call(request, &policy).await.expect("a response");
    }
    assert_eq!((resolver.lookups(), server.requests()), (1, 3));
}
