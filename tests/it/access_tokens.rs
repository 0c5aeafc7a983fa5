//! Access tokens: claims, expiry, forgeries, and the rotation of signing keys.

use std::time::Duration;

use axum::http::Method;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use switchboard::platform::clock::Clock;

use crate::support::{
    Caller, TestApp, empty_request, on_each_database, on_each_shared_database, query,
};

/// The header and the claims of a token.
fn decode_parts(token: &str) -> (Value, Value) {
    let part = |n: usize| {
        let part = token.split('.').nth(n).expect("three parts");
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64"))
            .expect("JSON")
    };
    (part(0), part(1))
}

fn encode_parts(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}.{signature}", part(header), part(claims))
}

async fn assert_rejected(app: &TestApp, token: &str) {
    let response = app.with_token(token).send(query!("me"), json!({})).await;
    assert_eq!(response.errors(), ["UNAUTHENTICATED"], "{token}");
    assert_eq!(
        response.body["data"],
        json!({ "me": null, "authenticated": false }),
        "public fields still resolve"
    );
}

#[tokio::test]
async fn token_claims_name_user_issuer_and_expiry() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (header, claims) = decode_parts(ann.token.as_ref().expect("signed in"));
        assert_eq!(header["alg"], "EdDSA");
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(&claims["sub"], me.data("/me/id"));
        assert_eq!(claims["iss"], "http://127.0.0.1:8000");
        assert_eq!(
            claims["exp"].as_i64().expect("a number") - claims["iat"].as_i64().expect("a number"),
            600
        );
        let (_, jwks) = app.get("/.well-known/jwks.json").await;
        assert_eq!(jwks["keys"][0]["kid"], header["kid"]);
        assert_eq!(jwks["keys"].as_array().expect("a list").len(), 1);
        assert!(jwks["keys"][0].get("d").is_none(), "the private key is not published");
    })
    .await;
}

#[tokio::test]
async fn anonymous_requests_to_public_fields_succeed() {
    on_each_database(async |app| {
        let response = app.anonymous().send(query!("me"), json!({})).await;
        assert_eq!(response.data(""), &json!({ "me": null, "authenticated": false }));
        let profile = app.anonymous().send(query!("profile"), json!({ "id": "usr_x" })).await;
        assert_eq!(
            profile.errors(),
            ["UNAUTHENTICATED"],
            "authentication comes before validation of the id"
        );
    })
    .await;
}

#[tokio::test]
async fn forged_tokens_are_rejected() {
    on_each_database(async |app| {
        let signup = app.anonymous().sign_up(json!({ "nickname": "ann" })).await;
        let valid = signup.text("/signup/accessToken");
        let (header, claims) = decode_parts(valid);
        let signature = valid.rsplit('.').next().expect("a signature");
        let unsigned_header = json!({ "alg": "none", "typ": "JWT" });
        let mut other_user = claims.clone();
        other_user["sub"] = json!("usr_00000000000000000000000000");
        let mut hs256 = header.clone();
        hs256["alg"] = json!("HS256");
        let mut unknown_key = header.clone();
        unknown_key["kid"] = json!("unknown");
        for forged in [
            "",
            "x",
            "..",
            &format!("{valid}x"),
            &valid[..valid.len() - 4],
            &encode_parts(&unsigned_header, &claims, ""),
            &encode_parts(&unsigned_header, &claims, signature),
            &encode_parts(&header, &other_user, signature),
            &encode_parts(&hs256, &claims, signature),
            &encode_parts(&unknown_key, &claims, signature),
            &"x".repeat(10_000),
            signup.text("/signup/refreshToken"),
        ] {
            assert_rejected(&app, forged).await;
        }
        assert_eq!(
            app.anonymous().refresh(valid).await.errors(),
            ["UNAUTHENTICATED"],
            "an access token is not a refresh token"
        );
    })
    .await;
}

#[tokio::test]
async fn tokens_expire_on_time() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.advance(Duration::from_secs(599)).await;
        ann.send(query!("me"), json!({})).await.data("/me/id");
        app.advance(Duration::from_secs(1)).await;
        assert_rejected(&app, ann.token.as_ref().expect("signed in")).await;
    })
    .await;
}

