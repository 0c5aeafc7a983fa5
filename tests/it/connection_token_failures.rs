//! Access tokens of API connections that cannot be renewed, or are renewed while something else happens.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::connections;

use crate::support::connections::{FakeProvider, Keys};
use crate::support::fake_tokens::FakeTokens;
use crate::support::socket::{MODERN, Socket};
use crate::support::upstream::Reply;
use crate::support::{Caller, TestApp, TestDatabase, on_each_shared_database};

const START: &str = "2026-01-02T03:04:05Z";
const LEASE_DURATION: Duration = Duration::from_secs(15);
const MAX_BACKOFF: Duration = Duration::from_mins(15);
const WATCH: &str = "subscription ($reference: ID!, $secret: String) {
    connectionStatusChanged(reference: $reference, secret: $secret) { status lastErrorCode } }";

fn get() -> Value {
    json!({ "path": "/things" })
}

fn state(status: &str, code: Option<&str>) -> Value {
    json!({ "connectionStatusChanged": { "status": status, "lastErrorCode": code } })
}

async fn watch(app: &TestApp, keys: &Keys) -> Socket {
    let server = app.serve().await;
    let mut socket = server.initialized_socket(MODERN, None).await;
    let variables = json!({ "reference": keys.reference, "secret": keys.secret });
    socket.subscribe("1", WATCH, variables).await;
    socket
}

impl Caller {
    async fn send_keys(&self, field: &str, selection: &str, keys: &Keys) {
        let query = format!(
            "mutation ($reference: ID!, $secret: String) {{
                 {field}(reference: $reference, secret: $secret) {selection} }}"
        );
        let variables = json!({ "reference": keys.reference, "secret": keys.secret });
        self.send(&query, variables).await.data(&format!("/{field}"));
    }
}

#[tokio::test]
async fn a_revoked_refresh_token_needs_new_credentials() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        let mut socket = watch(&app, &keys).await;
        assert_eq!(socket.data("1").await, state("ACTIVE", None));
        tokens.revoke(Some("invalid_grant"));
        caller.call(&keys, get()).await.assert_error("NEEDS_REAUTH", "");
        assert_eq!(socket.data("1").await, state("NEEDS_REAUTH", Some("NEEDS_REAUTH")));
        let read = caller.connection(&keys).await;
        assert_eq!(
            read.data("/connection/lastError"),
            "The provider refused the refresh token (invalid_grant). Give new credentials."
        );

        // Nothing is sent any more, except when its holder asks for it.
        let sent = provider.upstream.requests().len();
        caller.call(&keys, get()).await.assert_error("NEEDS_REAUTH", "");
        app.advance(Duration::from_hours(24)).await;
        assert_eq!(provider.upstream.requests().len(), sent);
        caller.refresh_connection(&keys).await.assert_error("NEEDS_REAUTH", "");
        assert_eq!(provider.upstream.requests().len(), sent + 1);

        tokens.revoke(None);
        tokens.accept("access-new");
        let query = "mutation ($reference: ID!, $secret: String, $credentials: JSON) {
            updateConnection(reference: $reference, secret: $secret, credentials: $credentials) { status } }";
        let variables = json!({
            "reference": keys.reference, "secret": keys.secret, "credentials": { "accessToken": "access-new" },
        });
        let updated = caller.send(query, variables).await;
        assert_eq!(updated.data("/updateConnection/status"), "ACTIVE");
        assert_eq!(caller.call(&keys, get()).await.data("/callConnection/status"), 200);
    })
    .await;
}

