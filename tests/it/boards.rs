//! Leaderboards: who is where, by which rounds, and who is not any more.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sea_orm::sea_query::{Alias, Query};
use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use switchboard::games::{self, Board, Boards, GameKind, Period};
use switchboard::ids::{RoundId, UserId, parse};
use switchboard::platform::clock::Instant;

use crate::support::socket::MODERN;
use crate::support::{
    Answer, Caller, PASSWORD, Place, TestApp, beginning, on_each_database, on_each_shared_database,
    query,
};

const SECOND: Duration = Duration::from_secs(1);
const PLACE: [&str; 5] = ["user_id", "board", "minus_points", "reached_at", "rounds"];

/// A round that was played: by whom, of which game, for how many points, and when.
type Played = (UserId, GameKind, i32, Instant);

async fn id_of(caller: &Caller) -> UserId {
    let me = caller.send("{ me { id } }", json!({})).await;
    parse(me.text("/me/id")).expect("an id")
}

/// Signs up people by these names.
async fn people(app: &TestApp, names: &[&str]) -> Vec<(Caller, UserId)> {
    let mut people = Vec::new();
    for name in names {
        let caller = app.signed_in(name).await;
        let id = id_of(&caller).await;
        people.push((caller, id));
    }
    people
}

/// Writes rounds as if they had been played, and no board had them.
async fn have_played(app: &TestApp, rounds: &[Played]) {
    let columns = [
        "id",
        "user_id",
        "game",
        "status",
        "seed_hash",
        "points",
        "is_tallied",
        "started_at",
        "expires_at",
        "played_at",
    ];
    let platform = &app.app.platform;
    let tx = platform.database.begin().await.expect("a transaction");
    for (user, game, points, at) in rounds.iter().copied() {
        let id: RoundId = platform.new_id();
        let row = [
            id.into(),
            user.into(),
            game.to_value().into(),
            "PLAYED".into(),
            vec![0_u8].into(),
            points.into(),
            false.into(),
            at.into(),
            at.into(),
            at.into(),
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
    async fn leaderboard(&self, variables: Value) -> Answer {
        self.send(query!("leaderboard"), variables).await
    }
}

/// "1. ann 30" of each entry at a place of the answer.
fn told(entries: &Value) -> Vec<String> {
    let told = |entry: &Value| {
        let name = entry["profile"]["displayName"].as_str().expect("a name");
        format!("{}. {name} {}", entry["rank"], entry["points"])
    };
    entries.as_array().expect("a list").iter().map(told).collect()
}

#[track_caller]
fn entries(answer: &Answer) -> Vec<String> {
    told(answer.data("/leaderboard/entries"))
}

#[tokio::test]
async fn what_is_played_is_on_the_boards_within_a_second() {
    on_each_database(async |app| {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let won = ann.win(2).await;
        let round = bob.round_of("DICE").await;
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
        assert!(rounds >= i64::try_from(won.len()).expect("few"), "lost ones count, too");
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
        let stranger = app.anonymous().leaderboard(json!({})).await;
        assert_eq!(entries(&stranger), entries(&all));
        assert_eq!(stranger.data("/leaderboard/me"), &Value::Null);
        assert_eq!(stranger.data("/leaderboard/around"), &Value::Null);
        let bad = app.bearing("bad").leaderboard(json!({})).await;
        assert_eq!(bad.errors(), ["UNAUTHENTICATED"; 2], "me and around");
        assert_eq!(told(&bad.body["data"]["leaderboard"]["entries"]), entries(&all));
    })
    .await;
}

#[tokio::test]
async fn so_many_entries_and_no_others() {
    let app = TestApp::new(&Place::Memory).await;
    let ann = app.signed_in("ann").await;
    for first in [0, -1, 101, 256, i64::from(i32::MIN)] {
        let refused = ann.leaderboard(json!({ "first": first })).await;
        assert_eq!(refused.errors(), ["BAD_USER_INPUT first"], "{first}");
    }
    let both = json!({ "game": "CHESS", "period": "YEAR" });
    assert_eq!(ann.leaderboard(both).await.errors()[0], "BAD_USER_INPUT game");
    let year = json!({ "period": "YEAR" });
    assert_eq!(ann.leaderboard(year).await.errors(), ["BAD_USER_INPUT period"]);
    for first in [i64::from(i32::MAX), 1 << 31, i64::MAX] {
        let refused = ann.leaderboard(json!({ "first": first })).await;
        assert!(refused.errors()[0].starts_with(['B', 'Q']), "{refused:?}");
    }
    for first in [1, 100] {
        let id = format!("leaderboard:ALL_TIME::{first}");
        let answer = ann.leaderboard(json!({ "first": first })).await;
        assert_eq!(answer.text("/leaderboard/id"), id, "what differs is another object");
    }
    let mut socket = app.serve().await.let_in(MODERN, None).await;
    socket.subscribe("1", query!("leaderboard_changed"), json!({ "first": 0 })).await;
    assert_eq!(socket.error("1").await, "BAD_USER_INPUT");
}

#[tokio::test]
async fn whoever_wants_more_entries_than_there_can_be_is_told_which_argument_it_is() {
    let app = TestApp::new(&Place::Memory).await;
    for first in [json!(101), json!(i32::MAX), json!(1_i64 << 31), json!(1_u64 << 63)] {
        let read = app.anonymous().leaderboard(json!({ "first": first })).await;
        assert_eq!(read.errors(), ["BAD_USER_INPUT first"], "{first}");
    }
}

#[tokio::test]
async fn who_reached_the_same_points_earlier_is_first() {
    on_each_database(async |app| {
        let people = people(&app, &["ann", "bob", "cid", "dan"]).await;
        let [ann, bob, cid, dan] = [0, 1, 2, 3].map(|who| people[who].1);
        let at = |second: i32| beginning() + SECOND * u32::try_from(second).expect("later");
        let dice = GameKind::Dice;
        // Nobody's rounds come in the order in which they were played.
        have_played(
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
        have_played(&app, &[(ann, dice, 10, at(4)), (cid, dice, 0, at(2))]).await;
        app.advance(SECOND).await;
        let expected = ["1. ann 20", "2. bob 20", "3. cid 0", "4. dan 0"];
        assert_eq!(board().await, expected, "ann had 20 at second 5, cid played at second 2");
        have_played(&app, &[(bob, dice, 0, at(1)), (dan, dice, 20, at(6))]).await;
        app.advance(SECOND).await;
        assert_eq!(board().await[0], "1. ann 20");
        assert_eq!(board().await[3], "4. cid 0");
    })
    .await;
}

/// How long it is until a moment.
fn until(app: &TestApp, moment: &str) -> Duration {
    let moment: Instant = moment.parse().expect("a moment");
    (moment - app.app.platform.now()).to_std().expect("it is to come")
}

#[tokio::test]
async fn a_day_a_week_and_a_month_begin_anew_and_all_time_goes_on() {
    on_each_database(async |app| {
        let id = people(&app, &["ann"]).await[0].1;
        let anybody = app.anonymous();
        // On a Friday.
        have_played(&app, &[(id, GameKind::Dice, 10, beginning())]).await;
        app.advance(SECOND).await;
        let points = async || {
            let mut points = Vec::new();
            for period in ["DAY", "WEEK", "MONTH", "ALL_TIME"] {
                let board = anybody.leaderboard(json!({ "period": period })).await;
                points.push(board.data("/leaderboard/entries/0/points").as_i64().unwrap_or(0));
            }
            points
        };
        let none = async || {
            let mut none = Vec::new();
            for period in ["DAY", "WEEK", "MONTH", "ALL_TIME"] {
                let board = anybody.leaderboard(json!({ "period": period })).await;
                none.extend(entries(&board).is_empty().then_some(period));
            }
            none
        };
        app.advance(until(&app, "2026-01-02T23:59:59.999999Z")).await;
        assert_eq!(points().await, [10; 4]);
        // What comes late counts for when it was played.
        have_played(&app, &[(id, GameKind::Dice, 20, app.app.platform.now())]).await;
        app.advance(until(&app, "2026-01-03T00:00:00Z")).await;
        assert_eq!(none().await, ["DAY"]);
        app.advance(until(&app, "2026-01-05T00:00:00Z")).await;
        assert_eq!(none().await, ["DAY", "WEEK"]);
        app.advance(until(&app, "2026-02-01T00:00:00Z")).await;
        assert_eq!(none().await, ["DAY", "WEEK", "MONTH"]);
        let of_all = anybody.leaderboard(json!({})).await;
        assert_eq!(entries(&of_all), ["1. ann 30"]);

        let boards = async |period: &str| {
            let of = format!("SELECT COUNT(*) FROM board_places WHERE board LIKE '{period}:%'");
            app.count(&of).await
        };
        assert_eq!((boards("DAY").await, boards("WEEK").await), (0, 0), "long over");
        assert_eq!((boards("MONTH").await, boards("ALL_TIME").await), (2, 2));
        app.advance(until(&app, "2026-02-08T00:00:00Z")).await;
        assert_eq!((boards("MONTH").await, boards("ALL_TIME").await), (0, 2), "a week after");
        assert_eq!(app.count("SELECT COUNT(*) FROM board_blocks").await, 2);
    })
    .await;
}

#[tokio::test]
async fn ones_own_place_and_those_around_it_wherever_it_is() {
    on_each_database(async |app| {
        let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
        let people = people(&app, &names).await;
        let rounds: Vec<Played> = (60..)
            .step_by(10)
            .zip(&people)
            .map(|(points, (_, id))| (*id, GameKind::Dice, 120 - points, beginning()))
            .collect();
        have_played(&app, &rounds).await;
        app.advance(SECOND).await;
        let all = ["1. ann 60", "2. bob 50", "3. cid 40", "4. dan 30", "5. eve 20", "6. fay 10"];
        for (who, (caller, _)) in people.iter().enumerate() {
            let board = caller.leaderboard(json!({ "game": "DICE", "first": 2 })).await;
            assert_eq!(entries(&board), all[..2]);
            assert_eq!(told(&json!([board.data("/leaderboard/me")])), all[who..=who]);
            let around = &all[who.saturating_sub(2)..(who + 3).min(all.len())];
            assert_eq!(told(board.data("/leaderboard/around")), around);
        }
    })
    .await;
}

#[tokio::test]
async fn a_rank_is_known_without_counting_everybody() {
    on_each_database(async |app| {
        let people = people(&app, &["ann", "bob"]).await;
        let [ann, bob] = [people[0].1, people[1].1];
        let boards = Boards::sized(10, 1);
        let dice = GameKind::Dice;
        have_played(&app, &[(ann, dice, 20, beginning()), (bob, dice, 10, beginning())]).await;
        games::tally(&boards, &app.app.platform).await.expect("tallied");
        let rank = async || {
            let board = people[1].0.leaderboard(json!({})).await;
            board.data("/leaderboard/me/rank").clone()
        };
        assert_eq!(rank().await, 2);
        // Ann is in a block before Bob's, and it is believed when it says that there are a million of her.
        let million = "UPDATE board_blocks SET places = 1000000 WHERE minus_points < -10";
        assert_ne!(app.sql(million).await.expect("done"), 0);
        assert_eq!(rank().await, 1_000_001);
    })
    .await;
}

/// How the database would find somebody's place and those around it.
async fn plan(app: &TestApp) -> Vec<String> {
    let db = app.app.platform.database.reads();
    let explain = match db.get_database_backend() {
        DbBackend::Postgres => "EXPLAIN",
        _ => "EXPLAIN QUERY PLAN",
    };
    let nobody = "'00000000-0000-0000-0000-000000000000'";
    let sql = include_str!("../../src/games/entity/around.sql");
    let sql = sql.replace("$1", nobody).replace("$2", "'ALL_TIME::'");
    let plan = Statement::from_string(db.get_database_backend(), format!("{explain} {sql}"));
    let column = if explain == "EXPLAIN" { "QUERY PLAN" } else { "detail" };
    let rows = db.query_all_raw(plan).await.expect("a good statement");
    rows.iter().map(|row| row.try_get("", column).expect("text")).collect()
}

#[tokio::test]
async fn places_are_found_along_their_index() {
    on_each_database(async |app| {
        let platform = &app.app.platform;
        let rows = 3_000;
        let insert = |number: i64| {
            let user: UserId = platform.new_id();
            let points = -number % 100;
            [user.into(), "ALL_TIME::".into(), points.into(), beginning().into(), 1.into()]
        };
        let mut places = Query::insert();
        places.into_table(Alias::new("board_places")).columns(PLACE.map(Alias::new));
        for number in 0..rows {
            places.values_panic(insert(number));
        }
        let tx = platform.database.begin().await.expect("a transaction");
        tx.execute(&places).await.expect("written");
        tx.commit().await.expect("committed");
        app.sql("ANALYZE").await.expect("done");
        let plan = plan(&app).await;
        let scans =
            |line: &&String| line.contains("board_places") && !line.contains("board_places_");
        assert_eq!(plan.iter().find(scans), None, "{plan:#?}");
        let walks = plan.iter().filter(|line| line.contains("board_places_order"));
        assert!(walks.count() >= 3, "{plan:#?}");
    })
    .await;
}

#[tokio::test]
async fn who_is_deleted_is_on_no_board_and_does_not_come_back() {
    on_each_database(async |app| {
        let people = people(&app, &["ann", "bob", "cid"]).await;
        let dice = GameKind::Dice;
        let all: Vec<Played> = people
            .iter()
            .zip([30, 20, 10])
            .map(|((_, id), points)| (*id, dice, points, beginning()))
            .collect();
        have_played(&app, &all).await;
        app.advance(SECOND).await;
        have_played(&app, &all).await;
        let input = json!({ "input": { "password": PASSWORD } });
        people[1].0.send(query!("delete_account"), input).await.data("/deleteAccount");
        let board = async || entries(&app.anonymous().leaderboard(json!({})).await);
        assert_eq!(board().await, ["1. ann 30", "2. cid 10"], "at once");
        app.advance(SECOND).await;
        assert_eq!(board().await, ["1. ann 60", "2. cid 20"]);
        let cid = people[2].0.leaderboard(json!({})).await;
        assert_eq!(cid.data("/leaderboard/me/rank"), 2);
        // Bob's deletion did not see a round of his that was under way.
        have_played(&app, &all[1..2]).await;
        app.advance(SECOND).await;
        assert_eq!(board().await, ["1. ann 60", "2. cid 20"]);
        let places = app.count("SELECT COUNT(*) FROM board_places").await;
        let counted = app.count("SELECT CAST(SUM(places) AS BIGINT) FROM board_blocks").await;
        assert_eq!((places, counted), (2 * 8, 2 * 8));
    })
    .await;
}

#[tokio::test]
async fn a_board_that_is_watched_loses_whoever_is_deleted() {
    on_each_database(async |app| {
        let people = people(&app, &["ann", "bob"]).await;
        let dice = GameKind::Dice;
        let rounds = [(people[0].1, dice, 30, beginning()), (people[1].1, dice, 20, beginning())];
        have_played(&app, &rounds).await;
        app.advance(SECOND).await;
        let mut stranger = app.serve().await.let_in(MODERN, None).await;
        stranger.subscribe("1", query!("leaderboard_changed"), json!({})).await;
        let first = stranger.data("1").await["leaderboardChanged"].take();
        assert_eq!(told(&first["entries"]), ["1. ann 30", "2. bob 20"]);
        app.clock.advance(SECOND);
        let input = json!({ "input": { "password": PASSWORD } });
        people[0].0.send(query!("delete_account"), input).await.data("/deleteAccount");
        let next = app.told_in_time(stranger.data("1")).await["leaderboardChanged"].take();
        assert_eq!(told(&next["entries"]), ["1. bob 20"]);
    })
    .await;
}

#[tokio::test]
async fn whoever_is_deleted_on_one_instance_leaves_what_is_watched_on_another() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let people = people(&app, &["ann", "bob"]).await;
        let dice = GameKind::Dice;
        let rounds = [(people[0].1, dice, 30, beginning()), (people[1].1, dice, 20, beginning())];
        have_played(&app, &rounds).await;
        app.advance(SECOND).await;
        other.app.run_due_jobs().await.expect("nothing to do");
        let mut stranger = other.serve().await.let_in(MODERN, None).await;
        stranger.subscribe("1", query!("leaderboard_changed"), json!({})).await;
        stranger.data("1").await;
        app.clock.advance(SECOND);
        let input = json!({ "input": { "password": PASSWORD } });
        people[0].0.send(query!("delete_account"), input).await.data("/deleteAccount");
        other.app.run_due_jobs().await.expect("heard of it");
        let next = app.told_in_time(stranger.data("1")).await["leaderboardChanged"].take();
        assert_eq!(told(&next["entries"]), ["1. bob 20"]);
    })
    .await;
}

