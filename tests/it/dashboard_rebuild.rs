//! Figures that are counted again: after an upgrade, a crash, beyond the retention of activity, and while people play.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use roaring::RoaringBitmap;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use switchboard::coins::adjust;
use switchboard::dashboard::{DashboardQuery, Figures, Finding, Part, Rebuild, read, rebuild};
use switchboard::error::ErrorCode;
use switchboard::ids::parse;
use switchboard::messages::Kind;
use switchboard::people::{fold_activity, purge_activity};
use switchboard::platform::clock::{Clock, Timestamp};
use switchboard::platform::jobs::LEASE_DURATION;
use switchboard::platform::statistics::{self, Bucket};
use tokio::task::yield_now;

use crate::support::binary::switchboard;
use crate::support::sms::gateway_settings;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{KEY_RING, PASSWORD, TestApp, TestDatabase, on_each_shared_database, query};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const BUCKETS: [Bucket; 4] = [Bucket::Hour, Bucket::Day, Bucket::Week, Bucket::Month];

/// Sums and bitmaps that are wrong.
const DAMAGES: [&str; 5] = [
    "UPDATE statistics SET amount = amount + 7 WHERE measure = 'rounds' AND bucket = 'HOUR'",
    "UPDATE statistics SET amount = 0 WHERE measure = 'new_users' AND bucket = 'MONTH'",
    "DELETE FROM statistics WHERE measure = 'coins_credited' AND bucket = 'DAY'",
    "DELETE FROM active_people WHERE bucket = 'DAY'",
    "UPDATE active_people SET count = count + 1 WHERE bucket = 'WEEK'",
];

/// All figures of the two years before a time, by each bucket.
async fn figures(app: &TestApp, until: Timestamp) -> Vec<Figures> {
    let mut all = Vec::new();
    for bucket in BUCKETS {
        let from = if bucket == Bucket::Hour { until - DAY * 300 } else { until - DAY * 700 };
        let query = DashboardQuery { from, until: Some(until), bucket };
        let now = app.clock.now();
        let range = query.check(now).expect("a range").at(now);
        all.push(read(&app.app.platform, range, &Part::ALL).await.expect("read"));
    }
    all
}

async fn run_rebuild(app: &TestApp) -> Rebuild {
    rebuild(&app.app.platform, &|_| {}).await.expect("counted again")
}

async fn assert_right(app: &TestApp) {
    assert_eq!(run_rebuild(app).await.differences, [""; 0]);
}

/// Counts rounds and folds everything.
async fn fold(app: &TestApp) {
    app.advance(SECOND).await;
    app.clock.advance(Duration::from_mins(1));
    statistics::fold(&app.app.platform).await.expect("folded");
    fold_activity(&app.app.platform).await.expect("folded");
    let unfolded = "SELECT COUNT(*) FROM user_activity WHERE NOT is_folded";
    assert_eq!(app.count(unfolded).await, 0);
}

