//! The dashboard: who may see it, its ranges, its figures, and what watchers receive.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use switchboard::dashboard::rebuild;
use switchboard::messages::Kind;
use switchboard::people::fold_activity;
use switchboard::platform::statistics;

use crate::support::binary::switchboard;
use crate::support::bonuses::import_all;
use crate::support::connections::FakeProvider;
use crate::support::socket::{MODERN, Socket};
use crate::support::{
    Caller, KEY_RING, PASSWORD, TestApp, TestDatabase, on_each_database, on_each_shared_database,
    query, start_time,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const CHANGED: &str = "subscription ($input: DashboardInput!) {
  dashboardChanged(input: $input) { id totals { newUsers rounds } } }";

impl Caller {
    async fn dashboard(&self, input: Value) -> Value {
        let response = self.send(query!("dashboard"), json!({ "input": input })).await;
        response.data("/dashboard").clone()
    }
}

/// The parts of a dashboard by a fragment and aliases.
const FRAGMENTS: &str = "query ($input: DashboardInput!) { dashboard(input: $input) { ...Parts } }
  fragment Parts on Dashboard { whole: totals { people: activeUsers } played: games { people: players } }";

/// Folds everything on this instance.
async fn fold(app: &TestApp) {
    app.clock.advance(Duration::from_mins(1));
    statistics::fold(&app.app.platform).await.expect("folded");
    fold_activity(&app.app.platform).await.expect("folded");
    let waiting =
        "SELECT (SELECT COUNT(*) FROM statistic_deltas WHERE measure <> 'folded_activity')
        + (SELECT COUNT(*) FROM user_activity WHERE NOT is_folded)";
    assert_eq!(app.count(waiting).await, 0);
}

/// The figures without what names the moment.
fn without_time(mut dashboard: Value) -> Value {
    dashboard["asOf"].take();
    dashboard
}

#[tokio::test]
async fn only_administrators_see_the_dashboard() {
    on_each_database(async |app| {
        let player = app.signed_in("ann").await;
        let input = json!({ "input": { "from": "1970-01-01T00:00:00Z" } });
        for (caller, code) in [(app.anonymous(), "UNAUTHENTICATED"), (player, "FORBIDDEN")] {
            assert_eq!(caller.send(query!("dashboard"), input.clone()).await.errors(), [code]);
        }
        let mut socket = app.serve().await.initialized_socket(MODERN, None).await;
        socket.subscribe("1", CHANGED, input).await;
        assert_eq!(socket.error("1").await, "UNAUTHENTICATED");
    })
    .await;
}

#[tokio::test]
async fn bad_ranges_are_refused_at_their_field() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        for (input, error) in [
            (json!({ "from": "1999-12-31T00:00:00Z" }), "BAD_USER_INPUT from"),
            (json!({ "from": "2026-01-03T00:00:00Z" }), "BAD_USER_INPUT from"),
            (
                json!({ "from": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z" }),
                "BAD_USER_INPUT until",
            ),
            (
                json!({ "from": "2016-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z" }),
                "BAD_USER_INPUT until",
            ),
            (
                json!({ "from": "2024-01-01T00:00:00Z", "bucket": "HOUR" }),
                "BAD_USER_INPUT bucket",
            ),
            (json!({ "from": "2026-01-02T00:00:00Z", "bucket": "MINUTE" }), "BAD_USER_INPUT bucket"),
            (json!({ "from": "yesterday" }), "BAD_USER_INPUT from"),
        ] {
            let response = admin.send(query!("dashboard"), json!({ "input": input })).await;
            assert_eq!(response.errors(), [error], "{input}");
        }
        for first in ["topPlayers(first: 0)", "topPlayers(first: 101)", "campaigns(first: 101)"] {
            let query = format!(
                "{{ dashboard(input: {{ from: \"2026-01-01T00:00:00Z\" }}) {{ asOf {first} {{ id }} }} }}"
            );
            let response = admin.send(&query, json!({})).await;
            assert_eq!(response.errors(), ["BAD_USER_INPUT first"]);
            assert!(response.body["data"]["dashboard"]["asOf"].is_string());
        }
    })
    .await;
}

