//! Leaderboards: which rounds count, in which order users rank, and what watchers receive.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sea_orm::sea_query::{Alias, Query};
use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use switchboard::games::{self, GameKind, LeaderboardScope, LeaderboardUpdater, Period};
use switchboard::ids::{RoundId, UserId, parse};
use switchboard::platform::clock::Timestamp;

use crate::support::socket::MODERN;
use crate::support::{
    Caller, GraphQLResponse, PASSWORD, TestApp, TestDatabase, on_each_database,
    on_each_shared_database, query, start_time,
};

const SECOND: Duration = Duration::from_secs(1);
const ROW_COLUMNS: [&str; 5] =
    ["user_id", "leaderboard_key", "negated_points", "reached_at", "rounds"];

/// A played round: the player, the game, the points, and the time.
type Played = (UserId, GameKind, i32, Timestamp);

async fn user_id_of(caller: &Caller) -> UserId {
    let me = caller.send("{ me { id } }", json!({})).await;
    parse(me.text("/me/id")).expect("an id")
}

/// Signs up users with these nicknames.
async fn sign_up(app: &TestApp, names: &[&str]) -> Vec<(Caller, UserId)> {
    let mut people = Vec::new();
    for name in names {
        let caller = app.signed_in(name).await;
        let id = user_id_of(&caller).await;
        people.push((caller, id));
    }
    people
}

/// Inserts rounds that were played and are not counted yet.
async fn insert_played(app: &TestApp, rounds: &[Played]) {
    let columns = [
        "id",
        "user_id",
        "game",
        "status",
        "seed_hash",
        "points",
        "is_counted",
        "started_at",
        "expires_at",
        "played_at",
    ];
    let platform = &app.app.platform;
    let tx = platform.database.begin().await.expect("a transaction");
    for (user, game, points, played_at) in rounds.iter().copied() {
        let id: RoundId = platform.new_id();
        let row = [
            id.into(),
            user.into(),
            game.to_value().into(),
            "PLAYED".into(),
            vec![0_u8].into(),
            points.into(),
            false.into(),
            played_at.into(),
            played_at.into(),
            played_at.into(),
        ];
        let insert = Query::insert()
            .into_table(Alias::new("rounds"))
            .columns(columns.map(Alias::new))
            .values_panic(row)
            .take();
        tx.execute(&insert).await.expect("written");
    }
    tx.commit().await.expect("committed");
}

impl Caller {
    async fn leaderboard(&self, variables: Value) -> GraphQLResponse {
        self.send(query!("leaderboard"), variables).await
    }
}

/// Each entry as text: "1. ann 30".
fn to_lines(entries: &Value) -> Vec<String> {
    let line = |entry: &Value| {
        let name = entry["profile"]["displayName"].as_str().expect("a name");
        format!("{}. {name} {}", entry["rank"], entry["points"])
    };
    entries.as_array().expect("a list").iter().map(line).collect()
}

#[track_caller]
fn entries(response: &GraphQLResponse) -> Vec<String> {
    to_lines(response.data("/leaderboard/entries"))
}