/// Polls a future so many times, and drops it. Returns whether it had ended. It is polled after each wait for the
/// database, so each number of polls ends between two other statements, or within one.
async fn run_for(future: impl Future, polls: usize) -> bool {
    let (mut future, mut left) = (Box::pin(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

async fn damage(app: &TestApp) {
    for sql in DAMAGES {
        assert!(app.sql(sql).await.expect("damaged") > 0, "{sql}");
    }
}

/// Takes away what the migrations to statistics made, as if they had not run.
async fn undo_statistics(app: &TestApp) {
    for sql in [
        "DROP TABLE statistics",
        "DROP TABLE statistic_deltas",
        "DROP TABLE user_activity",
        "DROP TABLE active_people",
        "DROP INDEX users_number",
        "ALTER TABLE users DROP COLUMN number",
        "ALTER TABLE messages DROP COLUMN state_at",
        "DELETE FROM seaql_migrations WHERE version IN ('m0015_statistics', 'm0017_count_history')",
    ] {
        app.sql(sql).await.expect(sql);
    }
}

#[tokio::test]
async fn an_upgrade_counts_what_exists_once() {
    on_each_shared_database(async |database| {
        let gateway = Upstream::start().await;
        let app = TestApp::with_gateway(database, &gateway, &[]).await;
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let id = ann.send("{ me { id } }", json!({})).await.text("/me/id").to_owned();
        ann.win_rounds(2).await;
        bob.win_rounds(1).await;
        app.advance(SECOND).await;
        for (number, status) in [(0, 200), (1, 400)] {
            gateway.reply_with([Reply::Json(status, json!({ "id": format!("g{number}") }))]);
            app.enqueue(Kind::Bonus, number).await;
            app.advance(SECOND).await;
        }
        app.post_receipt("g0", "delivered").await;
        let platform = &app.app.platform;
        let ann_id = parse(&id).expect("an id");
        for amount in [5, -3] {
            adjust(platform, ann_id, amount, "a test", None).await.expect("posted");
        }
        let input = json!({ "input": { "password": PASSWORD } });
        bob.send(query!("delete_account"), input).await.data("/deleteAccount");
        fold(&app).await;
        // Paid, and not counted yet.
        ann.win_rounds(1).await;
        let until = Bucket::Day.next(Bucket::Day.start_of(app.clock.now()));
        let before = figures(&app, until).await;
        undo_statistics(&app).await;

        let upgraded = app.instance(database, &gateway_settings(&gateway), 2).await;
        assert_eq!(figures(&upgraded, until).await, before);
        assert_eq!(
            upgraded.count("SELECT COUNT(*) FROM rounds WHERE NOT is_counted AND won").await,
            1
        );
        fold(&upgraded).await;
        upgraded.clock.advance(HOUR * 2);
        assert_right(&upgraded).await;
        let after = figures(&upgraded, until).await;
        let credited = after[0].sums.total("coins_credited");
        let paid = "SELECT CAST(SUM(amount) AS bigint) FROM coin_entries WHERE amount > 0";
        assert_eq!(credited, upgraded.count(paid).await);
        assert_eq!(credited, before[0].sums.total("coins_credited") + 1);
        assert_eq!(after[0].sums.of("messages", "DELIVERED"), 1);
        assert_eq!(after[0].sums.of("messages", "FAILED"), 1);
        assert_eq!(after[0].users, 1);
    })
    .await;
}

#[tokio::test]
async fn rounds_stand_in_for_activity_that_nobody_recorded() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        // One before the retention of activity, one within it.
        for (name, days) in [("ann", 100), ("bob", 10)] {
            app.signed_in(name).await.win_rounds(1).await;
            fold(&app).await;
            app.clock.advance(DAY * days);
        }
        let until = Bucket::Day.start_of(app.clock.now());
        let before = figures(&app, until).await;
        // As if an instance of an earlier version had counted the rounds.
        for table in ["user_activity", "active_people"] {
            app.sql(&format!("DELETE FROM {table}")).await.expect("deleted");
        }
        app.sql("DELETE FROM statistics WHERE measure = 'rounds'").await.expect("deleted");
        let report = run_rebuild(&app).await;
        let is_of = |text: &str| report.differences.iter().any(|line| line.contains(text));
        assert!(is_of("active people, COIN_FLIP: 0 stored, 1 counted"), "{report:?}");
        assert!(is_of("rounds COIN_FLIP: +"), "{report:?}");
        for _ in 0..2 {
            assert_eq!(figures(&app, until).await, before);
            fold(&app).await;
        }
        assert_right(&app).await;
    })
    .await;
}

#[tokio::test]
async fn figures_beyond_the_retention_stay_as_they_are() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        // Ann plays, and Bob only logs in.
        app.signed_in("ann").await.win_rounds(1).await;
        app.signed_in("bob").await;
        fold(&app).await;
        app.clock.advance(DAY * 25);
        app.signed_in("eve").await.win_rounds(1).await;
        fold(&app).await;
        // The limit is within the month of both.
        app.clock.advance(DAY * 80);
        let until = Bucket::Day.start_of(app.clock.now());
        let before = figures(&app, until).await;
        let rows = app.count("SELECT COUNT(*) FROM user_activity").await;
        purge_activity(&app.app.platform).await.expect("purged");
        let left = app.count("SELECT COUNT(*) FROM user_activity").await;
        assert!(0 < left && left < rows, "{left} of {rows}");
        let report = run_rebuild(&app).await;
        assert_eq!(report.differences, [""; 0]);
        let is_told = |line: &String| line.starts_with("active people before 2026-01-");
        assert!(report.left.iter().any(is_told), "{:?}", report.left);
        assert_eq!(figures(&app, until).await, before);
        assert_eq!(before[3].active_users, 3);
    })
    .await;
}

