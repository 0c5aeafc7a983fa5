//! The OAuth endpoints: token refresh, revocation, and server metadata.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::socket::MODERN;
use crate::support::{
    TestApp, TestDatabase, empty_request, on_each_database, on_each_shared_database, query,
};

const FORM: &str = "application/x-www-form-urlencoded";
const TOKEN: &str = "/oauth/token";
const REVOKE: &str = "/oauth/revoke";

/// The response of an endpoint.
#[derive(Debug)]
struct OAuthResponse {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl OAuthResponse {
    /// The status and error code. Asserts the format of an OAuth error.
    #[track_caller]
    fn error(&self) -> (u16, &str) {
        let members: Vec<_> = self.body.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["error", "error_description"]);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        let description = self.body["error_description"].as_str().expect("text");
        let is_allowed = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        assert!(!description.is_empty() && description.bytes().all(is_allowed), "{description}");
        (self.status, self.body["error"].as_str().expect("text"))
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }
}

/// Sends a request. Asserts that the response must not be cached.
async fn send(app: &TestApp, request: Request<Body>) -> OAuthResponse {
    let (status, headers, body) = app.request(request).await;
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::PRAGMA], "no-cache");
    let body =
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    OAuthResponse { status: status.as_u16(), headers, body }
}

fn request(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, content_type);
    request.body(body.into()).expect("a valid request")
}

/// Posts a form body.
async fn post(app: &TestApp, path: &str, body: impl Into<Body>) -> OAuthResponse {
    send(app, request(path, FORM, body)).await
}

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn refresh_form(token: &str) -> String {
    form(&[("grant_type", "refresh_token"), ("refresh_token", token)])
}

async fn refresh(app: &TestApp, token: &str) -> OAuthResponse {
    post(app, TOKEN, refresh_form(token)).await
}

/// Revokes a token. The response is the same for every token.
async fn revoke(app: &TestApp, token: &str) {
    let response = post(app, REVOKE, form(&[("token", token)])).await;
    assert_eq!((response.status, response.body), (200, Value::Null));
}

/// A new session's access and refresh token.
async fn new_session(app: &TestApp, nickname: &str) -> (String, String) {
    let response = app.anonymous().sign_up(json!({ "nickname": nickname })).await;
    let text = |name: &str| response.text(&format!("/signup/{name}")).to_owned();
    (text("accessToken"), text("refreshToken"))
}

async fn is_signed_in(app: &TestApp, access_token: &str) -> bool {
    let response = app.with_token(access_token).send(query!("me"), json!({})).await;
    response.body["data"]["authenticated"] == true
}

/// The same token with another secret.
fn forged(token: &str) -> String {
    let mut bytes = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).expect("base64");
    bytes[50] ^= 1;
    data_encoding::BASE64URL_NOPAD.encode(&bytes)
}

#[tokio::test]
async fn refresh_tokens_are_exchanged_for_a_new_pair() {
    on_each_database(async |app| {
        let (_, first) = new_session(&app, "ann").await;
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

        // GraphQL and OAuth share one chain of tokens.
        let third = app.anonymous().refresh(second.text("refresh_token")).await;
        let fourth = refresh(&app, third.text("/refreshSession/refreshToken")).await;
        assert!(is_signed_in(&app, fourth.text("access_token")).await);
        assert_eq!(app.count("SELECT COUNT(*) FROM sessions").await, 1);
    })
    .await;
}

