//! Access tokens, good and forged.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::support::{TestApp, on_each_database, on_each_shared_database, query};

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

#[tokio::test]
async fn a_rotated_key_signs_on_every_instance_and_the_old_one_verifies_until_its_tokens_are_over()
{
    on_each_shared_database(async |place| {
        let one = TestApp::new(place).await;
        let two = one.beside(place, &[]).await;
        let ann = one.signed_in("ann").await;
        let new =
            switchboard::accounts::rotate_signing_keys(&one.app.platform).await.expect("rotated");
        let bob = one.signed_in("bob").await;
        assert_ne!(
            decoded(bob.token.as_ref().expect("signed in")).0["kid"],
            json!(new),
            "not heard of yet"
        );
        one.advance(Duration::from_secs(2)).await;
        let cid = one.signed_in("cid").await;
        assert_eq!(decoded(cid.token.as_ref().expect("signed in")).0["kid"], json!(new));
        for caller in [&ann, &bob, &cid] {
            two.bearing(caller.token.as_ref().expect("signed in"))
                .send(query!("me"), json!({}))
                .await
                .data("/me/id");
        }
        let keys = |jwks: &Value| jwks["keys"].as_array().expect("a list").len();
        assert_eq!(keys(&one.get("/.well-known/jwks.json").await.1), 2);
        one.advance(Duration::from_secs(602)).await;
        assert_eq!(keys(&one.get("/.well-known/jwks.json").await.1), 1);
    })
    .await;
}