#[tokio::test]
async fn what_another_instance_brought_to_the_boards_is_told_here() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let ann = people(&app, &["ann"]).await[0].1;
        other.app.run_due_jobs().await.expect("nothing to do");
        let mut stranger = other.serve().await.let_in(MODERN, None).await;
        stranger.subscribe("1", query!("leaderboard_changed"), json!({})).await;
        stranger.data("1").await;
        for turn in 1..=3 {
            have_played(&app, &[(ann, GameKind::Dice, 10, beginning())]).await;
            app.advance(SECOND).await;
            // A round that came since keeps the other from saying by itself how far they are.
            have_played(&app, &[(ann, GameKind::CoinFlip, 0, beginning())]).await;
            app.clock.advance(Duration::from_millis(1));
            other.app.run_due_jobs().await.expect("heard of it");
            let read = other.anonymous().leaderboard(json!({})).await;
            let here = app.anonymous().leaderboard(json!({})).await;
            assert_eq!(
                read.data("/leaderboard/updatedAt"),
                here.data("/leaderboard/updatedAt"),
                "no play that is in it is younger"
            );
            let next = app.told_in_time(stranger.data("1")).await["leaderboardChanged"].take();
            assert_eq!(told(&next["entries"]), [format!("1. ann {}", 10 * turn)]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_during_a_tally_leaves_nobody_behind() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let bob = people(&app, &["bob"]).await[0].1;
        for turn in 0..6 {
            let (ann, id) = people(&app, &[&format!("ann{turn}")]).await.remove(0);
            let rounds = [GameKind::Dice, GameKind::CoinFlip, GameKind::LuckyNumber];
            let rounds =
                rounds.map(|game| [(id, game, 10, beginning()), (bob, game, 20, beginning())]);
            have_played(&app, &rounds.concat()).await;
            app.clock.advance(SECOND);
            let input = json!({ "input": { "password": PASSWORD } });
            let delete = ann.send(query!("delete_account"), input);
            let tallies = join_all([&app, &other].map(|app| app.app.run_due_jobs()));
            let (deleted, jobs) = tokio::join!(delete, tallies);
            deleted.data("/deleteAccount");
            for done in jobs {
                done.expect("no deadlock");
            }
            app.advance(SECOND).await;
            let board = app.anonymous().leaderboard(json!({})).await;
            assert_eq!(entries(&board), [format!("1. bob {}", (turn + 1) * 60)]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_that_tally_at_once_count_each_round_once() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let people = people(&app, &["ann", "bob", "cid"]).await;
        for _ in 0..5 {
            let rounds: Vec<Played> = (0..60)
                .map(|number| (people[number % 3].1, GameKind::Dice, 1, beginning()))
                .collect();
            have_played(&app, &rounds).await;
            // Each takes a few, again and again, whatever the other does.
            let busy = [&app, &other, &app, &other].map(|app| {
                let app = app.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let boards = Boards::sized(7, 2);
                        games::tally(&boards, &app.app.platform).await.expect("no deadlock");
                    }
                })
            });
            join_all(busy).await.into_iter().for_each(|done| done.expect("no panic"));
            app.advance(SECOND).await;
        }
        let board = app.anonymous().leaderboard(json!({})).await;
        assert_eq!(board.data("/leaderboard/entries/2/rounds"), 100);
        assert_eq!(entries(&board).len(), 3);
        assert!(entries(&board).iter().all(|entry| entry.ends_with(" 100")), "{board:?}");
        assert_eq!(app.count("SELECT COUNT(*) FROM rounds WHERE NOT is_tallied").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_tally_that_ends_in_the_middle_has_changed_nothing() {
    on_each_database(async |app| {
        let people = people(&app, &["ann"]).await;
        have_played(&app, &[(people[0].1, GameKind::Dice, 10, beginning())]).await;
        // The counts are written last.
        app.sql("ALTER TABLE board_blocks RENAME TO hidden").await.expect("done");
        let boards = Boards::default();
        assert!(games::tally(&boards, &app.app.platform).await.is_err());
        assert_eq!(app.count("SELECT COUNT(*) FROM board_places").await, 0);
        assert_eq!(app.count("SELECT COUNT(*) FROM rounds WHERE NOT is_tallied").await, 1);
        app.sql("ALTER TABLE hidden RENAME TO board_blocks").await.expect("done");
        app.advance(SECOND).await;
        let board = app.anonymous().leaderboard(json!({})).await;
        assert_eq!(entries(&board), ["1. ann 10"]);
    })
    .await;
}

#[tokio::test]
async fn a_board_is_told_of_twice_a_second_at_most_and_only_when_it_is_another() {
    on_each_database(async |app| {
        let people = people(&app, &["ann", "bob"]).await;
        let [ann, bob] = [people[0].1, people[1].1];
        let serving = app.serve().await;
        let mut socket = serving.let_in(MODERN, people[0].0.token.as_deref()).await;
        let mut stranger = serving.let_in(MODERN, None).await;
        socket.subscribe("1", query!("leaderboard_changed"), json!({ "first": 1 })).await;
        stranger.subscribe("1", query!("leaderboard_changed"), json!({ "first": 1 })).await;
        for socket in [&mut socket, &mut stranger] {
            let first = socket.data("1").await["leaderboardChanged"].take();
            assert_eq!(first["id"], "leaderboard:ALL_TIME::1");
            assert_eq!((&first["entries"], &first["me"]), (&json!([]), &Value::Null));
        }
        let next = async |socket: &mut crate::support::socket::Socket| {
            let told = app.told_in_time(socket.data("1")).await["leaderboardChanged"].take();
            let of_entries = told["entries"].as_array().expect("a list");
            let points: Vec<i64> =
                of_entries.iter().filter_map(|it| it["points"].as_i64()).collect();
            (points, told["me"]["rank"].as_i64())
        };
        have_played(&app, &[(ann, GameKind::Dice, 10, beginning())]).await;
        app.advance(SECOND).await;
        // The clock stands still meanwhile, so that both know when they were told.
        for (socket, rank) in [(&mut socket, json!(1)), (&mut stranger, Value::Null)] {
            let told = socket.data("1").await["leaderboardChanged"].take();
            assert_eq!((&told["entries"][0]["points"], &told["me"]["rank"]), (&json!(10), &rank));
        }

        // Ten changes within half a second, as of ten instances: the last one is told.
        let topic = Board { period: Period::AllTime, game: None }.topic();
        for points in 11..=20 {
            let set = format!("UPDATE board_places SET minus_points = -{points}");
            app.sql(&set).await.expect("done");
            app.app.platform.events.publish(&topic);
            app.clock.advance(Duration::from_millis(49));
            socket.is_quiet().await;
            stranger.is_quiet().await;
        }
        app.clock.advance(Duration::from_millis(30));
        for (socket, rank) in [(&mut socket, Some(1)), (&mut stranger, None)] {
            // What was read by then may be some changes ago.
            let mut told = next(socket).await;
            while told.0 != [20] {
                told = next(socket).await;
            }
            assert_eq!(told.1, rank);
        }

        // Bob is behind: that is news for nobody but whoever has him as a neighbour.
        have_played(&app, &[(bob, GameKind::Dice, 5, beginning())]).await;
        app.advance(SECOND).await;
        assert_eq!(next(&mut socket).await, (vec![20], Some(1)), "for `around`");
        stranger.is_quiet().await;
        have_played(&app, &[(bob, GameKind::Dice, 30, beginning())]).await;
        app.advance(SECOND).await;
        assert_eq!(next(&mut socket).await, (vec![35], Some(2)));
        assert_eq!(next(&mut stranger).await, (vec![35], None));
        socket.is_quiet().await;
    })
    .await;
}

#[tokio::test]
async fn a_board_that_is_watched_goes_on_with_the_next_day() {
    let app = TestApp::new(&Place::Memory).await;
    let ann = people(&app, &["ann"]).await[0].1;
    have_played(&app, &[(ann, GameKind::Dice, 10, beginning())]).await;
    app.advance(SECOND).await;
    let mut socket = app.serve().await.let_in(MODERN, None).await;
    let of = |period: &str| json!({ "period": period, "game": "DICE" });
    for period in ["DAY", "ALL_TIME"] {
        socket.subscribe(period, query!("leaderboard_changed"), of(period)).await;
        let told = socket.data(period).await["leaderboardChanged"].take();
        assert_eq!(told["entries"][0]["points"], 10);
    }
    app.advance(until(&app, "2026-01-02T23:59:59Z")).await;
    socket.is_quiet().await;
    app.advance(SECOND).await;
    let told = socket.data("DAY").await["leaderboardChanged"].take();
    assert_eq!(told["entries"], json!([]));
    assert_eq!(told["id"], "leaderboard:DAY:DICE:10", "the same for the same arguments");
    have_played(&app, &[(ann, GameKind::Dice, 20, app.app.platform.now())]).await;
    app.advance(SECOND).await;
    let mut points = BTreeMap::new();
    while points.len() < 2 {
        let (_, id, payload) = socket.hear_parts().await;
        let entry = &payload["data"]["leaderboardChanged"]["entries"][0];
        points.insert(id, entry["points"].as_i64());
    }
    let expected = [("ALL_TIME", 30), ("DAY", 20)];
    assert_eq!(points, expected.map(|(id, points)| (id.to_owned(), Some(points))).into());
}

/// What happens to the boards in a history.
#[derive(Clone, Debug)]
enum Step {
    /// Rounds: of whom, of which game, for how many points, at which second.
    Played(Vec<(usize, usize, i32, u32)>),
    /// Somebody is forgotten.
    Forgotten(usize),
}

const PLAYERS: usize = 9;
const KINDS: [GameKind; 2] = [GameKind::Dice, GameKind::CoinFlip];

fn histories() -> impl Strategy<Value = Vec<Step>> {
    let points = prop_oneof![Just(0), Just(20), 10..40];
    let round = (0..PLAYERS, 0..KINDS.len(), points, 0_u32..100);
    let played = prop::collection::vec(round, 1..25).prop_map(Step::Played);
    let forgotten = (0..PLAYERS).prop_map(Step::Forgotten);
    prop::collection::vec(prop_oneof![5 => played, 1 => forgotten], 1..12)
}

/// A board by its definition: points and rounds of each player, in order.
fn sorted(rounds: &[Played], game: Option<GameKind>) -> Vec<(UserId, i64, i64)> {
    let mut players: BTreeMap<UserId, Vec<&Played>> = BTreeMap::new();
    for round in rounds.iter().filter(|round| game.is_none_or(|game| round.1 == game)) {
        players.entry(round.0).or_default().push(round);
    }
    let place = |(user, rounds): (UserId, Vec<&Played>)| {
        let points: i64 = rounds.iter().map(|round| i64::from(round.2)).sum();
        let scored = rounds.iter().filter(|round| round.2 > 0).map(|round| round.3).max();
        let first = rounds.iter().map(|round| round.3).min();
        (-points, scored.or(first), user, i64::try_from(rounds.len()).expect("few"))
    };
    let mut places: Vec<_> = players.into_iter().map(place).collect();
    places.sort();
    places.into_iter().map(|(minus, _, user, rounds)| (user, -minus, rounds)).collect()
}

async fn is_as_sorted(app: &TestApp, boards: &Boards, rounds: &[Played], users: &[UserId]) {
    let platform = &app.app.platform;
    for game in [None, Some(KINDS[0]), Some(KINDS[1])] {
        let expected = sorted(rounds, game);
        let board = Board { period: Period::Day, game };
        let top = games::top(boards, platform, board, 100).await.expect("read");
        let places: Vec<_> =
            top.places.iter().map(|it| (it.user_id, it.points(), it.rounds)).collect();
        assert_eq!(places, expected);
        for user in users {
            let standing = games::standing(platform, &top.key, *user).await.expect("read");
            let place = expected.iter().position(|it| it.0 == *user);
            let ranks = standing.map(|it| {
                assert_eq!(it.own.place.user_id, *user);
                let ranked = it.around.into_iter();
                let around: Vec<_> =
                    ranked.map(|it| (it.rank, it.place.user_id, it.place.points())).collect();
                (it.own.rank, around)
            });
            let expected = place.map(|place| {
                let around = place.saturating_sub(2)..(place + 3).min(expected.len());
                let rank = |place: usize| i64::try_from(place + 1).expect("few");
                let ranked = around.map(|it| (rank(it), expected[it].0, expected[it].1));
                (rank(place), ranked.collect::<Vec<_>>())
            });
            assert_eq!(ranks, expected);
        }
    }
    let largest = app.count("SELECT COALESCE(MAX(places), 0) FROM board_blocks").await;
    assert!(largest <= 4, "a block of {largest}");
}

#[tokio::test]
async fn ranks_are_those_of_a_list_that_is_sorted() {
    on_each_database(async |app| {
        let names: Vec<String> = (0..PLAYERS).map(|number| format!("player{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let users: Vec<UserId> = people(&app, &names).await.iter().map(|it| it.1).collect();
        let platform = &app.app.platform;
        let boards = Boards::sized(7, 4);
        let mut runner = TestRunner::deterministic();
        for _ in 0..12 {
            let history = histories().new_tree(&mut runner).expect("a history").current();
            let mut rounds: Vec<Played> = Vec::new();
            for step in &history {
                match step {
                    Step::Played(played) => {
                        let played: Vec<Played> = played
                            .iter()
                            .map(|(who, kind, points, second)| {
                                (users[*who], KINDS[*kind], *points, beginning() + SECOND * *second)
                            })
                            .collect();
                        have_played(&app, &played).await;
                        rounds.extend(played);
                        app.clock.advance(Duration::from_millis(500));
                        while games::tally(&boards, platform).await.expect("tallied")
                            == Some(platform.now())
                        {}
                    }
                    Step::Forgotten(who) => {
                        let tx = platform.database.begin().await.expect("a transaction");
                        games::forget(platform, &tx, users[*who]).await.expect("forgotten");
                        tx.commit().await.expect("committed");
                        rounds.retain(|round| round.0 != users[*who]);
                    }
                }
            }
            is_as_sorted(&app, &boards, &rounds, &users).await;
            for table in ["rounds", "board_places", "board_blocks"] {
                app.sql(&format!("DELETE FROM {table}")).await.expect("emptied");
            }
        }
    })
    .await;
}