#[tokio::test]
async fn unknown_parameters_and_empty_values_are_ignored() {
    on_each_database(async |app| {
        let (_, first) = new_session(&app, "ann").await;
        let successor = refresh(&app, &first).await.text("refresh_token").to_owned();
        let valid = refresh_form(&first);
        let with = |extra: &str| format!("{valid}&{extra}");
        // The test clock stands still, so that the same token may be reused.
        for (content_type, body) in [
            ("application/x-www-form-urlencoded; charset=UTF-8", valid.clone()),
            ("application/x-www-form-urlencoded;charset=iso-8859-1", valid.clone()),
            ("Application/X-WWW-Form-Urlencoded", valid.clone()),
            (FORM, with("client_id=game")),
            (FORM, with("client_id=&client_secret=&scope=&scope=&client_id=game")),
            (FORM, with("resource=https://a.example&resource=https://b.example")),
            (FORM, with("x=%00%ff&x=%zz&%ff=%&&==&\0&REFRESH_TOKEN=x&Scope=y&client-secret=z")),
            (FORM, format!("grant_type=&refresh_token=&{valid}&grant_type=")),
            (FORM, valid.replace("refresh", "%72efres%68")),
            (FORM, with(&"x=&".repeat(5000))),
        ] {
            let response = send(&app, request(TOKEN, content_type, body.clone())).await;
            assert_eq!(response.status, 200, "{content_type} {body:.200} {response:?}");
            assert_eq!(response.text("refresh_token"), successor);
        }
        let mut with_bearer = request(TOKEN, FORM, valid);
        with_bearer
            .headers_mut()
            .insert("authorization", "Bearer expired".parse().expect("a valid header"));
        assert_eq!(
            send(&app, with_bearer).await.status,
            200,
            "a Bearer token does not authenticate a client"
        );
    })
    .await;
}

#[tokio::test]
async fn rejected_requests_have_an_error_and_do_not_use_the_token() {
    on_each_database(async |app| {
        let (_, first) = new_session(&app, "ann").await;
        let valid = refresh_form(&first);
        let with = |extra: &str| format!("{valid}&{extra}").into_bytes();
        let token = format!("refresh_token={first}");
        let with_grant_type =
            |grant_type: &str| format!("grant_type={grant_type}&{token}").into_bytes();
        let latin1 = [valid.as_bytes(), b"&client_id=\xe9"].concat();
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
                    latin1,
                    with_grant_type("refresh_token%0a"),
                    format!("grant_type=refresh_token&{token}%00").into_bytes(),
                ],
            ),
            (
                "unsupported_grant_type",
                vec![
                    with_grant_type("password"),
                    b"grant_type=password&username=ann&password=correct+horse+battery".to_vec(),
                    with_grant_type("authorization_code"),
                    with_grant_type("client_credentials"),
                    with_grant_type("urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    with_grant_type("Refresh_Token"),
                    with_grant_type("refresh_token%20"),
                    with_grant_type("%zz"),
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
                let excerpt: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                let response = post(&app, TOKEN, body).await;
                assert_eq!(response.error(), (400, error), "{excerpt}");
                assert!(!response.body.to_string().contains(&first), "{excerpt}");
            }
        }
        let json = json!({ "grant_type": "refresh_token", "refresh_token": first }).to_string();
        for (content_type, body) in [
            ("application/json", &json),
            ("multipart/form-data; boundary=x", &valid),
            ("text/plain", &valid),
            ("application/x-www-form-urlencoded2", &valid),
            ("\u{e9}", &valid),
            ("", &valid),
        ] {
            let response = send(&app, request(TOKEN, content_type, body.clone())).await;
            assert_eq!(response.error(), (400, "invalid_request"), "{content_type}");
        }
        let mut compressed = request(TOKEN, FORM, valid.clone());
        compressed
            .headers_mut()
            .insert(header::CONTENT_ENCODING, "gzip".parse().expect("a valid header"));
        assert_eq!(send(&app, compressed).await.error(), (400, "invalid_request"));
        let untyped =
            Request::post(TOKEN).body(Body::from(valid.clone())).expect("a valid request");
        assert_eq!(send(&app, untyped).await.error(), (400, "invalid_request"));

        app.advance(Duration::from_mins(1)).await;
        assert_eq!(refresh(&app, &first).await.status, 200, "the token was not used");
    })
    .await;
}