#[tokio::test]
async fn figures_are_exact_before_and_after_they_are_folded() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        app.admin().await;
        app.signed_in("ann").await.win_rounds(2).await;
        app.clock.advance(DAY);
        let (admin, ann) = (app.admin().await, app.logged_in("ann").await);
        let bob = app.with_verified_phone("bob", "+31612345678").await;
        ann.win_rounds(1).await;
        bob.win_rounds(1).await;
        import_all(&app, &admin, "Spring", "0612345678\n0612345679\n").await;
        let keys = app.anonymous().connect("token").await;
        app.anonymous().call(&keys, json!({ "path": "/", "method": "GET" })).await;
        app.clock.advance(SECOND);
        app.run_due_jobs().await;

        let input = json!({ "from": start_time(), "bucket": "DAY" });
        let live = admin.dashboard(input.clone()).await;
        fold(&app).await;
        let folded = admin.dashboard(input).await;
        assert_eq!(without_time(live.clone()), without_time(folded));
        assert_eq!(live["from"], "2026-01-02T00:00:00Z");
        assert_eq!(live["until"], "2026-01-04T00:00:00Z");
        assert_eq!(live["totals"]["users"], 3);
        assert_eq!(live["totals"]["newUsers"], 3);
        assert_eq!(live["totals"]["activeUsers"], 3);
        assert_eq!(live["totals"]["connectionCalls"], 1);
        let days = live["series"].as_array().expect("a list");
        let column = |name: &str| days.iter().map(|day| day[name].clone()).collect::<Vec<_>>();
        assert_eq!(column("newUsers"), [2, 1]);
        assert_eq!(column("activeUsers"), [2, 3]);
        assert_eq!(column("coinsCredited"), [2, 2 + 5]);
        assert_eq!(column("connectionCalls"), [0, 1]);
        let played = app.count("SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'").await;
        let points = "SELECT CAST(SUM(points) AS bigint) FROM rounds WHERE status = 'PLAYED'";
        assert_eq!(live["totals"]["rounds"], played);
        assert_eq!(live["totals"]["points"], app.count(points).await);
        assert_eq!(live["games"][0]["rounds"], played);
        assert_eq!(live["games"][0]["players"], 2);
        assert_eq!(live["games"][1]["winRate"], 0.0);
        assert_eq!(live["topPlayers"][0]["rank"], 1);
        let coins = |reason, credited| {
            let id = format!("{}:coins:{reason}", live["id"].as_str().expect("an id"));
            json!({ "id": id, "reason": reason, "credited": credited, "debited": 0 })
        };
        let expected = [coins("BONUS", 5), coins("GAME_REWARD", 4), coins("ADJUSTMENT", 0)];
        assert_eq!(live["coins"], json!(expected));
        // The code and the bonus.
        let sms = app.count("SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED'").await;
        let sent = app.count("SELECT COUNT(*) FROM messages WHERE status = 'SENT'").await;
        assert_eq!(sms + sent, 2);
        assert_eq!(live["messages"]["delivered"], sms);
        assert_eq!(live["messages"]["sent"], sent);
        assert_eq!(live["campaigns"][0]["campaign"], "Spring");
        assert_eq!(live["campaigns"][0]["credited"], 1);
    })
    .await;
}

#[tokio::test]
async fn parts_are_read_however_they_are_selected() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        app.signed_in("ann").await.win_rounds(1).await;
        app.advance(SECOND).await;
        let input = json!({ "input": { "from": start_time() } });
        let response = admin.send(FRAGMENTS, input).await;
        assert_eq!(response.data("/dashboard/whole/people"), 2);
        assert_eq!(response.data("/dashboard/played/0/people"), 1);
    })
    .await;
}