#[tokio::test]
async fn rounds_are_counted_within_a_second() {
    on_each_database(async |app| {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let won = ann.win_rounds(2).await;
        let round = bob.start_round_id("DICE").await;
        let dice = json!({ "dice": { "target": 50, "over": true } });
        let points = bob.play(&round, dice, "b").await.data("/playGame/points").as_i64();
        let points = points.expect("points");
        let before = ann.leaderboard(json!({})).await;
        assert_eq!(entries(&before), [""; 0]);
        assert_eq!(before.data("/leaderboard/updatedAt"), "1970-01-01T00:00:00Z");
        app.advance(SECOND).await;

        let all = ann.leaderboard(json!({})).await;
        assert_eq!(entries(&all), ["1. ann 40".to_owned(), format!("2. bob {points}")]);
        assert_eq!(all.data("/leaderboard/id"), "leaderboard:ALL_TIME::10");
        assert_eq!(all.data("/leaderboard/game"), &Value::Null);
        assert_eq!(all.data("/leaderboard/updatedAt"), "2026-01-02T03:04:06Z");
        let rounds = all.data("/leaderboard/me/rounds").as_i64().expect("a number");
        assert!(rounds >= i64::try_from(won.len()).expect("few"), "lost rounds count too");
        app.advance(SECOND * 100).await;
        for period in ["DAY", "WEEK", "MONTH", "ALL_TIME"] {
            let coins = bob.leaderboard(json!({ "game": "COIN_FLIP", "period": period })).await;
            assert_eq!(entries(&coins), ["1. ann 40"], "{period}");
            assert_eq!(coins.data("/leaderboard/me"), &Value::Null, "bob flipped no coin");
            assert_eq!(coins.data("/leaderboard/around"), &Value::Null);
            assert_eq!(coins.text("/leaderboard/id"), format!("leaderboard:{period}:COIN_FLIP:10"));
            let dice = bob.leaderboard(json!({ "game": "DICE", "period": period })).await;
            assert_eq!(entries(&dice), [format!("1. bob {points}")]);
            assert_eq!(dice.data("/leaderboard/me/rank"), 1);
            assert_eq!(dice.data("/leaderboard/updatedAt"), "2026-01-02T03:05:46Z", "as of now");
        }
        let anonymous = app.anonymous().leaderboard(json!({})).await;
        assert_eq!(entries(&anonymous), entries(&all));
        assert_eq!(anonymous.data("/leaderboard/me"), &Value::Null);
        assert_eq!(anonymous.data("/leaderboard/around"), &Value::Null);
        let invalid_token = app.with_token("bad").leaderboard(json!({})).await;
        assert_eq!(invalid_token.errors(), ["UNAUTHENTICATED"; 2], "the fields me and around");
        assert_eq!(to_lines(&invalid_token.body["data"]["leaderboard"]["entries"]), entries(&all));
    })
    .await;
}

#[tokio::test]
async fn leaderboard_arguments_are_validated() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let ann = app.signed_in("ann").await;
    for first in [0, -1, 101, 256, i64::from(i32::MIN)] {
        let rejected = ann.leaderboard(json!({ "first": first })).await;
        assert_eq!(rejected.errors(), ["BAD_USER_INPUT first"], "{first}");
    }
    let two_errors = json!({ "game": "CHESS", "period": "YEAR" });
    assert_eq!(ann.leaderboard(two_errors).await.errors()[0], "BAD_USER_INPUT game");
    let year = json!({ "period": "YEAR" });
    ann.leaderboard(year).await.assert_error("BAD_USER_INPUT", "period");
    for first in [i64::from(i32::MAX), 1 << 31, i64::MAX] {
        let rejected = ann.leaderboard(json!({ "first": first })).await;
        // BAD_USER_INPUT or QUERY_TOO_COMPLEX.
        assert!(rejected.errors()[0].starts_with(['B', 'Q']), "{rejected:?}");
    }
    for first in [1, 100] {
        let id = format!("leaderboard:ALL_TIME::{first}");
        let response = ann.leaderboard(json!({ "first": first })).await;
        assert_eq!(response.text("/leaderboard/id"), id, "each selection has its own id");
    }
    let mut socket = app.serve().await.initialized_socket(MODERN, None).await;
    socket.subscribe("1", query!("leaderboard_changed"), json!({ "first": 0 })).await;
    assert_eq!(socket.error("1").await, "BAD_USER_INPUT");
}

#[tokio::test]
async fn too_many_entries_are_rejected() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    for first in [json!(101), json!(i32::MAX), json!(1_i64 << 31), json!(1_u64 << 63)] {
        let read = app.anonymous().leaderboard(json!({ "first": first })).await;
        assert_eq!(read.errors(), ["BAD_USER_INPUT first"], "{first}");
    }
}

#[tokio::test]
async fn equal_points_rank_by_the_earlier_time() {
    on_each_database(async |app| {
        let people = sign_up(&app, &["ann", "bob", "cid", "dan"]).await;
        let [ann, bob, cid, dan] = [0, 1, 2, 3].map(|index| people[index].1);
        let at = |second: i32| start_time() + SECOND * u32::try_from(second).expect("later");
        let dice = GameKind::Dice;
        // Rounds are counted in another order than they were played.
        insert_played(
            &app,
            &[
                (cid, dice, 0, at(9)),
                (ann, dice, 10, at(5)),
                (ann, dice, 0, at(8)),
                (bob, dice, 20, at(6)),
                (dan, dice, 0, at(7)),
            ],
        )
        .await;
        app.advance(SECOND).await;
        let board = async || entries(&app.anonymous().leaderboard(json!({})).await);
        assert_eq!(board().await, ["1. bob 20", "2. ann 10", "3. dan 0", "4. cid 0"]);
        insert_played(&app, &[(ann, dice, 10, at(4)), (cid, dice, 0, at(2))]).await;
        app.advance(SECOND).await;
        let expected = ["1. ann 20", "2. bob 20", "3. cid 0", "4. dan 0"];
        assert_eq!(board().await, expected, "ann had 20 at second 5, cid played at second 2");
        insert_played(&app, &[(bob, dice, 0, at(1)), (dan, dice, 20, at(6))]).await;
        app.advance(SECOND).await;
        assert_eq!(board().await[0], "1. ann 20");
        assert_eq!(board().await[3], "4. cid 0");
    })
    .await;
}