#[tokio::test]
async fn a_failing_token_endpoint_is_tried_again_with_back_off() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        tokens.accept("access-0");
        tokens.fail(Some(|| Reply::Reset));
        let app = provider.app(database).await;
        app.advance(Duration::ZERO).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({ "expiresAt": "2026-01-02T03:21:00Z" })).await;
        app.advance(MAX_BACKOFF).await;
        let status = async || caller.connection(&keys).await.data("/connection/status").clone();
        assert_eq!(status().await, "DEGRADED");
        assert_eq!(tokens.refresh_tokens().len(), 1);
        let answer = caller.call(&keys, get()).await;
        assert_eq!(answer.data("/callConnection/status"), 200, "the old token is still valid");

        for (failures, limit) in [(1, 10), (2, 20), (3, 40), (4, 80)] {
            assert_eq!(tokens.refresh_tokens().len(), failures, "each waits longer");
            app.clock.advance(Duration::from_secs(limit));
            app.app.run_due_jobs().await.expect("no job fails");
        }
        assert_eq!(tokens.refresh_tokens().len(), 5);
        tokens.fail(Some(|| Reply::Json(503, json!({ "error": "temporarily_unavailable" }))));
        // It has expired by now, and the next attempt is not due.
        let answer = caller.call(&keys, get()).await;
        answer.assert_error("UPSTREAM_UNAVAILABLE", "");
        assert_eq!(tokens.refresh_tokens().len(), 5, "calls keep to the back-off");
        caller.refresh_connection(&keys).await.assert_error("UPSTREAM_UNAVAILABLE", "");
        assert_eq!(tokens.refresh_tokens().len(), 6, "its holder need not");
        let error = caller.connection(&keys).await.text("/connection/lastError").to_owned();
        assert!(error.contains("temporarily_unavailable"), "{error}");

        tokens.fail(None);
        app.advance(MAX_BACKOFF).await;
        assert_eq!(status().await, "ACTIVE");
        assert_eq!(caller.connection(&keys).await.data("/connection/lastError"), &Value::Null);
        assert_eq!(caller.call(&keys, get()).await.data("/callConnection/status"), 200);
    })
    .await;
}

/// An instance that dies after the provider has answered with new tokens, and before it has stored them.
fn die_during_renewal(
    app: &TestApp,
    database: &TestDatabase,
    seed: u64,
    (provider, tokens): (&FakeProvider, &FakeTokens),
    keys: &Keys,
) {
    tokens.hold_tokens();
    let requests = provider.upstream.requests().len() + 1;
    let die = async {
        let victim = app.instance(database, &provider.settings(&[]), seed).await;
        let caller = victim.anonymous();
        tokio::select! {
            _ = caller.refresh_connection(keys) => panic!("the answer is held"),
            () = provider.upstream.wait_for_requests(requests) => {}
        }
    };
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(die);
                runtime.shutdown_background();
            });
        });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_answer_and_commit_is_recovered_or_told() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        for (seed, has_grace) in [(2, true), (3, false)] {
            let keys = caller.connect_oauth(json!({ "refreshToken": "old" })).await;
            die_during_renewal(&app, database, seed, (&provider, &tokens), &keys);
            if !has_grace {
                tokens.revoke(Some("invalid_grant"));
            }
            app.clock.advance(LEASE_DURATION);
            let answer = caller.call(&keys, get()).await;
            let read = caller.connection(&keys).await;
            match has_grace {
                true => {
                    assert_eq!(answer.data("/callConnection/status"), 200);
                    assert_eq!(read.data("/connection/status"), "ACTIVE");
                }
                false => {
                    answer.assert_error("NEEDS_REAUTH", "");
                    let error = read.text("/connection/lastError");
                    assert!(error.contains("interrupted"), "{error}");
                }
            }
        }
        assert_eq!(tokens.refresh_tokens(), ["old"; 4], "each twice");
        assert_eq!(tokens.count(), 3, "the provider had rotated it each time");
    })
    .await;
}

#[tokio::test]
async fn tokens_are_stored_when_the_caller_goes_away() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        let mut socket = watch(&app, &keys).await;
        socket.data("1").await;
        let release = tokens.hold_tokens();
        tokio::select! {
            _ = caller.refresh_connection(&keys) => panic!("the answer is held"),
            () = provider.upstream.wait_for_requests(1) => {}
        }
        release.notify_one();
        assert_eq!(socket.data("1").await, state("ACTIVE", None));
        let read = caller.connection(&keys).await;
        assert_eq!(read.data("/connection/lastRefreshedAt"), START);
    })
    .await;
}

#[tokio::test]
async fn a_connection_may_be_deleted_or_changed_during_a_renewal() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        let release = tokens.hold_tokens();
        let deletion = async {
            provider.upstream.wait_for_requests(1).await;
            caller.send_keys("deleteConnection", "", &keys).await;
            release.notify_one();
        };
        let (refreshed, ()) = tokio::join!(caller.refresh_connection(&keys), deletion);
        refreshed.assert_error("NOT_FOUND", "");
        assert_eq!(app.count("SELECT COUNT(*) FROM connections").await, 0);
        let leases = "SELECT COUNT(*) FROM leases WHERE kind = 'connection_refresh'";
        assert_eq!(app.count(leases).await, 0);

        // New credentials of its owner are not replaced by what the old ones gave.
        let keys = caller.connect_oauth(json!({})).await;
        let release = tokens.hold_tokens();
        let change = async {
            provider.upstream.wait_for_requests(2).await;
            let query = "mutation ($reference: ID!, $secret: String, $credentials: JSON) {
                updateConnection(reference: $reference, secret: $secret, credentials: $credentials) { status } }";
            let credentials = json!({ "accessToken": "access-new" });
            let variables =
                json!({ "reference": keys.reference, "secret": keys.secret, "credentials": credentials });
            caller.send(query, variables).await.data("/updateConnection");
            release.notify_one();
        };
        let (refreshed, ()) = tokio::join!(caller.refresh_connection(&keys), change);
        assert_eq!(refreshed.data("/refreshConnection/lastRefreshedAt"), &Value::Null);
        tokens.accept("access-new");
        assert_eq!(caller.call(&keys, get()).await.data("/callConnection/attempts"), 1);
    })
    .await;
}