#[tokio::test]
async fn without_its_database_a_dashboard_is_unavailable_and_nothing_else_is() {
    on_each_shared_database(async |database| {
        if matches!(database, TestDatabase::Postgres { .. }) {
            let replica = [("DATABASE_REPLICA_URL", "postgres://127.0.0.1:1/none")];
            let app = TestApp::with(database, &replica).await;
            let admin = app.admin().await;
            let input = json!({ "input": { "from": start_time() } });
            let response = admin.send(query!("dashboard"), input).await;
            assert_eq!(response.errors(), ["SERVICE_UNAVAILABLE"]);
            app.signed_in("ann").await.win_rounds(1).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_that_take_too_long_are_unavailable_and_leave_their_connections_usable() {
    on_each_shared_database(async |database| {
        if !matches!(database, TestDatabase::Postgres { .. }) {
            return;
        }
        let app = TestApp::new(database).await;
        let admin = app.admin().await;
        let work = app.app.platform.begin().await.expect("begun");
        work.execute_unprepared("LOCK TABLE statistics IN ACCESS EXCLUSIVE MODE")
            .await
            .expect("locked");
        let input = json!({ "input": { "from": start_time() } });
        let ask = || admin.send(query!("dashboard"), input.clone());
        // PostgreSQL ends a statement at its time limit in the way that it cancels one.
        let cancel_all = async {
            let cancel = "SELECT COUNT(pg_cancel_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let mut cancelled = 0;
            while cancelled < 3 {
                cancelled += app.count(cancel).await;
            }
        };
        let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), cancel_all);
        for response in [first, second, third] {
            assert_eq!(response.errors(), ["SERVICE_UNAVAILABLE"]);
        }
        drop(work);
        for response in [ask().await, ask().await, ask().await] {
            response.data("/dashboard/totals");
        }
    })
    .await;
}

#[tokio::test]
async fn the_command_tells_whether_figures_differed() {
    on_each_shared_database(async |database| {
        let app = TestApp::at_system_time(database, &[]).await;
        app.signed_in("ann").await;
        app.run_due_jobs().await;
        let (folder, url) = (tempfile::tempdir().expect("a folder"), database.url());
        let settings = [("DATABASE_URL", url.as_str()), ("SECRET_KEYS", KEY_RING)];
        let rebuild = || {
            let mut command = switchboard(folder.path(), &settings, &["dashboard", "rebuild"]);
            let output = command.output().expect("the binary runs");
            (output.status.code(), String::from_utf8(output.stdout).expect("text"))
        };
        let (code, text) = rebuild();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("left as it is: connection_calls"), "{text}");
        app.sql("UPDATE statistics SET amount = 9 WHERE bucket = 'DAY'").await.expect("damaged");
        let (code, text) = rebuild();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("corrected: day "), "{text}");
        assert!(text.contains(", new_users: -8\n"), "{text}");
        assert!(text.contains("differences: 1\n"), "{text}");
        assert_eq!(rebuild().0, Some(0));
    })
    .await;
}

#[tokio::test]
async fn every_id_begins_with_the_dashboards() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        app.signed_in("ann").await.win_rounds(1).await;
        app.advance(SECOND).await;
        let dashboard = admin.dashboard(json!({ "from": start_time() })).await;
        let id = dashboard["id"].as_str().expect("an id");
        assert_eq!(id, "dash_DAY_2026-01-02T00Z_now");
        let mut ids = Vec::new();
        for part in ["totals", "series", "games", "topPlayers", "messages", "coins"] {
            let objects = match &dashboard[part] {
                Value::Array(objects) => objects.clone(),
                object => vec![object.clone()],
            };
            assert!(!objects.is_empty(), "{part}");
            ids.extend(objects.iter().map(|part| part["id"].as_str().expect("an id").to_owned()));
        }
        assert!(ids.iter().all(|part| part.starts_with(&format!("{id}:"))), "{ids:?}");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        let other = admin.dashboard(json!({ "from": start_time(), "bucket": "HOUR" })).await;
        assert_ne!(other["totals"]["id"], dashboard["totals"]["id"]);
    })
    .await;
}

