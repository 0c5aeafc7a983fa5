//! Access tokens of API connections: when they are renewed, by whom, and what becomes of a connection if that fails.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::support::connections::{FakeProvider, Keys};
use crate::support::fake_tokens::{FakeTokens, access_tokens_used};
use crate::support::on_each_shared_database;
use crate::support::upstream::Reply;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// A newer token is not renewed because the provider refuses it.
const MIN_TOKEN_AGE: Duration = Duration::from_secs(10);
const START: &str = "2026-01-02T03:04:05Z";

fn get() -> Value {
    json!({ "path": "/things" })
}

#[tokio::test]
async fn rounds_renew_the_tokens_that_are_due() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        app.advance(Duration::ZERO).await;
        // Before the next round, and five minutes more.
        let soon = caller
            .connect_oauth(json!({ "refreshToken": "soon", "expiresAt": "2026-01-02T03:39:04Z" }))
            .await;
        let later = caller
            .connect_oauth(json!({ "refreshToken": "later", "expiresAt": "2026-01-02T03:39:05Z" }))
            .await;
        let unknown = caller.connect_oauth(json!({ "refreshToken": "unknown" })).await;
        caller.connect("static").await;
        app.advance(Duration::from_secs(15 * 60 - 1)).await;
        assert!(tokens.refresh_tokens().is_empty(), "every 15 minutes");
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(tokens.refresh_tokens(), ["soon"]);
        app.advance(MINUTE * 15).await;
        assert_eq!(tokens.refresh_tokens(), ["soon", "later"]);
        for _ in 0..2 {
            app.advance(MINUTE * 15).await;
        }
        assert_eq!(tokens.refresh_tokens().len(), 3, "{:?}", tokens.refresh_tokens());
        assert_eq!(
            tokens.refresh_tokens()[2],
            "refresh-1",
            "of the first, which expires in 15 minutes"
        );
        app.advance(MINUTE * 15).await;
        let renewed = tokens.refresh_tokens()[3..].to_vec();
        assert!(
            renewed.contains(&"unknown".to_owned()),
            "older than the assumed lifetime: {renewed:?}"
        );
        for keys in [soon, later, unknown] {
            let read = caller.connection(&keys).await;
            assert_eq!(read.data("/connection/status"), "ACTIVE");
            assert_ne!(read.data("/connection/lastRefreshedAt"), &Value::Null);
        }
    })
    .await;
}