/// The time from now until a timestamp.
fn until(app: &TestApp, timestamp: &str) -> Duration {
    let timestamp: Timestamp = timestamp.parse().expect("a timestamp");
    (timestamp - app.app.platform.now()).to_std().expect("in the future")
}

#[tokio::test]
async fn periods_start_empty_and_all_time_continues() {
    on_each_database(async |app| {
        let id = sign_up(&app, &["ann"]).await[0].1;
        let anonymous = app.anonymous();
        // On a Friday.
        insert_played(&app, &[(id, GameKind::Dice, 10, start_time())]).await;
        app.advance(SECOND).await;
        let points = async || {
            let mut points = Vec::new();
            for period in ["DAY", "WEEK", "MONTH", "ALL_TIME"] {
                let board = anonymous.leaderboard(json!({ "period": period })).await;
                points.push(board.data("/leaderboard/entries/0/points").as_i64().unwrap_or(0));
            }
            points
        };
        let empty_periods = async || {
            let mut empty = Vec::new();
            for period in ["DAY", "WEEK", "MONTH", "ALL_TIME"] {
                let board = anonymous.leaderboard(json!({ "period": period })).await;
                empty.extend(entries(&board).is_empty().then_some(period));
            }
            empty
        };
        app.advance(until(&app, "2026-01-02T23:59:59.999999Z")).await;
        assert_eq!(points().await, [10; 4]);
        // A round counts for the day on which it was played, even if it is counted later.
        insert_played(&app, &[(id, GameKind::Dice, 20, app.app.platform.now())]).await;
        app.advance(until(&app, "2026-01-03T00:00:00Z")).await;
        assert_eq!(empty_periods().await, ["DAY"]);
        app.advance(until(&app, "2026-01-05T00:00:00Z")).await;
        assert_eq!(empty_periods().await, ["DAY", "WEEK"]);
        app.advance(until(&app, "2026-02-01T00:00:00Z")).await;
        assert_eq!(empty_periods().await, ["DAY", "WEEK", "MONTH"]);
        let all_time = anonymous.leaderboard(json!({})).await;
        assert_eq!(entries(&all_time), ["1. ann 30"]);

        let row_count = async |period: &str| {
            let count = format!(
                "SELECT COUNT(*) FROM leaderboard_rows WHERE leaderboard_key LIKE '{period}:%'"
            );
            app.count(&count).await
        };
        assert_eq!(
            (row_count("DAY").await, row_count("WEEK").await),
            (0, 0),
            "expired periods are purged"
        );
        assert_eq!((row_count("MONTH").await, row_count("ALL_TIME").await), (2, 2));
        app.advance(until(&app, "2026-02-08T00:00:00Z")).await;
        assert_eq!(
            (row_count("MONTH").await, row_count("ALL_TIME").await),
            (0, 2),
            "a week after the end of the month"
        );
        assert_eq!(app.count("SELECT COUNT(*) FROM leaderboard_buckets").await, 2);
    })
    .await;
}

#[tokio::test]
async fn viewers_see_their_rank_and_neighbours() {
    on_each_database(async |app| {
        let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
        let people = sign_up(&app, &names).await;
        let rounds: Vec<Played> = (60..)
            .step_by(10)
            .zip(&people)
            .map(|(points, (_, id))| (*id, GameKind::Dice, 120 - points, start_time()))
            .collect();
        insert_played(&app, &rounds).await;
        app.advance(SECOND).await;
        let all = ["1. ann 60", "2. bob 50", "3. cid 40", "4. dan 30", "5. eve 20", "6. fay 10"];
        for (index, (caller, _)) in people.iter().enumerate() {
            let board = caller.leaderboard(json!({ "game": "DICE", "first": 2 })).await;
            assert_eq!(entries(&board), all[..2]);
            assert_eq!(to_lines(&json!([board.data("/leaderboard/me")])), all[index..=index]);
            let around = &all[index.saturating_sub(2)..(index + 3).min(all.len())];
            assert_eq!(to_lines(board.data("/leaderboard/around")), around);
        }
    })
    .await;
}

