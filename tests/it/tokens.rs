//! Access tokens, good and forged.

use std::time::Duration;

use axum::http::Method;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use switchboard::platform::clock::Clock;

use crate::support::{Caller, TestApp, bare, on_each_database, on_each_shared_database, query};

/// The header and the claims of a token.
fn decoded(token: &str) -> (Value, Value) {
    let part = |n: usize| {
        let part = token.split('.').nth(n).expect("three parts");
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64"))
            .expect("JSON")
    };
    (part(0), part(1))
}

fn encoded(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}.{signature}", part(header), part(claims))
}

async fn is_refused(app: &TestApp, token: &str) {
    let answer = app.bearing(token).send(query!("me"), json!({})).await;
    assert_eq!(answer.errors(), ["UNAUTHENTICATED"], "{token}");
    assert_eq!(
        answer.body["data"],
        json!({ "me": null, "authenticated": false }),
        "public fields answer"
    );
}

#[tokio::test]
async fn a_token_says_who_and_until_when() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (header, claims) = decoded(ann.token.as_ref().expect("signed in"));
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
        assert!(jwks["keys"][0].get("d").is_none(), "the private half stays here");
    })
    .await;
}

#[tokio::test]
async fn nobody_is_an_answer_and_no_error() {
    on_each_database(async |app| {
        let answer = app.anonymous().send(query!("me"), json!({})).await;
        assert_eq!(answer.data(""), &json!({ "me": null, "authenticated": false }));
        let profile = app.anonymous().send(query!("profile"), json!({ "id": "usr_x" })).await;
        assert_eq!(profile.errors(), ["UNAUTHENTICATED"], "who asks comes before what is asked");
    })
    .await;
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    on_each_database(async |app| {
        let signup = app.anonymous().sign_up(json!({ "nickname": "ann" })).await;
        let good = signup.text("/signup/accessToken");
        let (header, claims) = decoded(good);
        let signature = good.rsplit('.').next().expect("a signature");
        let none = json!({ "alg": "none", "typ": "JWT" });
        let mut admin = claims.clone();
        admin["sub"] = json!("usr_00000000000000000000000000");
        let mut hs256 = header.clone();
        hs256["alg"] = json!("HS256");
        let mut stranger = header.clone();
        stranger["kid"] = json!("unknown");
        for forged in [
            "",
            "x",
            "..",
            &format!("{good}x"),
            &good[..good.len() - 4],
            &encoded(&none, &claims, ""),
            &encoded(&none, &claims, signature),
            &encoded(&header, &admin, signature),
            &encoded(&hs256, &claims, signature),
            &encoded(&stranger, &claims, signature),
            &"x".repeat(10_000),
            signup.text("/signup/refreshToken"),
        ] {
            is_refused(&app, forged).await;
        }
        assert_eq!(
            app.anonymous().refresh(good).await.errors(),
            ["UNAUTHENTICATED"],
            "an access token buys nothing"
        );
    })
    .await;
}

#[tokio::test]
async fn a_token_is_over_at_its_time_and_not_before() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        app.advance(Duration::from_secs(599)).await;
        ann.send(query!("me"), json!({})).await.data("/me/id");
        app.advance(Duration::from_secs(1)).await;
        is_refused(&app, ann.token.as_ref().expect("signed in")).await;
    })
    .await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused_under_the_same_keys() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let elsewhere = app.beside(place, &[("PUBLIC_URL", "https://elsewhere.example")]).await;
        let ann = elsewhere.signed_in("ann").await;
        is_refused(&app, ann.token.as_ref().expect("signed in")).await;
    })
    .await;
}