#[tokio::test]
async fn parameters_in_the_url_are_ignored() {
    on_each_database(async |app| {
        let (access, first) = new_session(&app, "ann").await;
        let valid = refresh_form(&first);
        let response = post(&app, &format!("{TOKEN}?{valid}"), "").await;
        assert_eq!(response.error(), (400, "invalid_request"));
        let url_with_token = format!("{TOKEN}?refresh_token={first}");
        let response = post(&app, &url_with_token, "grant_type=refresh_token").await;
        assert_eq!(response.error(), (400, "invalid_request"));
        let response = post(&app, &format!("{REVOKE}?token={first}"), "").await;
        assert_eq!(response.error(), (400, "invalid_request"));
        assert!(is_signed_in(&app, &access).await);
        let with_query = post(&app, &format!("{TOKEN}?refresh_token=x&scope=y"), valid).await;
        assert_eq!(with_query.status, 200);
    })
    .await;
}

#[tokio::test]
async fn only_post_is_allowed() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    for path in [TOKEN, REVOKE] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let response = send(&app, empty_request(method, &format!("{path}?token=x"))).await;
            assert_eq!(response.error(), (405, "invalid_request"));
            assert_eq!(response.headers[header::ALLOW], "POST");
        }
        let head = app.request(empty_request(Method::HEAD, path)).await;
        assert_eq!((head.0.as_u16(), head.2.len()), (405, 0));
    }
}