#[tokio::test]
async fn ranks_are_computed_from_bucket_counts() {
    on_each_database(async |app| {
        let people = sign_up(&app, &["ann", "bob"]).await;
        let [ann, bob] = [people[0].1, people[1].1];
        let updater = LeaderboardUpdater::with_limits(10, 1);
        let dice = GameKind::Dice;
        insert_played(&app, &[(ann, dice, 20, start_time()), (bob, dice, 10, start_time())]).await;
        games::update_leaderboards(&updater, &app.app.platform).await.expect("updated");
        let rank = async || {
            let board = people[1].0.leaderboard(json!({})).await;
            board.data("/leaderboard/me/rank").clone()
        };
        assert_eq!(rank().await, 2);
        // Ann's bucket ranks before Bob's, so its count, here a wrong one, is added to his rank.
        let set_count =
            "UPDATE leaderboard_buckets SET row_count = 1000000 WHERE negated_points < -10";
        assert_ne!(app.sql(set_count).await.expect("done"), 0);
        assert_eq!(rank().await, 1_000_001);
    })
    .await;
}

/// The query plan for a user's rank and neighbours.
async fn explain_rank_view(app: &TestApp) -> Vec<String> {
    let db = app.app.platform.database.reads();
    let explain = match db.get_database_backend() {
        DbBackend::Postgres => "EXPLAIN",
        _ => "EXPLAIN QUERY PLAN",
    };
    let user = "'00000000-0000-0000-0000-000000000000'";
    let sql = include_str!("../../src/games/entity/rank_view.sql");
    let sql = sql.replace("$1", user).replace("$2", "'ALL_TIME::'");
    let plan = Statement::from_string(db.get_database_backend(), format!("{explain} {sql}"));
    let column = if explain == "EXPLAIN" { "QUERY PLAN" } else { "detail" };
    let rows = db.query_all_raw(plan).await.expect("a good statement");
    rows.iter().map(|row| row.try_get("", column).expect("text")).collect()
}

#[tokio::test]
async fn rank_queries_use_the_index() {
    on_each_database(async |app| {
        let platform = &app.app.platform;
        let rows = 3_000;
        let row = |number: i64| {
            let user: UserId = platform.new_id();
            let points = -number % 100;
            [user.into(), "ALL_TIME::".into(), points.into(), start_time().into(), 1.into()]
        };
        let mut insert = Query::insert();
        insert.into_table(Alias::new("leaderboard_rows")).columns(ROW_COLUMNS.map(Alias::new));
        for number in 0..rows {
            insert.values_panic(row(number));
        }
        let tx = platform.database.begin().await.expect("a transaction");
        tx.execute(&insert).await.expect("written");
        tx.commit().await.expect("committed");
        app.sql("ANALYZE").await.expect("done");
        let plan = explain_rank_view(&app).await;
        let is_table_scan = |line: &&String| {
            line.contains("leaderboard_rows") && !line.contains("leaderboard_rows_")
        };
        assert_eq!(plan.iter().find(is_table_scan), None, "{plan:#?}");
        let index_scans = plan.iter().filter(|line| line.contains("leaderboard_rows_order"));
        assert!(index_scans.count() >= 3, "{plan:#?}");
    })
    .await;
}

#[tokio::test]
async fn deleted_users_are_removed_from_all_leaderboards_permanently() {
    on_each_database(async |app| {
        let people = sign_up(&app, &["ann", "bob", "cid"]).await;
        let dice = GameKind::Dice;
        let rounds: Vec<Played> = people
            .iter()
            .zip([30, 20, 10])
            .map(|((_, id), points)| (*id, dice, points, start_time()))
            .collect();
        insert_played(&app, &rounds).await;
        app.advance(SECOND).await;
        insert_played(&app, &rounds).await;
        let input = json!({ "input": { "password": PASSWORD } });
        people[1].0.send(query!("delete_account"), input).await.data("/deleteAccount");
        let board = async || entries(&app.anonymous().leaderboard(json!({})).await);
        assert_eq!(board().await, ["1. ann 30", "2. cid 10"], "at once");
        app.advance(SECOND).await;
        assert_eq!(board().await, ["1. ann 60", "2. cid 20"]);
        let cid = people[2].0.leaderboard(json!({})).await;
        assert_eq!(cid.data("/leaderboard/me/rank"), 2);
        // A round of Bob's that his deletion missed.
        insert_played(&app, &rounds[1..2]).await;
        app.advance(SECOND).await;
        assert_eq!(board().await, ["1. ann 60", "2. cid 20"]);
        let row_count = app.count("SELECT COUNT(*) FROM leaderboard_rows").await;
        let bucket_count =
            app.count("SELECT CAST(SUM(row_count) AS BIGINT) FROM leaderboard_buckets").await;
        assert_eq!((row_count, bucket_count), (2 * 8, 2 * 8));
    })
    .await;
}