#[tokio::test]
async fn a_deletion_changes_no_past_bucket() {
    on_each_database(async |app| {
        app.admin().await;
        app.signed_in("ann").await.win_rounds(1).await;
        app.clock.advance(DAY);
        let (admin, ann) = (app.admin().await, app.logged_in("ann").await);
        // Played, and not counted yet when the account goes.
        ann.win_rounds(1).await;
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        app.advance(SECOND).await;
        let dashboard = admin.dashboard(json!({ "from": start_time() })).await;
        let played = app.count("SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'").await;
        assert_eq!(dashboard["totals"]["rounds"], played);
        assert_eq!(dashboard["totals"]["newUsers"], 2);
        assert_eq!(dashboard["totals"]["users"], 1);
        assert_eq!(dashboard["series"][0]["activeUsers"], 2);
        assert_eq!(dashboard["series"][1]["activeUsers"], 2);
        assert_eq!(dashboard["games"][0]["players"], 1);
        assert_eq!(dashboard["coins"][1]["credited"], 2);
    })
    .await;
}

#[tokio::test]
async fn a_long_series_has_no_holes() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let dashboard = async |from: &str, until: &str, bucket: &str| {
            let input = json!({ "from": from, "until": until, "bucket": bucket });
            admin.dashboard(input).await["series"].as_array().expect("a list").clone()
        };
        let hours = dashboard("2025-01-02T00:00:00Z", "2026-01-12T00:00:00Z", "HOUR").await;
        assert_eq!(hours.len(), 9_000);
        let busy: Vec<_> = hours.iter().filter(|hour| hour["newUsers"] == 1).collect();
        assert_eq!(busy.len(), 1);
        assert_eq!(busy[0]["start"], "2026-01-02T03:00:00Z");
        for (bucket, count, start) in [
            ("DAY", 366, "2026-01-02T00:00:00Z"),
            ("WEEK", 53, "2025-12-29T00:00:00Z"),
            ("MONTH", 13, "2026-01-01T00:00:00Z"),
        ] {
            for _ in 0..2 {
                let points =
                    dashboard("2025-01-02T00:00:00Z", "2026-01-03T00:00:00Z", bucket).await;
                assert_eq!(points.len(), count, "{bucket}");
                let busy: Vec<_> = points.iter().filter(|point| point["newUsers"] == 1).collect();
                assert_eq!(busy.len(), 1);
                assert_eq!(busy[0]["start"], start);
                assert_eq!(busy[0]["activeUsers"], 1);
                fold(&app).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn watchers_receive_changes_at_most_once_a_second() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let mut socket = app.serve().await.initialized_socket(MODERN, admin.token.as_deref()).await;
        let input = json!({ "input": { "from": "2026-01-02T00:00:00Z" } });
        socket.subscribe("1", CHANGED, input.clone()).await;
        let first = socket.data("1").await["dashboardChanged"].take();
        assert_eq!(first["totals"]["newUsers"], 1);
        app.run_due_jobs().await;
        for count in 2..4 {
            app.signed_in(&format!("user{count}")).await;
            app.clock.advance(SECOND);
            // It is published now, a moment too early to be sent.
            app.run_due_jobs().await;
            socket.assert_quiet().await;
            let next = app.receive_while_time_passes(socket.data("1")).await;
            assert_eq!(next["dashboardChanged"]["totals"]["newUsers"], count);
            assert_eq!(next["dashboardChanged"]["id"], first["id"]);
        }
        // Nothing new: nothing is sent.
        for _ in 0..3 {
            app.clock.advance(SECOND * 2);
            app.run_due_jobs().await;
        }
        socket.assert_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn watchers_receive_changes_of_campaigns_and_top_players_whatever_the_range() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let mut socket = app.serve().await.initialized_socket(MODERN, admin.token.as_deref()).await;
        let past =
            json!({ "input": { "from": "2025-01-01T00:00:00Z", "until": "2025-02-01T00:00:00Z" } });
        let all_time = "subscription ($input: DashboardInput!) { dashboardChanged(input: $input) {
            topPlayers { points } campaigns { campaign pending status } } }";
        socket.subscribe("all time", all_time, past.clone()).await;
        socket.data("all time").await;
        socket.subscribe("past", CHANGED, past).await;
        socket.data("past").await;

        import_all(&app, &admin, "spring", "+31612345678\n").await;
        let changed = receive(&app, &mut socket).await;
        let pending = json!([{ "campaign": "spring", "pending": 1, "status": "ACTIVE" }]);
        assert_eq!(changed["campaigns"], pending);
        let end = r#"mutation { endCampaign(campaign: "spring") { id } }"#;
        admin.send(end, json!({})).await.data("/endCampaign");
        let changed = receive(&app, &mut socket).await;
        assert_eq!(changed.pointer("/campaigns/0/status"), Some(&json!("ENDED")));
        app.signed_in("ann").await.win_rounds(1).await;
        app.advance(SECOND).await;
        let changed = receive(&app, &mut socket).await;
        assert_eq!(changed["topPlayers"].as_array().map(Vec::len), Some(1));
    })
    .await;
}