#[tokio::test]
async fn keys_may_be_rotated_during_a_renewal() {
    const NEW_RING: &str = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,\
        test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const OLD_RING: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,\
        new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let old = TestApp::with(database, &provider.settings(&[("SECRET_KEYS", OLD_RING)])).await;
        let new =
            old.second_instance(database, &provider.settings(&[("SECRET_KEYS", NEW_RING)])).await;
        let caller = old.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        let release = tokens.hold_tokens();
        let rotation = async {
            provider.upstream.wait_for_requests(1).await;
            assert_eq!(connections::reseal(&new.app.platform).await.expect("resealed"), 1);
            release.notify_one();
        };
        let (refreshed, ()) = tokio::join!(caller.refresh_connection(&keys), rotation);
        assert_eq!(refreshed.data("/refreshConnection/lastRefreshedAt"), START);
        for app in [&old, &new] {
            let answer = app.anonymous().call(&keys, get()).await;
            assert_eq!(answer.data("/callConnection/attempts"), 1, "with the new token");
        }
        assert_eq!(connections::reseal(&new.app.platform).await.expect("resealed"), 1);
        new.anonymous().refresh_connection(&keys).await.data("/refreshConnection");
        assert_eq!(tokens.refresh_tokens(), ["refresh-0", "refresh-1"]);
    })
    .await;
}

#[tokio::test]
async fn a_subscription_ends_with_its_secret() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect_oauth(json!({})).await;
        let wrong = Keys { secret: "cxs_wrong".into(), ..keys.clone() };
        assert_eq!(watch(&app, &wrong).await.error("1").await, "NOT_FOUND");
        for mutation in ["rotateConnectionSecret", "deleteConnection"] {
            let keys = caller.connect_oauth(json!({})).await;
            let mut socket = watch(&app, &keys).await;
            socket.data("1").await;
            let selection = if mutation == "deleteConnection" { "" } else { "{ secret }" };
            caller.send_keys(mutation, selection, &keys).await;
            assert_eq!(socket.error("1").await, "NOT_FOUND");
        }
    })
    .await;
}

#[tokio::test]
async fn administrators_see_the_health_of_providers_in_numbers() {
    on_each_shared_database(async |database| {
        const HEALTH: &str =
            "{ connectionHealth { id provider { name } active degraded needsReauth lastErrorCode } }";
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let caller = app.anonymous();
        for _ in 0..2 {
            caller.connect_oauth(json!({})).await;
        }
        caller.connect("token").await;
        let (revoked, failing) =
            (caller.connect_oauth(json!({})).await, caller.connect_oauth(json!({})).await);
        tokens.revoke(Some("invalid_grant"));
        caller.refresh_connection(&revoked).await.assert_error("NEEDS_REAUTH", "");
        app.clock.advance(Duration::from_secs(1));
        tokens.fail(Some(|| Reply::Reset));
        caller.refresh_connection(&failing).await.assert_error("UPSTREAM_UNAVAILABLE", "");
        app.sql("UPDATE connections SET provider = 'gone' WHERE provider = 'fake'").await.expect("changed");
        let health = app.admin().await.send(HEALTH, json!({})).await;
        assert_eq!(
            health.data("/connectionHealth"),
            &json!([
                {
                    "id": "gone", "provider": null, "active": 1, "degraded": 0, "needsReauth": 0,
                    "lastErrorCode": null,
                },
                {
                    "id": "oauth", "provider": { "name": "OAuth" }, "active": 2, "degraded": 1, "needsReauth": 1,
                    "lastErrorCode": "UPSTREAM_UNAVAILABLE",
                },
            ])
        );
        caller.send(HEALTH, json!({})).await.assert_error("UNAUTHENTICATED", "");
        app.signed_in("ann").await.send(HEALTH, json!({})).await.assert_error("FORBIDDEN", "");
    })
    .await;
}