#[tokio::test]
async fn watchers_see_that_deleted_users_are_removed() {
    on_each_database(async |app| {
        let people = sign_up(&app, &["ann", "bob"]).await;
        let dice = GameKind::Dice;
        let rounds = [(people[0].1, dice, 30, start_time()), (people[1].1, dice, 20, start_time())];
        insert_played(&app, &rounds).await;
        app.advance(SECOND).await;
        let mut socket = app.serve().await.initialized_socket(MODERN, None).await;
        socket.subscribe("1", query!("leaderboard_changed"), json!({})).await;
        let first = socket.data("1").await["leaderboardChanged"].take();
        assert_eq!(to_lines(&first["entries"]), ["1. ann 30", "2. bob 20"]);
        app.clock.advance(SECOND);
        let input = json!({ "input": { "password": PASSWORD } });
        people[0].0.send(query!("delete_account"), input).await.data("/deleteAccount");
        let next =
            app.receive_while_time_passes(socket.data("1")).await["leaderboardChanged"].take();
        assert_eq!(to_lines(&next["entries"]), ["1. bob 20"]);
    })
    .await;
}

#[tokio::test]
async fn watchers_on_other_instances_see_that_deleted_users_are_removed() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let people = sign_up(&app, &["ann", "bob"]).await;
        let dice = GameKind::Dice;
        let rounds = [(people[0].1, dice, 30, start_time()), (people[1].1, dice, 20, start_time())];
        insert_played(&app, &rounds).await;
        app.advance(SECOND).await;
        other.app.run_due_jobs().await.expect("nothing to do");
        let mut socket = other.serve().await.initialized_socket(MODERN, None).await;
        socket.subscribe("1", query!("leaderboard_changed"), json!({})).await;
        socket.data("1").await;
        app.clock.advance(SECOND);
        let input = json!({ "input": { "password": PASSWORD } });
        people[0].0.send(query!("delete_account"), input).await.data("/deleteAccount");
        other.app.run_due_jobs().await.expect("jobs ran");
        let next =
            app.receive_while_time_passes(socket.data("1")).await["leaderboardChanged"].take();
        assert_eq!(to_lines(&next["entries"]), ["1. bob 20"]);
    })
    .await;
}