/// Runs the jobs, and waits for the next state of the subscription of all time. That of the past must stay silent.
async fn receive(app: &TestApp, socket: &mut Socket) -> Value {
    app.clock.advance(SECOND * 2);
    app.run_due_jobs().await;
    app.receive_while_time_passes(socket.data("all time")).await["dashboardChanged"].take()
}

#[tokio::test]
async fn watchers_of_the_same_buckets_share_one_read() {
    on_each_database(async |app| {
        let admin = app.admin().await;
        let server = app.serve().await;
        let query =
            "subscription ($input: DashboardInput!) { dashboardChanged(input: $input) { id asOf } }";
        let mut sockets = Vec::new();
        for from in ["2026-01-02T00:00:00Z", "2026-01-02T03:04:05Z"] {
            let mut socket = server.initialized_socket(MODERN, admin.token.as_deref()).await;
            socket.subscribe("1", query, json!({ "input": { "from": from } })).await;
            socket.data("1").await;
            sockets.push(socket);
            // Two reads would be of two times.
            app.clock.advance(Duration::from_millis(1));
        }
        app.signed_in("ann").await;
        app.clock.advance(SECOND * 2);
        app.run_due_jobs().await;
        let [first, second] = &mut sockets[..] else { panic!("two sockets") };
        let first = app.receive_while_time_passes(first.data("1")).await;
        let second = app.receive_while_time_passes(second.data("1")).await;
        assert_eq!(first, second);
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_corrects_what_differs_and_nothing_else() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.signed_in("ann").await.win_rounds(2).await;
        app.enqueue(Kind::Notice, 1).await;
        app.advance(SECOND).await;
        app.clock.advance(HOUR * 3);
        fold(&app).await;
        let admin = app.admin().await;
        let input = json!({ "from": start_time(), "until": "2026-01-03T00:00:00Z" });
        let before = without_time(admin.dashboard(input.clone()).await);
        let platform = &app.app.platform;
        let report = rebuild(platform, &|_| {}).await.expect("read");
        assert_eq!(report.differences, [""; 0]);
        for damage in [
            "UPDATE statistics SET amount = amount + 7 WHERE measure = 'rounds' AND bucket = 'HOUR'",
            "UPDATE statistics SET amount = 0 WHERE measure = 'new_users' AND bucket = 'MONTH'",
            "DELETE FROM statistics WHERE measure = 'messages'",
            "DELETE FROM active_people WHERE bucket = 'DAY'",
        ] {
            assert!(app.sql(damage).await.expect("damaged") > 0);
            let report = rebuild(platform, &|_| {}).await.expect("read");
            assert!(!report.differences.is_empty(), "{damage}");
            for _ in 0..2 {
                assert_eq!(without_time(admin.dashboard(input.clone()).await), before, "{damage}");
                fold(&app).await;
            }
            let report = rebuild(platform, &|_| {}).await.expect("read");
            assert_eq!(report.differences, [""; 0], "{damage}");
        }
    })
    .await;
}
