//! OAuth's endpoints: refreshing, revoking, and saying where they are.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::socket::MODERN;
use crate::support::{Place, TestApp, bare, on_each_database, on_each_shared_database, query};

const FORM: &str = "application/x-www-form-urlencoded";
const TOKEN: &str = "/oauth/token";
const REVOKE: &str = "/oauth/revoke";

/// What an endpoint answered.
#[derive(Debug)]
struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    /// Status and error, and that it is in OAuth's form.
    #[track_caller]
    fn refused(&self) -> (u16, &str) {
        let members: Vec<_> = self.body.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["error", "error_description"]);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        let description = self.body["error_description"].as_str().expect("text");
        let may_be = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        assert!(!description.is_empty() && description.bytes().all(may_be), "{description}");
        (self.status, self.body["error"].as_str().expect("text"))
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }
}

/// Sends a request, and sees that nobody may keep the answer.
async fn sent(app: &TestApp, request: Request<Body>) -> Answered {
    let (status, headers, body) = app.request(request).await;
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::PRAGMA], "no-cache");
    let body =
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    Answered { status: status.as_u16(), headers, body }
}

fn request(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, content_type);
    request.body(body.into()).expect("a request")
}

/// Sends parameters as they are.
async fn posted(app: &TestApp, path: &str, body: impl Into<Body>) -> Answered {
    sent(app, request(path, FORM, body)).await
}

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn refresh_form(token: &str) -> String {
    form(&[("grant_type", "refresh_token"), ("refresh_token", token)])
}

async fn refresh(app: &TestApp, token: &str) -> Answered {
    posted(app, TOKEN, refresh_form(token)).await
}

/// Revokes a token. Nothing is told, whatever it was.
async fn revoke(app: &TestApp, token: &str) {
    let answered = posted(app, REVOKE, form(&[("token", token)])).await;
    assert_eq!((answered.status, answered.body), (200, Value::Null));
}

/// A new session's access and refresh token.
async fn session(app: &TestApp, nickname: &str) -> (String, String) {
    let answer = app.anonymous().sign_up(json!({ "nickname": nickname })).await;
    let text = |name: &str| answer.text(&format!("/signup/{name}")).to_owned();
    (text("accessToken"), text("refreshToken"))
}

async fn is_signed_in(app: &TestApp, access_token: &str) -> bool {
    let answer = app.bearing(access_token).send(query!("me"), json!({})).await;
    answer.body["data"]["authenticated"] == true
}

/// The same token with another secret in it.
fn forged(token: &str) -> String {
    let mut bytes = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).expect("base64");
    bytes[50] ^= 1;
    data_encoding::BASE64URL_NOPAD.encode(&bytes)
}