#[tokio::test]
async fn a_hundred_callers_with_an_expired_token_renew_it_once() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({ "expiresAt": START })).await;
        let answers = join_all((0..100).map(|_| caller.call(&keys, get()))).await;
        for answer in answers {
            assert_eq!(answer.data("/callConnection/status"), 200);
            assert_eq!(answer.data("/callConnection/attempts"), 1);
        }
        assert_eq!(tokens.refresh_tokens(), ["refresh-0"]);
        let read = caller.connection(&keys).await;
        assert_eq!(read.data("/connection/lastRefreshedAt"), START);
        assert_eq!(read.data("/connection/expiresAt"), "2026-01-02T04:04:05Z");
        app.clock.advance(HOUR);
        caller.call(&keys, get()).await.data("/callConnection");
        assert_eq!(tokens.refresh_tokens(), ["refresh-0", "refresh-1"], "the rotated one");
        let metrics = app.get_text("/metrics").await;
        let line = "switchboard_connection_token_refreshes_total{provider=\"oauth\",outcome=\"renewed\"} 2";
        assert!(metrics.contains(line), "{metrics}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_renew_a_token_once() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let other = app.second_instance(database, &provider.settings(&[])).await;
        let keys = app.anonymous().connect_oauth(json!({ "expiresAt": START })).await;
        let callers = [app.anonymous(), other.anonymous()];
        let calls = (0..40).map(|number| {
            let (caller, keys) = (callers[number % 2].clone(), keys.clone());
            tokio::spawn(async move { caller.call(&keys, get()).await })
        });
        let mut calls: FuturesUnordered<_> = calls.collect();
        // The callers of one instance go on by themselves. Without Redis, those of the other look again after a while.
        let first = calls.next().await;
        let others = app.while_time_creeps(calls.collect::<Vec<_>>()).await;
        for answer in first.into_iter().chain(others) {
            assert_eq!(answer.expect("no panic").data("/callConnection/status"), 200);
        }
        assert_eq!(tokens.refresh_tokens(), ["refresh-0"]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_call_repeated() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        let call = json!({ "path": "/things", "method": "POST", "payload": { "a": 1 } });
        let answer = caller.call(&keys, call).await;
        assert_eq!(answer.data("/callConnection/status"), 200);
        assert_eq!(answer.data("/callConnection/attempts"), 2);
        let requests = provider.upstream.requests();
        let posts: Vec<_> =
            requests.iter().filter(|request| request.starts_with("POST /v1/things")).collect();
        assert_eq!(posts.len(), 2);
        assert!(posts.iter().all(|request| request.ends_with("{\"a\":1}")));
        assert_eq!(access_tokens_used(&provider.upstream), ["access-0", "access-1"]);

        // The provider refuses the new one too: its answer is the result. It has another reason than the token's age.
        tokens.refuse_all(true);
        let answer = caller.call(&keys, get()).await;
        assert_eq!(answer.data("/callConnection/status"), 401);
        assert_eq!(answer.data("/callConnection/attempts"), 1, "the token was just renewed");
        app.clock.advance(MIN_TOKEN_AGE);
        let answer = caller.call(&keys, get()).await;
        assert_eq!(answer.data("/callConnection/status"), 401);
        assert_eq!(answer.data("/callConnection/attempts"), 2);
        assert_eq!(tokens.refresh_tokens(), ["refresh-0", "refresh-1"]);
        assert_eq!(caller.connection(&keys).await.data("/connection/status"), "ACTIVE");
        tokens.refuse_all(false);

        // Calls whose token was refused use the one that another of them has renewed.
        tokens.forget_access_tokens();
        app.clock.advance(MIN_TOKEN_AGE);
        let answers = join_all((0..20).map(|_| caller.call(&keys, get()))).await;
        for answer in answers {
            assert_eq!(answer.data("/callConnection/status"), 200);
        }
        assert_eq!(tokens.refresh_tokens(), ["refresh-0", "refresh-1", "refresh-2"]);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_was_refused_late_uses_the_token_of_another() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        let release = tokens.hold_refusals();
        let late = tokio::spawn({
            let (caller, keys) = (caller.clone(), keys.clone());
            async move { caller.call(&keys, get()).await }
        });
        provider.upstream.wait_for_requests(1).await;
        caller.refresh_connection(&keys).await.data("/refreshConnection");
        release.notify_one();
        let answer = late.await.expect("no panic");
        assert_eq!(answer.data("/callConnection/status"), 200);
        assert_eq!(answer.data("/callConnection/attempts"), 2);
        assert_eq!(tokens.refresh_tokens(), ["refresh-0"], "no second renewal");
    })
    .await;
}

#[tokio::test]
async fn new_credentials_are_not_used_by_the_holder_of_the_old_secret() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let old = caller.connect_oauth(json!({})).await;
        let release = tokens.hold_refusals();
        let late = tokio::spawn({
            let (caller, keys) = (caller.clone(), old.clone());
            async move { caller.call(&keys, get()).await }
        });
        provider.upstream.wait_for_requests(1).await;
        let query = "mutation ($reference: ID!, $secret: String) {
            rotateConnectionSecret(reference: $reference, secret: $secret) { reference secret } }";
        let variables = json!({ "reference": old.reference, "secret": old.secret });
        let rotated = caller.send(query, variables).await;
        let new = Keys::of(rotated.data("/rotateConnectionSecret"));
        tokens.accept("access-new");
        let query = "mutation ($reference: ID!, $secret: String) {
            updateConnection(reference: $reference, secret: $secret, credentials: { accessToken: \"access-new\" }) {
                status } }";
        let variables = json!({ "reference": new.reference, "secret": new.secret });
        caller.send(query, variables).await.data("/updateConnection");
        release.notify_one();
        let answer = late.await.expect("no panic");
        assert_eq!(answer.data("/callConnection/status"), 401);
        assert_eq!(access_tokens_used(&provider.upstream), ["access-0"]);
        assert_eq!(caller.call(&new, get()).await.data("/callConnection/status"), 200);
    })
    .await;
}

#[tokio::test]
async fn a_failing_token_endpoint_is_told_from_one_that_refuses() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let create = async || {
            let credentials = json!({ "clientId": "client", "clientSecret": "client-secret" });
            let scheme = "OAUTH2_CLIENT_CREDENTIALS";
            let input = json!({ "provider": "oauth", "scheme": scheme, "verify": true, "credentials": credentials });
            app.anonymous().create_connection(input).await
        };
        tokens.fail(Some(|| Reply::Json(503, json!({ "error": "temporarily_unavailable" }))));
        create().await.assert_error("UPSTREAM_UNAVAILABLE", "");
        tokens.fail(Some(|| Reply::Json(401, json!({ "error": "invalid_client" }))));
        create().await.assert_error("CONNECTION_REFUSED_BY_PROVIDER", "credentials");
        tokens.fail(None);
        let created = create().await;
        let connection = created.data("/createConnection/connection");
        assert_eq!(connection["lastRefreshedAt"], START);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_kept_when_the_provider_sends_none() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        tokens.rotate(false);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        for _ in 0..3 {
            caller.refresh_connection(&keys).await.data("/refreshConnection");
        }
        assert_eq!(tokens.refresh_tokens(), ["refresh-0"; 3]);
    })
    .await;
}