#[tokio::test]
async fn another_authorization_scheme_is_refused() {
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

const KEYS: &str = "/.well-known/jwks.json";
/// From a rotation until the new key signs: until then every instance hears of it.
const LEAD: Duration = Duration::from_secs(2);

async fn rotate(app: &TestApp) -> String {
    switchboard::accounts::rotate_signing_keys(&app.app.platform).await.expect("rotated")
}

/// The published keys.
async fn published(app: &TestApp) -> JwkSet {
    serde_json::from_value(app.get(KEYS).await.1).expect("a JWK set")
}

/// Verifies a token as another service does, which knows the issuer and the keys alone, at this moment.
fn verify(app: &TestApp, keys: &JwkSet, token: &str) -> Result<Value, String> {
    let id = decode_header(token).expect("a header").kid.expect("the id of a key");
    let jwk = keys.find(&id).ok_or("this key is not published")?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&["http://127.0.0.1:8000"]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(jwk).expect("a key");
    let claims = decode::<Value>(token, &key, &validation).map_err(|e| e.to_string())?.claims;
    let is_over = app.clock.now().timestamp() >= claims["exp"].as_i64().expect("a number");
    if is_over { Err("it is over".into()) } else { Ok(claims) }
}

#[tokio::test]
async fn another_service_verifies_tokens_by_the_published_keys() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let token = ann.token.as_ref().expect("signed in");
        let keys = published(&app).await;
        let claims = verify(&app, &keys, token).expect("a good token");
        let me = ann.send(query!("me"), json!({})).await;
        assert_eq!(&claims["sub"], me.data("/me/id"));
        let names: Vec<_> = claims.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["amr", "exp", "gen", "iat", "iss", "jti", "sid", "sub"]);
        assert_eq!(claims["gen"], json!([0, 0]), "a login's");
        let (header, mut said) = decoded(token);
        said["sub"] = json!("usr_00000000000000000000000000");
        let signature = token.rsplit('.').next().expect("a signature");
        assert!(verify(&app, &keys, &encoded(&header, &said, signature)).is_err());

        ann.send(query!("logout"), json!({})).await.data("/logout");
        verify(&app, &keys, token).expect("that the session has ended is not in the token");
        app.advance(Duration::from_mins(10)).await;
        assert_eq!(verify(&app, &keys, token), Err("it is over".into()));
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_signs_on_every_instance_and_the_old_one_verifies_until_its_tokens_are_over()
{
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let ann = one.signed_in("ann").await;
        let new = rotate(&one).await;
        let signed_by = |caller: &Caller| decoded(caller.token.as_ref().expect("signed in")).0;
        let knows = async |app: &TestApp, caller: &Caller| {
            let there = app.bearing(caller.token.as_ref().expect("signed in"));
            there.send(query!("me"), json!({})).await.body["data"]["authenticated"] == true
        };
        one.advance(Duration::from_secs(1)).await;
        let bob = one.signed_in("bob").await;
        assert_ne!(signed_by(&bob)["kid"], json!(new), "not every instance has heard of it");
        one.advance(Duration::from_secs(1)).await;
        let cid = one.signed_in("cid").await;
        assert_eq!(signed_by(&cid)["kid"], json!(new));
        assert_eq!(published(&two).await.keys.len(), 1, "it has heard of nothing");
        for caller in [&ann, &bob, &cid] {
            assert!(
                knows(&two, caller).await,
                "it reads the keys again for one that it does not know"
            );
        }
        for app in [&one, &two] {
            assert_eq!(published(app).await.keys.len(), 2);
        }

        one.advance(Duration::from_secs(597)).await;
        assert!(knows(&one, &ann).await && knows(&two, &ann).await, "in its last second");
        one.advance(Duration::from_secs(4)).await;
        assert!(!knows(&one, &bob).await && !knows(&two, &bob).await, "its time is over");
        assert_eq!(published(&one).await.keys.len(), 2);
        one.advance(Duration::from_secs(1)).await;
        for app in [&one, &two] {
            assert_eq!(published(app).await.keys.len(), 1);
            assert!(published(app).await.find(&new).is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_reads_the_keys_again_for_an_unknown_one_can_verify_every_token() {
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let (_, headers, _) = one.request(bare(Method::GET, KEYS)).await;
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(headers["content-type"], "application/jwk-set+json");
        rotate(&one).await;
        let mut kept = published(&two).await;
        let mut signers = std::collections::BTreeSet::new();
        for second in 0..5 {
            one.clock.advance(Duration::from_secs(1));
            one.app.run_due_jobs().await.expect("no job fails");
            two.app.run_due_jobs().await.expect("no job fails");
            let token = one.signed_in(&format!("ann{second}")).await.token.expect("signed in");
            if verify(&one, &kept, &token).is_err() {
                kept = published(&two).await;
            }
            verify(&one, &kept, &token).unwrap_or_else(|why| panic!("at {second} s: {why}"));
            signers.insert(decoded(&token).0["kid"].to_string());
        }
        assert_eq!(signers.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_rotated_twice_in_a_row_sign_one_after_the_other() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        rotate(&app).await;
        app.advance(Duration::from_secs(1)).await;
        let last = rotate(&app).await;
        let mut signers = std::collections::BTreeSet::new();
        for n in 0..4 {
            let signed_in = app.signed_in(&format!("ann{n}")).await;
            let by = decoded(signed_in.token.as_ref().expect("signed in")).0["kid"].to_string();
            assert_eq!(by.contains(&last), n > 1, "at {} s", 1 + n);
            signers.insert(by);
            app.advance(Duration::from_secs(1)).await;
        }
        assert_eq!(signers.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn what_a_retired_key_signed_is_refused_after_its_time_whatever_it_says() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        // As somebody would who had the key: its tokens last for longer than ours.
        let longer = app.beside(place, &[("ACCESS_TOKEN_SECONDS", "3600")]).await;
        let (ann, bob) = (longer.signed_in("ann").await, longer.signed_in("bob").await);
        let knows = async |caller: &Caller| {
            let here = app.bearing(caller.token.as_ref().expect("signed in"));
            here.send(query!("me"), json!({})).await.body["data"]["authenticated"] == true
        };
        assert!(knows(&ann).await);
        rotate(&app).await;
        app.advance(LEAD).await;
        app.advance(Duration::from_secs(601)).await;
        assert!(knows(&ann).await, "and it is remembered now");
        app.advance(Duration::from_secs(1)).await;
        assert!(!knows(&bob).await && !knows(&ann).await);
    })
    .await;
}