#[tokio::test]
async fn tokens_of_another_issuer_are_rejected_under_the_same_keys() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other =
            app.second_instance(database, &[("PUBLIC_URL", "https://elsewhere.example")]).await;
        let ann = other.signed_in("ann").await;
        assert_rejected(&app, ann.token.as_ref().expect("signed in")).await;
    })
    .await;
}

#[tokio::test]
async fn other_authorization_schemes_are_rejected() {
    on_each_database(async |app| {
        use axum::body::Body;
        use axum::http::Request;
        for value in ["Basic YTpi", "Bearer", "bearer\u{ff}"] {
            let request = Request::post("/graphql")
                .header("content-type", "application/json")
                .header("authorization", value)
                .body(Body::from(json!({ "query": query!("me") }).to_string()))
                .expect("a request");
            let (_, _, body) = app.request(request).await;
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(body["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{value}");
        }
    })
    .await;
}

const JWKS_PATH: &str = "/.well-known/jwks.json";
/// The time between a rotation and the first signature of the new key.
const PUBLISH_LEAD: Duration = Duration::from_secs(2);

async fn rotate_keys(app: &TestApp) -> String {
    switchboard::accounts::rotate_signing_keys(&app.app.platform).await.expect("rotated")
}

/// The keys that the server publishes.
async fn published_keys(app: &TestApp) -> JwkSet {
    serde_json::from_value(app.get(JWKS_PATH).await.1).expect("a JWK set")
}

/// Verifies a token as another service does, which only knows the issuer and the published keys.
fn verify(app: &TestApp, keys: &JwkSet, token: &str) -> Result<Value, String> {
    let id = decode_header(token).expect("a header").kid.expect("the id of a key");
    let jwk = keys.find(&id).ok_or("this key is not published")?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&["http://127.0.0.1:8000"]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(jwk).expect("a key");
    let claims = decode::<Value>(token, &key, &validation).map_err(|e| e.to_string())?.claims;
    let is_expired = app.clock.now().timestamp() >= claims["exp"].as_i64().expect("a number");
    if is_expired { Err("expired".into()) } else { Ok(claims) }
}

#[tokio::test]
async fn other_services_can_verify_tokens_with_the_published_keys() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let token = ann.token.as_ref().expect("signed in");
        let keys = published_keys(&app).await;
        let claims = verify(&app, &keys, token).expect("a valid token");
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(&claims["sub"], me.data("/me/id"));
        let names: Vec<_> = claims.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["amr", "exp", "gen", "iat", "iss", "jti", "sid", "sub"]);
        assert_eq!(claims["gen"], json!([0, 0]), "the version of a login");
        let (header, mut altered_claims) = decode_parts(token);
        altered_claims["sub"] = json!("usr_00000000000000000000000000");
        let signature = token.rsplit('.').next().expect("a signature");
        assert!(verify(&app, &keys, &encode_parts(&header, &altered_claims, signature)).is_err());

        ann.send(query!("logout"), json!({})).await.data("/logout");
        verify(&app, &keys, token).expect("the token does not show that its session has ended");
        app.advance(Duration::from_mins(10)).await;
        assert_eq!(verify(&app, &keys, token), Err("expired".into()));
    })
    .await;
}