#[tokio::test]
async fn client_credentials_get_their_first_token_when_they_are_used() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let mut input = json!({
            "provider": "oauth", "scheme": "OAUTH2_CLIENT_CREDENTIALS",
            "credentials": { "clientId": "client", "clientSecret": "client-secret" },
        });
        let keys =
            Keys::of(caller.create_connection(input.clone()).await.data("/createConnection"));
        for _ in 0..8 {
            app.advance(MINUTE * 15).await;
        }
        assert_eq!(tokens.count(), 0, "not before");
        assert_eq!(caller.call(&keys, get()).await.data("/callConnection/attempts"), 1);
        caller.call(&keys, get()).await.data("/callConnection");
        assert_eq!(tokens.count(), 1);
        app.clock.advance(HOUR);
        caller.call(&keys, get()).await.data("/callConnection");
        assert_eq!(tokens.count(), 2);
        // With `verify`, the provider is asked for it before anything is stored.
        input["verify"] = json!(true);
        caller.create_connection(input).await.data("/createConnection");
        assert_eq!(tokens.count(), 3);
    })
    .await;
}

#[tokio::test]
async fn without_a_client_a_connection_works_until_its_token_expires() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        tokens.accept("access-0");
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let credentials = |expires_at: Value| {
            json!({ "provider": "oauth", "credentials": {
                "accessToken": "access-0", "refreshToken": "refresh-0", "expiresAt": expires_at } })
        };
        let create = async |expires_at: Value| {
            Keys::of(
                caller.create_connection(credentials(expires_at)).await.data("/createConnection"),
            )
        };
        let (known, unknown) =
            (create(json!("2026-01-02T03:05:05Z")).await, create(Value::Null).await);
        app.advance(Duration::from_secs(59)).await;
        for keys in [&known, &unknown] {
            assert_eq!(caller.call(keys, get()).await.data("/callConnection/status"), 200);
            caller.refresh_connection(keys).await.assert_error("CONFLICT", "");
            assert_eq!(caller.connection(keys).await.data("/connection/status"), "ACTIVE");
        }
        app.clock.advance(Duration::from_secs(1));
        caller.call(&known, get()).await.assert_error("NEEDS_REAUTH", "");
        tokens.forget_access_tokens();
        caller.call(&unknown, get()).await.assert_error("NEEDS_REAUTH", "");
        for keys in [&known, &unknown] {
            let read = caller.connection(keys).await;
            assert_eq!(read.data("/connection/status"), "NEEDS_REAUTH");
            let error = read.text("/connection/lastError");
            assert!(error.contains("PROVIDER_OAUTH_CLIENT_ID"), "{error}");
        }
        assert_eq!(tokens.count(), 0);

        // The operator's client works for all, from the next start on.
        let client = [
            ("PROVIDER_OAUTH_CLIENT_ID", "operator"),
            ("PROVIDER_OAUTH_CLIENT_SECRET", "operators-secret"),
        ];
        let restarted = app.second_instance(database, &provider.settings(&client)).await;
        let caller = restarted.anonymous();
        assert_eq!(
            caller.refresh_connection(&known).await.data("/refreshConnection/status"),
            "ACTIVE"
        );
        assert_eq!(caller.call(&known, get()).await.data("/callConnection/status"), 200);
        let request = provider
            .upstream
            .requests()
            .into_iter()
            .rfind(|request| request.starts_with("POST /token"));
        let request = request.expect("a token request");
        assert!(request.contains("client_id=operator&client_secret=operators-secret"), "{request}");
    })
    .await;
}

#[tokio::test]
async fn tokens_that_do_not_expire_are_not_renewed() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token").await;
        caller.refresh_connection(&keys).await.assert_error("CONFLICT", "");
        assert_eq!(caller.call(&keys, get()).await.data("/callConnection/status"), 401);
        assert_eq!(caller.connection(&keys).await.data("/connection/status"), "ACTIVE");
        assert_eq!(tokens.count(), 0);
        let wrong = Keys { secret: "cxs_wrong".into(), ..keys };
        caller.refresh_connection(&wrong).await.assert_error("NOT_FOUND", "");
    })
    .await;
}