#[tokio::test]
async fn client_authentication_is_rejected() {
    on_each_database(async |app| {
        let (access, first) = new_session(&app, "ann").await;
        for (path, body) in [(TOKEN, refresh_form(&first)), (REVOKE, form(&[("token", &first)]))] {
            for value in ["Basic Z2FtZTpzM2NyZXQ=", "basic Z2FtZTo=", "BASIC", "Basic \u{e9}"] {
                let mut request = request(path, FORM, body.clone());
                request
                    .headers_mut()
                    .insert("authorization", value.parse().expect("a valid header"));
                let response = send(&app, request).await;
                assert_eq!(response.error(), (401, "invalid_client"), "{path} {value}");
                let challenge = response.headers[header::WWW_AUTHENTICATE].to_str().expect("text");
                assert!(challenge.starts_with("Basic realm="), "{challenge}");
            }
        }
        let secret = form(&[("token", &first), ("client_secret", "s3cret")]);
        assert_eq!(post(&app, REVOKE, secret).await.error(), (400, "invalid_client"));
        assert!(is_signed_in(&app, &access).await);
        assert_eq!(refresh(&app, &first).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn the_previous_token_may_be_reused_and_an_older_one_revokes_the_session() {
    on_each_database(async |app| {
        let (_, first) = new_session(&app, "ann").await;
        let second = refresh(&app, &first).await.text("refresh_token").to_owned();
        app.advance(Duration::from_secs(10)).await;
        let repeated = refresh(&app, &first).await;
        assert_eq!(repeated.text("refresh_token"), second, "a lost response is repeated");
        let third = refresh(&app, &second).await;
        let access = third.text("access_token");
        assert!(is_signed_in(&app, access).await);
        assert_eq!(refresh(&app, &first).await.error(), (400, "invalid_grant"));
        assert!(!is_signed_in(&app, access).await, "revoked at once");
        let newest = third.text("refresh_token");
        assert_eq!(refresh(&app, newest).await.error(), (400, "invalid_grant"));
        let by_graphql = app.anonymous().refresh(newest).await;
        by_graphql.assert_error("UNAUTHENTICATED", "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_by_oauth_and_graphql_get_the_same_successor() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let (_, mut newest) = new_session(&app, "ann").await;
        for _ in 0..5 {
            let refreshes = (0..8).map(|n| {
                let (app, token) =
                    (if n < 4 { app.clone() } else { other.clone() }, newest.clone());
                tokio::spawn(async move {
                    if n % 2 == 0 {
                        refresh(&app, &token).await.text("refresh_token").to_owned()
                    } else {
                        let response = app.anonymous().refresh(&token).await;
                        response.text("/refreshSession/refreshToken").to_owned()
                    }
                })
            });
            let successors = join_all(refreshes).await.into_iter();
            let successors: Vec<String> =
                successors.map(|successor| successor.expect("no panic")).collect();
            assert!(successors.iter().all(|successor| *successor == successors[0]));
            newest.clone_from(&successors[0]);
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM revocations").await, 0);
    })
    .await;
}

#[tokio::test]
async fn every_token_of_a_session_revokes_it() {
    on_each_database(async |app| {
        for (nickname, kind) in [("ann", "access"), ("bob", "newest"), ("cid", "older")] {
            let (access, first) = new_session(&app, nickname).await;
            let other_session = app.logged_in(nickname).await.token.expect("signed in");
            let second = refresh(&app, &first).await.text("refresh_token").to_owned();
            let third = refresh(&app, &second).await.text("refresh_token").to_owned();
            let token = match kind {
                "access" => &access,
                "newest" => &third,
                _ => &first,
            };
            assert!(is_signed_in(&app, &access).await);
            let revocations = app.count("SELECT COUNT(*) FROM revocations").await;
            revoke(&app, token).await;
            assert!(!is_signed_in(&app, &access).await, "{kind}: revoked at once");
            assert_eq!(refresh(&app, &third).await.error(), (400, "invalid_grant"), "{kind}");
            assert!(is_signed_in(&app, &other_session).await, "{kind}: other sessions stay");
            assert_eq!(
                app.count("SELECT COUNT(*) FROM revocations").await,
                revocations + 1,
                "{kind}"
            );
            for revoked_token in [token, &access, &first, &second, &third] {
                revoke(&app, revoked_token).await;
            }
            assert_eq!(
                app.count("SELECT COUNT(*) FROM revocations").await,
                revocations + 1,
                "{kind}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn invalid_tokens_revoke_nothing() {
    on_each_database(async |app| {
        let (access, refresh_token) = new_session(&app, "ann").await;
        let unsigned = format!("{}.", access.rsplit_once('.').expect("a signature").0);
        for invalid in [
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
            revoke(&app, invalid).await;
        }
        assert!(is_signed_in(&app, &access).await);
        assert_eq!(app.count("SELECT COUNT(*) FROM revocations").await, 0);
        app.advance(Duration::from_mins(10)).await;
        revoke(&app, &access).await;
        assert_eq!(
            refresh(&app, &refresh_token).await.status,
            200,
            "an expired access token does not revoke"
        );
    })
    .await;
}

#[tokio::test]
async fn token_type_hints_are_ignored_but_must_not_be_repeated() {
    on_each_database(async |app| {
        for (n, hint) in ["refresh_token", "access_token", "unknown", ""].iter().enumerate() {
            let (access, refresh_token) = new_session(&app, &format!("ann{n}")).await;
            let (other, _) = new_session(&app, &format!("bob{n}")).await;
            for token in [&refresh_token, &other] {
                let body = form(&[("token", token), ("token_type_hint", hint)]);
                assert_eq!(post(&app, REVOKE, body).await.status, 200);
            }
            assert!(!is_signed_in(&app, &access).await && !is_signed_in(&app, &other).await);
        }
        let (access, _) = new_session(&app, "cid").await;
        for body in [
            String::new(),
            "token=".into(),
            form(&[("Token", &access)]),
            form(&[("token", &access), ("token", &access)]),
            form(&[("token", &access), ("token_type_hint", "a"), ("token_type_hint", "a")]),
            format!("token={access}%ff"),
        ] {
            assert_eq!(post(&app, REVOKE, body).await.error(), (400, "invalid_request"));
        }
        let json = json!({ "token": access }).to_string();
        let response = send(&app, request(REVOKE, "application/json", json)).await;
        assert_eq!(response.error(), (400, "invalid_request"));
        assert!(is_signed_in(&app, &access).await);
    })
    .await;
}

#[tokio::test]
async fn revoked_sessions_end_on_all_instances_and_their_sockets_close() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let (access, _) = new_session(&app, "ann").await;
        let (bob_access, _) = new_session(&app, "bob").await;
        assert!(is_signed_in(&other, &access).await, "cached by the other instance");
        let (server, other_server) = (app.serve().await, other.serve().await);
        let mut socket = server.initialized_socket(MODERN, Some(&access)).await;
        let mut other_socket = other_server.initialized_socket(MODERN, Some(&access)).await;
        let mut bob_socket = server.initialized_socket(MODERN, Some(&bob_access)).await;
        revoke(&app, &access).await;
        let session_ended = Some((4401, "The session has ended.".to_owned()));
        assert_eq!(socket.close_reason().await, session_ended);
        other.advance(Duration::from_secs(1)).await;
        assert_eq!(other_socket.close_reason().await, session_ended);
        assert!(!is_signed_in(&other, &access).await);
        bob_socket.assert_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn tokens_sealed_with_a_removed_key_can_be_revoked() {
    on_each_shared_database(async |database| {
        let old_app = TestApp::new(database).await;
        let (access, refresh_token) = new_session(&old_app, "ann").await;
        let new_ring = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let both_keys = format!("{new_ring},{}", crate::support::KEY_RING);
        let app_with_both_keys =
            old_app.second_instance(database, &[("SECRET_KEYS", &both_keys)]).await;
        switchboard::accounts::reseal(&app_with_both_keys.app.platform).await.expect("resealed");
        let new_app = old_app.second_instance(database, &[("SECRET_KEYS", new_ring)]).await;
        revoke(&new_app, &refresh_token).await;
        assert!(!is_signed_in(&new_app, &access).await);
    })
    .await;
}

#[tokio::test]
async fn large_slow_and_broken_bodies_get_an_oauth_error() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    for body in ["x".repeat(1 << 20), "x=&".repeat(100_000), "a&".repeat(9000)] {
        for path in [TOKEN, REVOKE] {
            let response = post(&app, path, body.clone()).await;
            assert_eq!(response.error(), (413, "invalid_request"));
        }
    }
    let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let response = app.while_time_passes(post(&app, TOKEN, endless)).await;
    assert_eq!(response.error(), (408, "invalid_request"));
    let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]));
    assert_eq!(post(&app, TOKEN, broken).await.error(), (400, "invalid_request"));

    app.app.stopping.cancel();
    let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let response = post(&app, REVOKE, endless).await;
    assert_eq!(response.error(), (503, "temporarily_unavailable"));
    assert_eq!(response.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn without_the_database_responses_ask_to_retry() {
    on_each_shared_database(async |database| {
        let settings = [("DATABASE_ACQUIRE_SECONDS", "1"), ("DATABASE_CONNECTIONS", "3")];
        let app = TestApp::with(database, &settings).await;
        let (access, first) = new_session(&app, "ann").await;
        let in_use = app.app.platform.database.begin().await.expect("a transaction");
        let revoke = async |token: &str| post(&app, REVOKE, form(&[("token", token)])).await;
        let responses = tokio::join!(refresh(&app, &first), revoke(&first), revoke(&access));
        for response in <[OAuthResponse; 3]>::from(responses) {
            assert_eq!(response.error(), (503, "temporarily_unavailable"));
            assert_eq!(response.headers[header::RETRY_AFTER], "5");
        }
        drop(in_use);
        assert!(is_signed_in(&app, &access).await);
        assert_eq!(refresh(&app, &first).await.status, 200, "the token was not used");
    })
    .await;
}

#[tokio::test]
async fn internal_errors_are_not_reported_as_invalid_grant() {
    on_each_database(async |app| {
        let (_, first) = new_session(&app, "ann").await;
        app.sql("ALTER TABLE sessions RENAME TO lost").await.expect("renamed");
        for (path, body) in [(TOKEN, refresh_form(&first)), (REVOKE, form(&[("token", &first)]))] {
            let response = post(&app, path, body).await;
            assert_eq!(response.error(), (500, "server_error"));
            let description = response.text("error_description");
            assert!(
                !description.contains("sessions") && !description.contains("lost"),
                "{description}"
            );
        }
        app.sql("ALTER TABLE lost RENAME TO sessions").await.expect("renamed");
        assert_eq!(refresh(&app, &first).await.status, 200);
    })
    .await;
}

const METADATA: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn server_metadata_lists_the_endpoints() {
    let (status, metadata) = TestApp::new(&TestDatabase::Memory).await.get(METADATA).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        metadata,
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
async fn the_issuer_is_the_public_url_with_its_path() {
    for (public_url, issuer, own_path, other_path) in [
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
        let app = TestApp::with(&TestDatabase::Memory, &[("PUBLIC_URL", public_url)]).await;
        // Clients append the path of PUBLIC_URL; a proxy may strip it.
        for path in [METADATA.to_owned(), format!("{METADATA}{own_path}")] {
            let (status, headers, body) = app.request(empty_request(Method::GET, &path)).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=3600");
            let metadata: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(metadata["issuer"], issuer);
            for (name, path) in [
                ("token_endpoint", TOKEN),
                ("revocation_endpoint", REVOKE),
                ("jwks_uri", "/.well-known/jwks.json"),
            ] {
                assert_eq!(metadata[name], format!("{issuer}{path}"));
            }
        }
        let (status, body) = app.get(&format!("{METADATA}{other_path}")).await;
        assert_eq!((status.as_u16(), &body["status"]), (404, &json!("fail")), "{other_path}");
        let (access, _) = new_session(&app, "ann").await;
        let claims = access.split('.').nth(1).expect("claims").as_bytes();
        let claims = data_encoding::BASE64URL_NOPAD.decode(claims).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(claims["iss"], issuer);
    }
}

#[tokio::test]
async fn cors_allows_listed_origins() {
    const GAME: &str = "https://game.example.com";
    let app = TestApp::with(&TestDatabase::Memory, &[("CORS_ORIGINS", GAME)]).await;
    let (_, first) = new_session(&app, "ann").await;
    for (origin, allowed_origin) in [(GAME, Some(GAME)), ("https://evil.example", None)] {
        let with_origin = |mut request: Request<Body>| {
            request.headers_mut().insert(header::ORIGIN, origin.parse().expect("a valid header"));
            request
        };
        let metadata = empty_request(Method::GET, METADATA);
        let mut preflight = empty_request(Method::OPTIONS, TOKEN);
        let preflight_headers = [("method", "POST"), ("headers", "authorization,content-type")];
        for (name, value) in preflight_headers {
            let name = format!("access-control-request-{name}");
            let name: header::HeaderName = name.parse().expect("a name");
            preflight.headers_mut().insert(name, value.parse().expect("a valid header"));
        }
        for (request, status) in [
            (preflight, 200),
            (request(TOKEN, FORM, refresh_form(&first)), 200),
            (request(TOKEN, FORM, ""), 400),
            (request(REVOKE, FORM, "token=x"), 200),
            (empty_request(Method::GET, TOKEN), 405),
            (metadata, 200),
        ] {
            let description = format!("{request:?}");
            let (response_status, headers, _) = app.request(with_origin(request)).await;
            assert_eq!(response_status.as_u16(), status, "{description}");
            let origin = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(
                origin.map(|origin| origin.to_str().expect("text")),
                allowed_origin,
                "{description}"
            );
            assert!(
                !headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS),
                "{description}"
            );
        }
    }
}