#[tokio::test]
async fn a_refresh_token_buys_the_next_pair() {
    on_each_database(async |app| {
        let (_, first) = session(&app, "ann").await;
        let second = refresh(&app, &first).await;
        assert_eq!(second.status, 200, "{second:?}");
        assert_eq!(second.headers[header::CONTENT_TYPE], "application/json");
        let members: Vec<_> = second.body.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["access_token", "expires_in", "refresh_token", "token_type"]);
        assert_eq!(
            (second.text("token_type"), &second.body["expires_in"]),
            ("Bearer", &json!(600))
        );
        assert!(is_signed_in(&app, second.text("access_token")).await);

        // One chain of tokens, whichever door they come through.
        let third = app.anonymous().refresh(second.text("refresh_token")).await;
        let fourth = refresh(&app, third.text("/refreshSession/refreshToken")).await;
        assert!(is_signed_in(&app, fourth.text("access_token")).await);
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_request_may_have_beside() {
    on_each_database(async |app| {
        let (_, first) = session(&app, "ann").await;
        let next = refresh(&app, &first).await.text("refresh_token").to_owned();
        let plain = refresh_form(&first);
        let with = |more: &str| format!("{plain}&{more}");
        // The clock stands, so that the same token may be repeated.
        for (content_type, body) in [
            ("application/x-www-form-urlencoded; charset=UTF-8", plain.clone()),
            ("application/x-www-form-urlencoded;charset=iso-8859-1", plain.clone()),
            ("Application/X-WWW-Form-Urlencoded", plain.clone()),
            (FORM, with("client_id=game")),
            (FORM, with("client_id=&client_secret=&scope=&scope=&client_id=game")),
            (FORM, with("resource=https://a.example&resource=https://b.example")),
            (FORM, with("x=%00%ff&x=%zz&%ff=%&&==&\0&REFRESH_TOKEN=x&Scope=y&client-secret=z")),
            (FORM, format!("grant_type=&refresh_token=&{plain}&grant_type=")),
            (FORM, plain.replace("refresh", "%72efres%68")),
            (FORM, with(&"x=&".repeat(5000))),
        ] {
            let answered = sent(&app, request(TOKEN, content_type, body.clone())).await;
            assert_eq!(answered.status, 200, "{content_type} {body:.200} {answered:?}");
            assert_eq!(answered.text("refresh_token"), next);
        }
        let mut bearing = request(TOKEN, FORM, plain);
        bearing.headers_mut().insert("authorization", "Bearer over".parse().expect("good"));
        assert_eq!(sent(&app, bearing).await.status, 200, "a person's token is no client's");
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_refused_has_its_error_and_spends_nothing() {
    on_each_database(async |app| {
        let (_, first) = session(&app, "ann").await;
        let good = refresh_form(&first);
        let with = |more: &str| format!("{good}&{more}").into_bytes();
        let token = format!("refresh_token={first}");
        let of = |grant_type: &str| format!("grant_type={grant_type}&{token}").into_bytes();
        let latin = [good.as_bytes(), b"&client_id=\xe9"].concat();
        for (error, bodies) in [
            (
                "invalid_request",
                vec![
                    Vec::new(),
                    b"\0".to_vec(),
                    b"%".to_vec(),
                    b"\xff\xfe".to_vec(),
                    br#"{"grant_type":"refresh_token"}"#.to_vec(),
                    token.clone().into_bytes(),
                    b"grant_type=refresh_token".to_vec(),
                    b"grant_type=refresh_token&refresh_token=".to_vec(),
                    b"grant_type=refresh_token&refresh_token".to_vec(),
                    format!("Grant_Type=refresh_token&{token}").into_bytes(),
                    format!("grant_type=refresh_token&Refresh_Token={first}").into_bytes(),
                    with(&token),
                    with("refresh_token=x"),
                    with("grant_type=refresh_token"),
                    with("scope=a&scope=b"),
                    with("client_id=a&client_id=a"),
                    with("client_secret=a&client_secret=b"),
                    with("client_id=%00"),
                    with("client_id=%e9"),
                    with("client_id=caf%C3%A9"),
                    latin,
                    of("refresh_token%0a"),
                    format!("grant_type=refresh_token&{token}%00").into_bytes(),
                ],
            ),
            (
                "unsupported_grant_type",
                vec![
                    of("password"),
                    b"grant_type=password&username=ann&password=correct+horse+battery".to_vec(),
                    of("authorization_code"),
                    of("client_credentials"),
                    of("urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    of("Refresh_Token"),
                    of("refresh_token%20"),
                    of("%zz"),
                ],
            ),
            ("invalid_scope", vec![with("scope=openid"), with("scope=%20")]),
            (
                "invalid_client",
                vec![with("client_id=game&client_secret=s3cret"), with("client_assertion=x.y.z")],
            ),
            (
                "invalid_grant",
                vec![
                    refresh_form("x").into(),
                    refresh_form(&forged(&first)).into(),
                    refresh_form(&"x".repeat(86)).into(),
                    refresh_form(&"x".repeat(10_000)).into(),
                    refresh_form(&format!("{first} ")).into(),
                    refresh_form(&first[..85]).into(),
                    refresh_form("%zz").into(),
                    b"grant_type=refresh_token&refresh_token=%zz".to_vec(),
                ],
            ),
        ] {
            for body in bodies {
                let told: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                let answered = posted(&app, TOKEN, body).await;
                assert_eq!(answered.refused(), (400, error), "{told}");
                assert!(!answered.body.to_string().contains(&first), "{told}");
            }
        }
        let json = json!({ "grant_type": "refresh_token", "refresh_token": first }).to_string();
        for (content_type, body) in [
            ("application/json", &json),
            ("multipart/form-data; boundary=x", &good),
            ("text/plain", &good),
            ("application/x-www-form-urlencoded2", &good),
            ("\u{e9}", &good),
            ("", &good),
        ] {
            let answered = sent(&app, request(TOKEN, content_type, body.clone())).await;
            assert_eq!(answered.refused(), (400, "invalid_request"), "{content_type}");
        }
        let mut packed = request(TOKEN, FORM, good.clone());
        packed.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().expect("good"));
        assert_eq!(sent(&app, packed).await.refused(), (400, "invalid_request"));
        let unsaid = Request::post(TOKEN).body(Body::from(good.clone())).expect("a request");
        assert_eq!(sent(&app, unsaid).await.refused(), (400, "invalid_request"));

        app.advance(Duration::from_mins(1)).await;
        assert_eq!(refresh(&app, &first).await.status, 200, "nothing was spent");
    })
    .await;
}

#[tokio::test]
async fn parameters_in_the_url_are_none() {
    on_each_database(async |app| {
        let (access, first) = session(&app, "ann").await;
        let good = refresh_form(&first);
        let answered = posted(&app, &format!("{TOKEN}?{good}"), "").await;
        assert_eq!(answered.refused(), (400, "invalid_request"));
        let half = format!("{TOKEN}?refresh_token={first}");
        let answered = posted(&app, &half, "grant_type=refresh_token").await;
        assert_eq!(answered.refused(), (400, "invalid_request"));
        let answered = posted(&app, &format!("{REVOKE}?token={first}"), "").await;
        assert_eq!(answered.refused(), (400, "invalid_request"));
        assert!(is_signed_in(&app, &access).await);
        let beside = posted(&app, &format!("{TOKEN}?refresh_token=x&scope=y"), good).await;
        assert_eq!(beside.status, 200);
    })
    .await;
}

#[tokio::test]
async fn only_post_is_taken() {
    let app = TestApp::new(&Place::Memory).await;
    for path in [TOKEN, REVOKE] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let answered = sent(&app, bare(method, &format!("{path}?token=x"))).await;
            assert_eq!(answered.refused(), (405, "invalid_request"));
            assert_eq!(answered.headers[header::ALLOW], "POST");
        }
        let head = app.request(bare(Method::HEAD, path)).await;
        assert_eq!((head.0.as_u16(), head.2.len()), (405, 0));
    }
}

#[tokio::test]
async fn a_client_that_authenticates_is_told_that_it_cannot() {
    on_each_database(async |app| {
        let (access, first) = session(&app, "ann").await;
        for (path, body) in [(TOKEN, refresh_form(&first)), (REVOKE, form(&[("token", &first)]))] {
            for value in ["Basic Z2FtZTpzM2NyZXQ=", "basic Z2FtZTo=", "BASIC", "Basic \u{e9}"] {
                let mut request = request(path, FORM, body.clone());
                request.headers_mut().insert("authorization", value.parse().expect("good"));
                let answered = sent(&app, request).await;
                assert_eq!(answered.refused(), (401, "invalid_client"), "{path} {value}");
                let challenge = answered.headers[header::WWW_AUTHENTICATE].to_str().expect("text");
                assert!(challenge.starts_with("Basic realm="), "{challenge}");
            }
        }
        let secret = form(&[("token", &first), ("client_secret", "s3cret")]);
        assert_eq!(posted(&app, REVOKE, secret).await.refused(), (400, "invalid_client"));
        assert!(is_signed_in(&app, &access).await);
        assert_eq!(refresh(&app, &first).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn the_newest_parent_may_be_repeated_and_an_older_token_ends_the_session() {
    on_each_database(async |app| {
        let (_, first) = session(&app, "ann").await;
        let second = refresh(&app, &first).await.text("refresh_token").to_owned();
        app.advance(Duration::from_secs(10)).await;
        let again = refresh(&app, &first).await;
        assert_eq!(again.text("refresh_token"), second, "the answer was lost");
        let third = refresh(&app, &second).await;
        let access = third.text("access_token");
        assert!(is_signed_in(&app, access).await);
        assert_eq!(refresh(&app, &first).await.refused(), (400, "invalid_grant"));
        assert!(!is_signed_in(&app, access).await, "at once");
        let newest = third.text("refresh_token");
        assert_eq!(refresh(&app, newest).await.refused(), (400, "invalid_grant"));
        let by_graphql = app.anonymous().refresh(newest).await;
        assert_eq!(by_graphql.errors(), ["UNAUTHENTICATED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_refreshes_by_both_doors_get_one_successor() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let (_, mut newest) = session(&one, "ann").await;
        for _ in 0..5 {
            let all = (0..8).map(|n| {
                let (app, token) = (if n < 4 { one.clone() } else { two.clone() }, newest.clone());
                tokio::spawn(async move {
                    if n % 2 == 0 {
                        refresh(&app, &token).await.text("refresh_token").to_owned()
                    } else {
                        let answer = app.anonymous().refresh(&token).await;
                        answer.text("/refreshSession/refreshToken").to_owned()
                    }
                })
            });
            let all = join_all(all).await.into_iter().map(|next| next.expect("no panic"));
            let successors: Vec<String> = all.collect();
            assert!(successors.iter().all(|successor| *successor == successors[0]));
            newest.clone_from(&successors[0]);
        }
        assert_eq!(one.count("SELECT COUNT(*) FROM endings").await, 0);
    })
    .await;
}

#[tokio::test]
async fn any_token_of_a_session_revokes_it() {
    on_each_database(async |app| {
        for (nickname, which) in [("ann", "access"), ("bob", "newest"), ("cid", "older")] {
            let (access, first) = session(&app, nickname).await;
            let elsewhere = app.logged_in(nickname).await.token.expect("signed in");
            let second = refresh(&app, &first).await.text("refresh_token").to_owned();
            let third = refresh(&app, &second).await.text("refresh_token").to_owned();
            let token = match which {
                "access" => &access,
                "newest" => &third,
                _ => &first,
            };
            assert!(is_signed_in(&app, &access).await);
            let endings = app.count("SELECT COUNT(*) FROM endings").await;
            revoke(&app, token).await;
            assert!(!is_signed_in(&app, &access).await, "{which}: at once");
            assert_eq!(refresh(&app, &third).await.refused(), (400, "invalid_grant"), "{which}");
            assert!(is_signed_in(&app, &elsewhere).await, "{which}: it was one session");
            assert_eq!(app.count("SELECT COUNT(*) FROM endings").await, endings + 1, "{which}");
            for again in [token, &access, &first, &second, &third] {
                revoke(&app, again).await;
            }
            assert_eq!(app.count("SELECT COUNT(*) FROM endings").await, endings + 1, "{which}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_token_revokes_nothing() {
    on_each_database(async |app| {
        let (access, refresh_token) = session(&app, "ann").await;
        let unsigned = format!("{}.", access.rsplit_once('.').expect("a signature").0);
        for invented in [
            &forged(&refresh_token),
            &refresh_token[..85],
            &format!("{refresh_token}="),
            &format!("{access}x"),
            &unsigned,
            "x",
            "..",
            &"x".repeat(86),
            &"x".repeat(10_000),
        ] {
            revoke(&app, invented).await;
        }
        assert!(is_signed_in(&app, &access).await);
        assert_eq!(app.count("SELECT COUNT(*) FROM endings").await, 0);
        app.advance(Duration::from_mins(10)).await;
        revoke(&app, &access).await;
        assert_eq!(refresh(&app, &refresh_token).await.status, 200, "the access token was over");
    })
    .await;
}

#[tokio::test]
async fn a_hint_may_say_anything_once() {
    on_each_database(async |app| {
        for (n, hint) in ["refresh_token", "access_token", "unknown", ""].iter().enumerate() {
            let (access, refresh_token) = session(&app, &format!("ann{n}")).await;
            let (other, _) = session(&app, &format!("bob{n}")).await;
            for token in [&refresh_token, &other] {
                let body = form(&[("token", token), ("token_type_hint", hint)]);
                assert_eq!(posted(&app, REVOKE, body).await.status, 200);
            }
            assert!(!is_signed_in(&app, &access).await && !is_signed_in(&app, &other).await);
        }
        let (access, _) = session(&app, "cid").await;
        for body in [
            String::new(),
            "token=".into(),
            form(&[("Token", &access)]),
            form(&[("token", &access), ("token", &access)]),
            form(&[("token", &access), ("token_type_hint", "a"), ("token_type_hint", "a")]),
            format!("token={access}%ff"),
        ] {
            assert_eq!(posted(&app, REVOKE, body).await.refused(), (400, "invalid_request"));
        }
        let json = json!({ "token": access }).to_string();
        let answered = sent(&app, request(REVOKE, "application/json", json)).await;
        assert_eq!(answered.refused(), (400, "invalid_request"));
        assert!(is_signed_in(&app, &access).await);
    })
    .await;
}

#[tokio::test]
async fn a_revoked_session_is_over_everywhere_and_its_sockets_close() {
    on_each_shared_database(async |place| {
        let here = TestApp::new(place).await;
        let there = here.beside(place, &[]).await;
        let (access, _) = session(&here, "ann").await;
        let (others, _) = session(&here, "bob").await;
        assert!(is_signed_in(&there, &access).await, "it is remembered now");
        let (serving, serving_there) = (here.serve().await, there.serve().await);
        let mut socket = serving.let_in(MODERN, Some(&access)).await;
        let mut socket_there = serving_there.let_in(MODERN, Some(&access)).await;
        let mut bobs = serving.let_in(MODERN, Some(&others)).await;
        revoke(&here, &access).await;
        let ended = Some((4401, "The session has ended.".to_owned()));
        assert_eq!(socket.closed().await, ended);
        there.advance(Duration::from_secs(1)).await;
        assert_eq!(socket_there.closed().await, ended);
        assert!(!is_signed_in(&there, &access).await);
        bobs.is_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn tokens_of_a_key_that_left_the_ring_are_revoked_while_they_are_in_hand() {
    on_each_shared_database(async |place| {
        let old = TestApp::new(place).await;
        let (access, in_hand) = session(&old, "ann").await;
        let ring = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let both = format!("{ring},{}", crate::support::RING);
        let both = old.beside(place, &[("SECRET_KEYS", &both)]).await;
        switchboard::accounts::reseal(&both.app.platform).await.expect("sealed anew");
        let new = old.beside(place, &[("SECRET_KEYS", ring)]).await;
        revoke(&new, &in_hand).await;
        assert!(!is_signed_in(&new, &access).await);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_slow_is_refused_in_oauths_form() {
    let app = TestApp::new(&Place::Memory).await;
    for body in ["x".repeat(1 << 20), "x=&".repeat(100_000), "a&".repeat(9000)] {
        for path in [TOKEN, REVOKE] {
            let answered = posted(&app, path, body.clone()).await;
            assert_eq!(answered.refused(), (413, "invalid_request"));
        }
    }
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answered = app.while_time_passes(posted(&app, TOKEN, never)).await;
    assert_eq!(answered.refused(), (408, "invalid_request"));
    let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]));
    assert_eq!(posted(&app, TOKEN, broken).await.refused(), (400, "invalid_request"));

    app.app.stopping.cancel();
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answered = posted(&app, REVOKE, never).await;
    assert_eq!(answered.refused(), (503, "temporarily_unavailable"));
    assert_eq!(answered.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn while_the_database_is_out_of_reach_clients_are_told_to_come_back() {
    on_each_shared_database(async |place| {
        let settings = [("DATABASE_ACQUIRE_SECONDS", "1"), ("DATABASE_CONNECTIONS", "3")];
        let app = TestApp::with(place, &settings).await;
        let (access, first) = session(&app, "ann").await;
        let in_use = app.app.platform.database.begin().await.expect("a transaction");
        let of_token = async |token: &str| posted(&app, REVOKE, form(&[("token", token)])).await;
        let answers = tokio::join!(refresh(&app, &first), of_token(&first), of_token(&access));
        for answered in <[Answered; 3]>::from(answers) {
            assert_eq!(answered.refused(), (503, "temporarily_unavailable"));
            assert_eq!(answered.headers[header::RETRY_AFTER], "5");
        }
        drop(in_use);
        assert!(is_signed_in(&app, &access).await);
        assert_eq!(refresh(&app, &first).await.status, 200, "nothing was spent");
    })
    .await;
}

#[tokio::test]
async fn a_failure_of_ours_is_no_invalid_grant() {
    on_each_database(async |app| {
        let (_, first) = session(&app, "ann").await;
        app.sql("ALTER TABLE sessions RENAME TO lost").await.expect("renamed");
        for (path, body) in [(TOKEN, refresh_form(&first)), (REVOKE, form(&[("token", &first)]))] {
            let answered = posted(&app, path, body).await;
            assert_eq!(answered.refused(), (500, "server_error"));
            let told = answered.text("error_description");
            assert!(!told.contains("sessions") && !told.contains("lost"), "{told}");
        }
        app.sql("ALTER TABLE lost RENAME TO sessions").await.expect("renamed");
        assert_eq!(refresh(&app, &first).await.status, 200);
    })
    .await;
}

const SERVER: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn the_server_says_where_its_endpoints_are() {
    let (status, about) = TestApp::new(&Place::Memory).await.get(SERVER).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        about,
        json!({
            "issuer": "http://127.0.0.1:8000",
            "token_endpoint": "http://127.0.0.1:8000/oauth/token",
            "revocation_endpoint": "http://127.0.0.1:8000/oauth/revoke",
            "jwks_uri": "http://127.0.0.1:8000/.well-known/jwks.json",
            "grant_types_supported": ["refresh_token"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
        })
    );
}

#[tokio::test]
async fn the_issuer_is_the_one_of_tokens_whatever_our_address() {
    for (public_url, issuer, good, foreign) in [
        ("https://api.example.com", "https://api.example.com", "", "/game"),
        ("https://api.example.com/", "https://api.example.com", "", "/"),
        ("https://example.com/game", "https://example.com/game", "/game", "/gam"),
        ("https://example.com/game/a/", "https://example.com/game/a", "/game/a", "/game/a/b"),
        (
            "https://example.com/:x/%7B*y%7D",
            "https://example.com/:x/%7B*y%7D",
            "/:x/%7B*y%7D",
            "/x",
        ),
    ] {
        let app = TestApp::with(&Place::Memory, &[("PUBLIC_URL", public_url)]).await;
        // A proxy may have taken our path away; where it has not, it stands behind.
        for path in [SERVER.to_owned(), format!("{SERVER}{good}")] {
            let (status, headers, body) = app.request(bare(Method::GET, &path)).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=3600");
            let about: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(about["issuer"], issuer);
            for (name, path) in [
                ("token_endpoint", TOKEN),
                ("revocation_endpoint", REVOKE),
                ("jwks_uri", "/.well-known/jwks.json"),
            ] {
                assert_eq!(about[name], format!("{issuer}{path}"));
            }
        }
        let (status, body) = app.get(&format!("{SERVER}{foreign}")).await;
        assert_eq!((status.as_u16(), &body["status"]), (404, &json!("fail")), "{foreign}");
        let (access, _) = session(&app, "ann").await;
        let claims = access.split('.').nth(1).expect("claims").as_bytes();
        let claims = data_encoding::BASE64URL_NOPAD.decode(claims).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(claims["iss"], issuer);
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_read() {
    const GAME: &str = "https://game.example.com";
    let app = TestApp::with(&Place::Memory, &[("CORS_ORIGINS", GAME)]).await;
    let (_, first) = session(&app, "ann").await;
    for (origin, allowed) in [(GAME, Some(GAME)), ("https://evil.example", None)] {
        let by_page = |mut request: Request<Body>| {
            request.headers_mut().insert(header::ORIGIN, origin.parse().expect("good"));
            request
        };
        let metadata = bare(Method::GET, SERVER);
        let mut preflight = bare(Method::OPTIONS, TOKEN);
        let asked = [("method", "POST"), ("headers", "authorization,content-type")];
        for (name, value) in asked {
            let name = format!("access-control-request-{name}");
            let name: header::HeaderName = name.parse().expect("a name");
            preflight.headers_mut().insert(name, value.parse().expect("good"));
        }
        for (request, status) in [
            (preflight, 200),
            (request(TOKEN, FORM, refresh_form(&first)), 200),
            (request(TOKEN, FORM, ""), 400),
            (request(REVOKE, FORM, "token=x"), 200),
            (bare(Method::GET, TOKEN), 405),
            (metadata, 200),
        ] {
            let told = format!("{request:?}");
            let (answered, headers, _) = app.request(by_page(request)).await;
            assert_eq!(answered.as_u16(), status, "{told}");
            let origin = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(origin.map(|origin| origin.to_str().expect("text")), allowed, "{told}");
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{told}");
        }
    }
}