#[tokio::test]
async fn the_purge_leaves_what_a_rebuild_trusts() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.signed_in("ann").await;
        fold(&app).await;
        let until = Bucket::Day.next(Bucket::Day.start_of(app.clock.now()));
        let before = figures(&app, until).await;
        // Just before the retention ends, an instance whose clock is ahead has purged already.
        app.clock.advance(DAY * 92 + HOUR * 22);
        app.sql("DELETE FROM user_activity").await.expect("purged");
        assert_right(&app).await;
        assert_eq!(figures(&app, until).await, before);
    })
    .await;
}

/// Puts a bitmap of these people in place of those of a kind of bucket.
async fn put_bitmap(app: &TestApp, bucket: &str, people: &[u32]) {
    let mut bytes = Vec::new();
    RoaringBitmap::from_iter(people).serialize_into(&mut bytes).expect("serialized");
    let tx = app.app.platform.begin().await.expect("begun");
    let backend = tx.get_database_backend();
    let count = i64::try_from(people.len()).expect("a count");
    let values = [bytes.into(), count.into(), bucket.into()];
    let sql = "UPDATE active_people SET people = $1, count = $2 WHERE bucket = $3";
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.expect("damaged");
    tx.commit().await.expect("committed");
}

#[tokio::test]
async fn people_who_were_not_active_are_taken_out() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.signed_in("ann").await.win_rounds(1).await;
        fold(&app).await;
        let until = Bucket::Day.next(Bucket::Day.start_of(app.clock.now()));
        let before = figures(&app, until).await;
        for bucket in ["DAY", "WEEK"] {
            put_bitmap(&app, bucket, &[1, 2, 70_000]).await;
        }
        assert!(!run_rebuild(&app).await.differences.is_empty());
        assert_eq!(figures(&app, until).await, before);
        assert_right(&app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folds_and_rebuilds_may_be_cut_off_anywhere() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        for is_activity in [true, false] {
            for polls in 1.. {
                // Counts the round before.
                app.advance(HOUR).await;
                let name = format!("user{is_activity}{polls}");
                app.signed_in(&name).await.win_rounds(1).await;
                app.clock.advance(Duration::from_mins(1));
                let platform = &app.app.platform;
                let ended = match is_activity {
                    true => run_for(fold_activity(platform), polls).await,
                    false => run_for(statistics::fold(platform), polls).await,
                };
                app.clock.advance(LEASE_DURATION);
                if ended {
                    break;
                }
            }
        }
        fold(&app).await;
        app.clock.advance(HOUR * 2);
        assert_right(&app).await;
        // Each signed up in an hour of their own.
        let users = app.count("SELECT COUNT(*) FROM users").await;
        let counted = figures(&app, app.clock.now()).await;
        assert_eq!(counted[0].series.iter().map(|hour| hour.active_users).sum::<i64>(), users);

        let until = Bucket::Hour.start_of(app.clock.now());
        let before = figures(&app, until).await;
        for polls in 1.. {
            damage(&app).await;
            let ended = run_for(rebuild(&app.app.platform, &|_| {}), polls).await;
            app.clock.advance(LEASE_DURATION);
            run_rebuild(&app).await;
            assert_eq!(figures(&app, until).await, before, "{polls} polls");
            statistics::fold(&app.app.platform).await.expect("folded");
            if ended {
                break;
            }
        }
        assert_right(&app).await;
        assert_eq!(figures(&app, until).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_beside_folds_and_plays_is_exact() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &[("LIMIT_PLAYS", "100000")]).await;
        let other = app.second_instance(database, &[]).await;
        app.signed_in("ann").await.win_rounds(1).await;
        fold(&app).await;
        app.clock.advance(HOUR * 2);
        let is_over = AtomicBool::new(false);
        let rebuilds = async {
            for _ in 0..8 {
                // Some may find nothing to damage: who has an activity that is not folded yet is added by the fold.
                for sql in DAMAGES {
                    other.sql(sql).await.expect("damaged");
                }
                run_rebuild(&other).await;
            }
            is_over.store(true, Ordering::Relaxed);
        };
        let plays = async {
            while !is_over.load(Ordering::Relaxed) {
                app.logged_in("ann").await.win_rounds(1).await;
                app.advance(SECOND * 20).await;
            }
        };
        tokio::join!(rebuilds, plays);
        fold(&app).await;
        app.clock.advance(HOUR * 2);
        run_rebuild(&other).await;
        fold(&app).await;
        assert_right(&other).await;
        let counted = figures(&app, app.clock.now()).await;
        let played = app.count("SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'").await;
        assert_eq!(counted[0].sums.total("rounds"), played);
        assert_eq!(counted[3].active_users, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_holds_up_no_play() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &[("LIMIT_PLAYS", "100000")]).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        ann.win_rounds(1).await;
        fold(&app).await;
        let mut rebuilding = Box::pin(rebuild(&other.app.platform, &|_| {}));
        let mut stops = 0;
        // It stops between any two statements, and its snapshots stay open meanwhile.
        while poll!(&mut rebuilding).is_pending() {
            stops += 1;
            ann.win_rounds(1).await;
        }
        assert!(stops > 10, "{stops} stops");
    })
    .await;
}