#[tokio::test]
async fn rotated_key_signs_on_every_instance_and_old_key_verifies_until_its_tokens_expire() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let new_key = rotate_keys(&app).await;
        let header_of = |caller: &Caller| decode_parts(caller.token.as_ref().expect("signed in")).0;
        let is_accepted = async |app: &TestApp, caller: &Caller| {
            let caller_at_instance = app.with_token(caller.token.as_ref().expect("signed in"));
            caller_at_instance.send(query!("me"), json!({})).await.body["data"]["authenticated"]
                == true
        };
        app.advance(Duration::from_secs(1)).await;
        let bob = app.signed_in("bob").await;
        assert_ne!(
            header_of(&bob)["kid"],
            json!(new_key),
            "not every instance publishes the new key yet"
        );
        app.advance(Duration::from_secs(1)).await;
        let cid = app.signed_in("cid").await;
        assert_eq!(header_of(&cid)["kid"], json!(new_key));
        assert_eq!(published_keys(&other).await.keys.len(), 1, "the other instance has not polled");
        for caller in [&ann, &bob, &cid] {
            assert!(
                is_accepted(&other, caller).await,
                "an instance loads the keys again for an unknown key"
            );
        }
        for app in [&app, &other] {
            assert_eq!(published_keys(app).await.keys.len(), 2);
        }

        app.advance(Duration::from_secs(597)).await;
        assert!(
            is_accepted(&app, &ann).await && is_accepted(&other, &ann).await,
            "in its last second"
        );
        app.advance(Duration::from_secs(4)).await;
        assert!(
            !is_accepted(&app, &bob).await && !is_accepted(&other, &bob).await,
            "it has expired"
        );
        assert_eq!(published_keys(&app).await.keys.len(), 2);
        app.advance(Duration::from_secs(1)).await;
        for app in [&app, &other] {
            assert_eq!(published_keys(app).await.keys.len(), 1);
            assert!(published_keys(app).await.find(&new_key).is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn clients_that_reload_the_jwks_for_an_unknown_key_can_verify_every_token() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let (_, headers, _) = app.request(empty_request(Method::GET, JWKS_PATH)).await;
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(headers["content-type"], "application/jwk-set+json");
        rotate_keys(&app).await;
        let mut cached_keys = published_keys(&other).await;
        let mut signers = std::collections::BTreeSet::new();
        for second in 0..5 {
            app.clock.advance(Duration::from_secs(1));
            app.app.run_due_jobs().await.expect("no job fails");
            other.app.run_due_jobs().await.expect("no job fails");
            let token = app.signed_in(&format!("ann{second}")).await.token.expect("signed in");
            if verify(&app, &cached_keys, &token).is_err() {
                cached_keys = published_keys(&other).await;
            }
            verify(&app, &cached_keys, &token)
                .unwrap_or_else(|error| panic!("at {second} s: {error}"));
            signers.insert(decode_parts(&token).0["kid"].to_string());
        }
        assert_eq!(signers.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn keys_rotated_twice_in_a_row_sign_one_after_the_other() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        rotate_keys(&app).await;
        app.advance(Duration::from_secs(1)).await;
        let last = rotate_keys(&app).await;
        let mut signers = std::collections::BTreeSet::new();
        for n in 0..4 {
            let signed_in = app.signed_in(&format!("ann{n}")).await;
            let signer =
                decode_parts(signed_in.token.as_ref().expect("signed in")).0["kid"].to_string();
            assert_eq!(signer.contains(&last), n > 1, "at {} s", 1 + n);
            signers.insert(signer);
            app.advance(Duration::from_secs(1)).await;
        }
        assert_eq!(signers.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn tokens_of_an_expired_key_are_rejected_even_if_they_claim_to_be_valid() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        // Like an attacker with the key, this instance issues tokens that claim a longer lifetime.
        let attacker = app.second_instance(database, &[("ACCESS_TOKEN_SECONDS", "3600")]).await;
        let (ann, bob) = (attacker.signed_in("ann").await, attacker.signed_in("bob").await);
        let is_accepted = async |caller: &Caller| {
            let caller = app.with_token(caller.token.as_ref().expect("signed in"));
            caller.send(query!("me"), json!({})).await.body["data"]["authenticated"] == true
        };
        assert!(is_accepted(&ann).await);
        rotate_keys(&app).await;
        app.advance(PUBLISH_LEAD).await;
        app.advance(Duration::from_secs(601)).await;
        assert!(is_accepted(&ann).await, "the verified token is cached now");
        app.advance(Duration::from_secs(1)).await;
        assert!(!is_accepted(&bob).await && !is_accepted(&ann).await);
    })
    .await;
}