#[tokio::test]
async fn watchers_are_notified_of_updates_by_other_instances() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = sign_up(&app, &["ann"]).await[0].1;
        other.app.run_due_jobs().await.expect("nothing to do");
        let mut socket = other.serve().await.initialized_socket(MODERN, None).await;
        socket.subscribe("1", query!("leaderboard_changed"), json!({})).await;
        socket.data("1").await;
        for update in 1..=3 {
            insert_played(&app, &[(ann, GameKind::Dice, 10, start_time())]).await;
            app.advance(SECOND).await;
            // An uncounted round keeps the other instance from advancing its own counted-up-to time.
            insert_played(&app, &[(ann, GameKind::CoinFlip, 0, start_time())]).await;
            app.clock.advance(Duration::from_millis(1));
            other.app.run_due_jobs().await.expect("jobs ran");
            let other_board = other.anonymous().leaderboard(json!({})).await;
            let board = app.anonymous().leaderboard(json!({})).await;
            assert_eq!(
                other_board.data("/leaderboard/updatedAt"),
                board.data("/leaderboard/updatedAt"),
                "both instances know the same counted-up-to time"
            );
            let next =
                app.receive_while_time_passes(socket.data("1")).await["leaderboardChanged"].take();
            assert_eq!(to_lines(&next["entries"]), [format!("1. ann {}", 10 * update)]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_during_an_update_leave_no_row() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let bob = sign_up(&app, &["bob"]).await[0].1;
        for iteration in 0..6 {
            let (ann, id) = sign_up(&app, &[&format!("ann{iteration}")]).await.remove(0);
            let rounds = [GameKind::Dice, GameKind::CoinFlip, GameKind::LuckyNumber];
            let rounds =
                rounds.map(|game| [(id, game, 10, start_time()), (bob, game, 20, start_time())]);
            insert_played(&app, &rounds.concat()).await;
            app.clock.advance(SECOND);
            let input = json!({ "input": { "password": PASSWORD } });
            let delete = ann.send(query!("delete_account"), input);
            let updates = join_all([&app, &other].map(|app| app.app.run_due_jobs()));
            let (deleted, jobs) = tokio::join!(delete, updates);
            deleted.data("/deleteAccount");
            for result in jobs {
                result.expect("no deadlock");
            }
            app.advance(SECOND).await;
            let board = app.anonymous().leaderboard(json!({})).await;
            assert_eq!(entries(&board), [format!("1. bob {}", (iteration + 1) * 60)]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_count_each_round_once() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let people = sign_up(&app, &["ann", "bob", "cid"]).await;
        for _ in 0..5 {
            let rounds: Vec<Played> = (0..60)
                .map(|number| (people[number % 3].1, GameKind::Dice, 1, start_time()))
                .collect();
            insert_played(&app, &rounds).await;
            // Each instance claims a few rounds at a time, concurrently with the others.
            let updates = [&app, &other, &app, &other].map(|app| {
                let app = app.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let updater = LeaderboardUpdater::with_limits(7, 2);
                        games::update_leaderboards(&updater, &app.app.platform)
                            .await
                            .expect("no deadlock");
                    }
                })
            });
            join_all(updates).await.into_iter().for_each(|result| result.expect("no panic"));
            app.advance(SECOND).await;
        }
        let board = app.anonymous().leaderboard(json!({})).await;
        assert_eq!(board.data("/leaderboard/entries/2/rounds"), 100);
        assert_eq!(entries(&board).len(), 3);
        assert!(entries(&board).iter().all(|entry| entry.ends_with(" 100")), "{board:?}");
        assert_eq!(app.count("SELECT COUNT(*) FROM rounds WHERE NOT is_counted").await, 0);
    })
    .await;
}

#[tokio::test]
async fn interrupted_updates_change_nothing() {
    on_each_database(async |app| {
        let people = sign_up(&app, &["ann"]).await;
        insert_played(&app, &[(people[0].1, GameKind::Dice, 10, start_time())]).await;
        // The buckets are written last.
        app.sql("ALTER TABLE leaderboard_buckets RENAME TO hidden").await.expect("done");
        let updater = LeaderboardUpdater::default();
        assert!(games::update_leaderboards(&updater, &app.app.platform).await.is_err());
        assert_eq!(app.count("SELECT COUNT(*) FROM leaderboard_rows").await, 0);
        assert_eq!(app.count("SELECT COUNT(*) FROM rounds WHERE NOT is_counted").await, 1);
        app.sql("ALTER TABLE hidden RENAME TO leaderboard_buckets").await.expect("done");
        app.advance(SECOND).await;
        let board = app.anonymous().leaderboard(json!({})).await;
        assert_eq!(entries(&board), ["1. ann 10"]);
    })
    .await;
}