#[tokio::test]
async fn one_rebuild_runs_at_a_time() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let mut first = Box::pin(rebuild(&app.app.platform, &|_| {}));
        let held =
            "SELECT COUNT(*) FROM leases WHERE key = 'rebuild_dashboard' AND holder IS NOT NULL";
        while other.count(held).await == 0 {
            assert!(poll!(&mut first).is_pending());
            yield_now().await;
        }
        let error = rebuild(&other.app.platform, &|_| {}).await.expect_err("another one runs");
        assert_eq!(error.code(), ErrorCode::Conflict);
        first.await.expect("counted again");
        assert_right(&other).await;
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_that_fails_tells_what_it_corrected() {
    on_each_shared_database(async |database| {
        let app = TestApp::at_system_time(database, &[]).await;
        app.signed_in("ann").await;
        app.run_due_jobs().await;
        app.sql("UPDATE statistics SET amount = 9 WHERE bucket = 'DAY'").await.expect("damaged");
        app.sql("ALTER TABLE active_people RENAME TO elsewhere").await.expect("hidden");
        let (folder, url) = (tempfile::tempdir().expect("a folder"), database.url());
        let settings = [("DATABASE_URL", url.as_str()), ("SECRET_KEYS", KEY_RING)];
        let run = || {
            let mut command = switchboard(folder.path(), &settings, &["dashboard", "rebuild"]);
            let output = command.output().expect("the binary runs");
            (output.status.code(), String::from_utf8(output.stdout).expect("text"))
        };
        let (code, text) = run();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("corrected: day "), "{text}");
        assert!(!text.contains("differences:"), "{text}");
        app.sql("ALTER TABLE elsewhere RENAME TO active_people").await.expect("back");
        let (code, text) = run();
        assert_eq!(code, Some(0), "{text}");
    })
    .await;
}

#[tokio::test]
async fn findings_are_told_as_they_are_found() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        app.signed_in("ann").await.win_rounds(1).await;
        fold(&app).await;
        app.clock.advance(HOUR * 2);
        damage(&app).await;
        let told = parking_lot::Mutex::new(Vec::new());
        let tell = |finding: Finding<'_>| {
            if let Finding::Corrected(difference) = finding {
                told.lock().push(difference.to_owned());
            }
        };
        let report = rebuild(&app.app.platform, &tell).await.expect("counted again");
        assert!(report.differences.len() >= DAMAGES.len());
        assert_eq!(*told.lock(), report.differences);
    })
    .await;
}

#[tokio::test]
async fn old_activity_is_purged_in_bounded_pages() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let hour = match database {
            TestDatabase::Postgres { .. } => "timestamptz '2025-01-01T00:00:00Z'",
            _ => "'2025-01-01T00:00:00+00:00'",
        };
        let rows = format!(
            "INSERT INTO user_activity (hour, game, user_number, is_folded) WITH RECURSIVE counter (i) AS
             (SELECT 1 UNION ALL SELECT i + 1 FROM counter WHERE i < 3500) SELECT {hour}, '', i, true FROM counter"
        );
        app.sql(&rows).await.expect("inserted");
        let mut counts = vec![3_500];
        for polls in 1.. {
            let ended = run_for(purge_activity(&app.app.platform), polls).await;
            app.clock.advance(Duration::from_hours(2));
            let count = app.count("SELECT COUNT(*) FROM user_activity").await;
            if counts.last() != Some(&count) {
                counts.push(count);
            }
            if ended && count == 0 {
                break;
            }
        }
        assert!(counts.len() > 2, "one transaction deleted all: {counts:?}");
    })
    .await;
}