#[tokio::test]
async fn watchers_get_changes_at_most_twice_a_second() {
    on_each_database(async |app| {
        let people = sign_up(&app, &["ann", "bob"]).await;
        let [ann, bob] = [people[0].1, people[1].1];
        let server = app.serve().await;
        let mut ann_socket = server.initialized_socket(MODERN, people[0].0.token.as_deref()).await;
        let mut anonymous_socket = server.initialized_socket(MODERN, None).await;
        ann_socket.subscribe("1", query!("leaderboard_changed"), json!({ "first": 1 })).await;
        anonymous_socket.subscribe("1", query!("leaderboard_changed"), json!({ "first": 1 })).await;
        for socket in [&mut ann_socket, &mut anonymous_socket] {
            let first = socket.data("1").await["leaderboardChanged"].take();
            assert_eq!(first["id"], "leaderboard:ALL_TIME::1");
            assert_eq!((&first["entries"], &first["me"]), (&json!([]), &Value::Null));
        }
        let next_change = async |socket: &mut crate::support::socket::Socket| {
            let event =
                app.receive_while_time_passes(socket.data("1")).await["leaderboardChanged"].take();
            let entries = event["entries"].as_array().expect("a list");
            let points: Vec<i64> =
                entries.iter().filter_map(|entry| entry["points"].as_i64()).collect();
            (points, event["me"]["rank"].as_i64())
        };
        // The rank of the next change with these points. Changes before it may have the top rows of an earlier read.
        let rank_with = async |socket: &mut crate::support::socket::Socket, points: i64| loop {
            let (top, rank) = next_change(socket).await;
            if top == [points] {
                return rank;
            }
        };
        insert_played(&app, &[(ann, GameKind::Dice, 10, start_time())]).await;
        app.advance(SECOND).await;
        // The clock stands still, so the last event of both watchers has the same time.
        for (socket, rank) in [(&mut ann_socket, json!(1)), (&mut anonymous_socket, Value::Null)] {
            let event = socket.data("1").await["leaderboardChanged"].take();
            assert_eq!((&event["entries"][0]["points"], &event["me"]["rank"]), (&json!(10), &rank));
        }

        // Of ten changes within half a second, as ten instances may make them, only the last is sent.
        let topic = LeaderboardScope { period: Period::AllTime, game: None }.topic();
        for points in 11..=20 {
            let set = format!("UPDATE leaderboard_rows SET negated_points = -{points}");
            app.sql(&set).await.expect("done");
            app.app.platform.events.publish(&topic);
            app.clock.advance(Duration::from_millis(49));
            ann_socket.assert_quiet().await;
            anonymous_socket.assert_quiet().await;
        }
        app.clock.advance(Duration::from_millis(30));
        for (socket, rank) in [(&mut ann_socket, Some(1)), (&mut anonymous_socket, None)] {
            assert_eq!(rank_with(socket, 20).await, rank);
        }

        // Bob is behind Ann: only a watcher with him as a neighbour gets an event.
        insert_played(&app, &[(bob, GameKind::Dice, 5, start_time())]).await;
        app.advance(SECOND).await;
        assert_eq!(next_change(&mut ann_socket).await, (vec![20], Some(1)), "for `around`");
        anonymous_socket.assert_quiet().await;
        insert_played(&app, &[(bob, GameKind::Dice, 30, start_time())]).await;
        app.advance(SECOND).await;
        assert_eq!(rank_with(&mut ann_socket, 35).await, Some(2));
        assert_eq!(rank_with(&mut anonymous_socket, 35).await, None);
        ann_socket.assert_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn watched_leaderboards_continue_with_the_next_day() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let ann = sign_up(&app, &["ann"]).await[0].1;
    insert_played(&app, &[(ann, GameKind::Dice, 10, start_time())]).await;
    app.advance(SECOND).await;
    let mut socket = app.serve().await.initialized_socket(MODERN, None).await;
    let variables = |period: &str| json!({ "period": period, "game": "DICE" });
    for period in ["DAY", "ALL_TIME"] {
        socket.subscribe(period, query!("leaderboard_changed"), variables(period)).await;
        let event = socket.data(period).await["leaderboardChanged"].take();
        assert_eq!(event["entries"][0]["points"], 10);
    }
    app.advance(until(&app, "2026-01-02T23:59:59Z")).await;
    socket.assert_quiet().await;
    app.advance(SECOND).await;
    let event = socket.data("DAY").await["leaderboardChanged"].take();
    assert_eq!(event["entries"], json!([]));
    assert_eq!(event["id"], "leaderboard:DAY:DICE:10", "the id depends on the arguments only");
    insert_played(&app, &[(ann, GameKind::Dice, 20, app.app.platform.now())]).await;
    app.advance(SECOND).await;
    let mut points = BTreeMap::new();
    while points.len() < 2 {
        let (_, id, payload) = socket.next_message_parts().await;
        let entry = &payload["data"]["leaderboardChanged"]["entries"][0];
        points.insert(id, entry["points"].as_i64());
    }
    let expected = [("ALL_TIME", 30), ("DAY", 20)];
    assert_eq!(points, expected.map(|(id, points)| (id.to_owned(), Some(points))).into());
}

/// A step of a random history.
#[derive(Clone, Debug)]
enum Step {
    /// Rounds were played: index of the player, index of the game, points, second.
    Played(Vec<(usize, usize, i32, u32)>),
    /// A user was erased.
    Erased(usize),
}

const PLAYERS: usize = 9;
const GAMES: [GameKind; 2] = [GameKind::Dice, GameKind::CoinFlip];

fn histories() -> impl Strategy<Value = Vec<Step>> {
    let points = prop_oneof![Just(0), Just(20), 10..40];
    let round = (0..PLAYERS, 0..GAMES.len(), points, 0_u32..100);
    let played = prop::collection::vec(round, 1..25).prop_map(Step::Played);
    let erased = (0..PLAYERS).prop_map(Step::Erased);
    prop::collection::vec(prop_oneof![5 => played, 1 => erased], 1..12)
}

/// The expected leaderboard: users in order, each with points and rounds.
fn expected_leaderboard(rounds: &[Played], game: Option<GameKind>) -> Vec<(UserId, i64, i64)> {
    let mut players: BTreeMap<UserId, Vec<&Played>> = BTreeMap::new();
    for round in rounds.iter().filter(|round| game.is_none_or(|game| round.1 == game)) {
        players.entry(round.0).or_default().push(round);
    }
    let row = |(user, rounds): (UserId, Vec<&Played>)| {
        let points: i64 = rounds.iter().map(|round| i64::from(round.2)).sum();
        let scored = rounds.iter().filter(|round| round.2 > 0).map(|round| round.3).max();
        let first = rounds.iter().map(|round| round.3).min();
        (-points, scored.or(first), user, i64::try_from(rounds.len()).expect("few"))
    };
    let mut rows: Vec<_> = players.into_iter().map(row).collect();
    rows.sort();
    rows.into_iter().map(|(negated, _, user, rounds)| (user, -negated, rounds)).collect()
}

async fn assert_leaderboards(
    app: &TestApp,
    updater: &LeaderboardUpdater,
    rounds: &[Played],
    users: &[UserId],
) {
    let platform = &app.app.platform;
    for game in [None, Some(GAMES[0]), Some(GAMES[1])] {
        let expected = expected_leaderboard(rounds, game);
        let scope = LeaderboardScope { period: Period::Day, game };
        let top = games::read_top(updater, platform, scope, 100).await.expect("read");
        let rows: Vec<_> =
            top.rows.iter().map(|row| (row.user_id, row.points(), row.rounds)).collect();
        assert_eq!(rows, expected);
        for user in users {
            let view = games::read_rank(platform, &top.key, *user).await.expect("read");
            let index = expected.iter().position(|row| row.0 == *user);
            let ranks = view.map(|view| {
                assert_eq!(view.own.row.user_id, *user);
                let ranked = view.around.into_iter();
                let around: Vec<_> = ranked
                    .map(|ranked| (ranked.rank, ranked.row.user_id, ranked.row.points()))
                    .collect();
                (view.own.rank, around)
            });
            let expected = index.map(|index| {
                let around = index.saturating_sub(2)..(index + 3).min(expected.len());
                let rank = |index: usize| i64::try_from(index + 1).expect("few");
                let ranked =
                    around.map(|index| (rank(index), expected[index].0, expected[index].1));
                (rank(index), ranked.collect::<Vec<_>>())
            });
            assert_eq!(ranks, expected);
        }
    }
    let largest = app.count("SELECT COALESCE(MAX(row_count), 0) FROM leaderboard_buckets").await;
    assert!(largest <= 4, "a bucket of {largest}");
}

#[tokio::test]
async fn ranks_equal_those_of_a_sorted_list() {
    on_each_database(async |app| {
        let names: Vec<String> = (0..PLAYERS).map(|number| format!("player{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let users: Vec<UserId> =
            sign_up(&app, &names).await.iter().map(|person| person.1).collect();
        let platform = &app.app.platform;
        let updater = LeaderboardUpdater::with_limits(7, 4);
        let mut runner = TestRunner::deterministic();
        for _ in 0..12 {
            let history = histories().new_tree(&mut runner).expect("a history").current();
            let mut rounds: Vec<Played> = Vec::new();
            for step in &history {
                match step {
                    Step::Played(played) => {
                        let played: Vec<Played> = played
                            .iter()
                            .map(|(player, kind, points, second)| {
                                (
                                    users[*player],
                                    GAMES[*kind],
                                    *points,
                                    start_time() + SECOND * *second,
                                )
                            })
                            .collect();
                        insert_played(&app, &played).await;
                        rounds.extend(played);
                        app.clock.advance(Duration::from_millis(500));
                        while games::update_leaderboards(&updater, platform).await.expect("updated")
                            == Some(platform.now())
                        {}
                    }
                    Step::Erased(player) => {
                        let tx = platform.database.begin().await.expect("a transaction");
                        games::erase(platform, &tx, users[*player]).await.expect("erased");
                        tx.commit().await.expect("committed");
                        rounds.retain(|round| round.0 != users[*player]);
                    }
                }
            }
            assert_leaderboards(&app, &updater, &rounds, &users).await;
            for table in ["rounds", "leaderboard_rows", "leaderboard_buckets"] {
                app.sql(&format!("DELETE FROM {table}")).await.expect("emptied");
            }
        }
    })
    .await;
}
