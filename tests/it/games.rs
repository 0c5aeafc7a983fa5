//! Rounds: fixed before they are played, played once, checked by anybody after.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Answer, Caller, PASSWORD, Place, TestApp, on_each_database, on_each_shared_database, query,
};

fn heads() -> Value {
    json!({ "coinFlip": "HEADS" })
}

#[tokio::test]
async fn the_games_that_can_be_played() {
    let app = TestApp::new(&Place::Memory).await;
    let games = app.anonymous().send("{ games { kind title rules maxPoints } }", json!({})).await;
    let games = games.data("/games").as_array().expect("a list").clone();
    let told: Vec<_> = games.iter().map(|game| (&game["kind"], &game["maxPoints"])).collect();
    assert_eq!(json!(told), json!([["COIN_FLIP", 20], ["DICE", 1000], ["LUCKY_NUMBER", 100]]),);
}

#[tokio::test]
async fn a_round_is_fixed_before_it_is_played_and_shown_after() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let started = ann.start_round("DICE").await;
        let started = started.data("/startRound");
        let id = started["id"].as_str().expect("an id").to_owned();
        let nothing =
            ["serverSeed", "clientSeed", "move", "played", "outcome", "won", "points", "playedAt"];
        for name in nothing {
            assert_eq!(started[name], Value::Null, "{name}");
        }
        assert_eq!(started["status"], "OPEN");
        assert_eq!(started["expiresAt"], "2026-01-02T03:09:05Z");
        let played =
            ann.play(&id, json!({ "dice": { "target": 50, "over": true } }), "lucky").await;
        let round = played.data("/playGame").clone();
        assert_eq!(round["serverSeedHash"], started["serverSeedHash"]);
        assert_eq!((&round["status"], &round["clientSeed"]), (&json!("PLAYED"), &json!("lucky")));
        assert_eq!(round["move"], json!({ "dice": { "target": 50, "over": true } }));
        assert_eq!(round["played"]["dice"], round["move"]["dice"]);
        assert_eq!(round["owner"]["nickname"], "ann");
        let roll = round["outcome"].as_i64().expect("a roll");
        assert_eq!(round["won"], roll > 50);
        assert_eq!(round["points"], if roll > 50 { 20 } else { 0 });
        let check = app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
        assert_eq!(check.data("/verifyRound/valid"), true);
        assert_eq!(check.data("/verifyRound/outcome"), &round["outcome"]);
        assert_eq!(check.data("/verifyRound/serverSeedHash"), &started["serverSeedHash"]);
        let steps = check.text("/verifyRound/explanation");
        for part in [round["serverSeed"].as_str().expect("a seed"), &id, "lucky", &roll.to_string()]
        {
            assert!(steps.contains(part), "{part}: {steps}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_same_play_is_answered_the_same_and_another_is_refused() {
    on_each_database(async |app| {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let id = ann.round_of("COIN_FLIP").await;
        let first = ann.play(&id, heads(), "a").await;
        app.clock.advance(Duration::from_mins(6));
        let again = ann.play(&id, heads(), "a").await;
        assert_eq!(first.data("/playGame"), again.data("/playGame"));
        for (played, seed) in [(json!({ "coinFlip": "TAILS" }), "a"), (heads(), "b")] {
            assert_eq!(ann.play(&id, played, seed).await.errors(), ["ROUND_ALREADY_PLAYED"]);
        }
        assert_eq!(bob.play(&id, heads(), "a").await.errors(), ["NOT_FOUND"]);
        assert_eq!(ann.play("rnd_nothing", heads(), "a").await.errors(), ["NOT_FOUND"]);
        assert_eq!(app.anonymous().play(&id, heads(), "a").await.errors(), ["UNAUTHENTICATED"]);
        let round = async |of: &Caller| of.send(query!("round"), json!({ "id": id })).await;
        assert_eq!(round(&ann).await.data("/round/status"), "PLAYED");
        assert_eq!(round(&bob).await.errors(), ["NOT_FOUND"]);
        assert_eq!(round(&app.anonymous()).await.errors(), ["UNAUTHENTICATED"]);
    })
    .await;
}

#[tokio::test]
async fn a_play_that_makes_no_sense_is_refused_with_its_field() {
    let app = TestApp::with(&Place::Memory, &[("LIMIT_PLAYS", "1000")]).await;
    let ann = app.signed_in("ann").await;
    let [coin, dice, number] = ["COIN_FLIP", "DICE", "LUCKY_NUMBER"].map(|game| ann.round_of(game));
    let (coin, dice, number) = (coin.await, dice.await, number.await);
    let roll = |target: i64, over: bool| json!({ "dice": { "target": target, "over": over } });
    let longest = "\u{e9}".repeat(64);
    for (round, played, seed, error) in [
        (&coin, heads(), "", "BAD_USER_INPUT clientSeed"),
        (&coin, heads(), &*"x".repeat(65), "BAD_USER_INPUT clientSeed"),
        (&coin, heads(), &"x".repeat(10_240), "BAD_USER_INPUT clientSeed"),
        (&coin, heads(), "a\u{0}b", "BAD_USER_INPUT clientSeed"),
        (&coin, roll(50, true), "a", "BAD_USER_INPUT move"),
        (&dice, roll(4, true), "a", "BAD_USER_INPUT move.dice.target"),
        (&dice, roll(100, true), "a", "BAD_USER_INPUT move.dice.target"),
        (&dice, roll(1, false), "a", "BAD_USER_INPUT move.dice.target"),
        (&dice, roll(97, false), "a", "BAD_USER_INPUT move.dice.target"),
        (&dice, roll(i64::from(i32::MIN), false), "a", "BAD_USER_INPUT move.dice.target"),
        (&dice, roll(i64::from(i32::MAX), true), "a", "BAD_USER_INPUT move.dice.target"),
        (&dice, roll(1 << 31, true), "a", "BAD_USER_INPUT move.dice.target"),
        (
            &dice,
            json!({ "dice": { "target": 9_223_372_036_854_775_807_i64, "over": true } }),
            "a",
            "BAD_USER_INPUT move.dice.target",
        ),
        (
            &dice,
            json!({ "dice": { "target": 9_223_372_036_854_775_808_u64, "over": true } }),
            "a",
            "BAD_USER_INPUT move.dice.target",
        ),
        (&number, json!({ "luckyNumber": 0 }), "a", "BAD_USER_INPUT move.luckyNumber"),
        (&number, json!({ "luckyNumber": 11 }), "a", "BAD_USER_INPUT move.luckyNumber"),
        (&number, json!({}), "a", "BAD_USER_INPUT move"),
        (&number, json!({ "luckyNumber": 1, "coinFlip": "HEADS" }), "a", "BAD_USER_INPUT move"),
        (&number, json!({ "luckyNumber": null }), "a", "BAD_USER_INPUT move"),
    ] {
        assert_eq!(ann.play(round, played.clone(), seed).await.errors(), [error], "{played}");
    }
    let both = ann.play(&dice, roll(0, true), "").await;
    assert_eq!(both.errors(), ["BAD_USER_INPUT clientSeed", "BAD_USER_INPUT move.dice.target"]);
    ann.play(&coin, heads(), &longest).await.data("/playGame");
    ann.play(&dice, roll(5, true), " a ").await.data("/playGame");
    assert_eq!(ann.start_round("CHESS").await.errors(), ["BAD_USER_INPUT game"]);
    let twice = format!(
        r#"mutation {{ playGame(input: {{
            roundId: "{number}", clientSeed: "a", move: {{ luckyNumber: 1, luckyNumber: 2 }}
        }}) {{ id }} }}"#
    );
    let refused = ann.send(&twice, json!({})).await;
    assert_eq!(refused.errors(), ["GRAPHQL_VALIDATION_FAILED"]);
}

#[tokio::test]
async fn a_round_that_was_not_played_in_time_is_over_and_shows_its_seed() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let id = ann.round_of("COIN_FLIP").await;
        let check =
            || async { app.anonymous().send(query!("verify_round"), json!({ "id": id })).await };
        assert_eq!(check().await.errors(), ["CONFLICT id"], "its seed is a secret");
        let sealed = "SELECT COUNT(*) FROM rounds WHERE seed IS NULL AND sealed_seed IS NOT NULL";
        assert_eq!(app.count(sealed).await, 1);
        app.clock.advance(Duration::from_mins(1));
        ann.round_of("COIN_FLIP").await;
        app.clock.advance(Duration::from_mins(4));
        for swept in [false, true] {
            if swept {
                app.advance(Duration::from_secs(90)).await;
                assert_eq!(app.count(sealed).await, 0);
            }
            let read = ann.send(query!("round"), json!({ "id": id })).await;
            assert_eq!(read.data("/round/status"), "EXPIRED");
            let expired = "SELECT COUNT(*) FROM rounds WHERE status = 'EXPIRED'";
            assert_eq!(app.count(expired).await, if swept { 2 } else { 1 }, "written by the read");
            let seed = read.text("/round/serverSeed").to_owned();
            assert_eq!(ann.play(&id, heads(), "a").await.errors(), ["ROUND_EXPIRED"]);
            let check = check().await;
            assert_eq!(check.data("/verifyRound/valid"), true);
            assert_eq!(check.data("/verifyRound/outcome"), -1);
            assert!(check.text("/verifyRound/explanation").contains(&seed));
        }
        let unknown = app.anonymous().send(query!("verify_round"), json!({ "id": "rnd_x" })).await;
        assert_eq!(unknown.errors(), ["NOT_FOUND"]);
    })
    .await;
}

#[tokio::test]
async fn whoever_has_seen_a_seed_plays_on_no_instance_whose_clock_is_behind() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let behind = app.behind(place, Duration::from_secs(1)).await;
        let ann = app.signed_in("ann").await;
        let there = behind.bearing(ann.token.as_deref().expect("a token"));
        let read = json!({ "id": ann.round_of("COIN_FLIP").await });
        let listed = ann.round_of("COIN_FLIP").await;
        let checked = json!({ "id": ann.round_of("COIN_FLIP").await });
        app.clock.advance(Duration::from_mins(5));
        behind.clock.advance(Duration::from_mins(5));
        ann.send(query!("round"), read.clone()).await.text("/round/serverSeed");
        let id = read["id"].as_str().expect("an id");
        assert_eq!(there.play(id, heads(), "a").await.errors(), ["ROUND_EXPIRED"]);
        let rounds = ann.send(query!("rounds"), json!({ "first": 10 })).await;
        let nodes = rounds.data("/me/rounds/nodes").as_array().expect("a list");
        assert!(nodes.iter().all(|round| round["status"] == "EXPIRED"), "{nodes:?}");
        assert_eq!(there.play(&listed, heads(), "a").await.errors(), ["ROUND_EXPIRED"]);
        let check = app.anonymous().send(query!("verify_round"), checked.clone()).await;
        check.data("/verifyRound/explanation");
        let id = checked["id"].as_str().expect("an id");
        assert_eq!(there.play(id, heads(), "a").await.errors(), ["ROUND_EXPIRED"]);
    })
    .await;
}

#[tokio::test]
async fn a_check_fails_when_anything_of_a_round_was_altered() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let id = ann.round_of("LUCKY_NUMBER").await;
        ann.play(&id, json!({ "luckyNumber": 7 }), "a").await.data("/playGame");
        let check = async || {
            let check = app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
            check.data("/verifyRound/valid") == true
        };
        assert!(check().await);
        app.sql("CREATE TABLE kept AS SELECT * FROM rounds").await.expect("kept");
        for altered in [
            "outcome = outcome % 10 + 1",
            "points = points + 1",
            "won = NOT won",
            "client_seed = 'b'",
            "seed = seed_hash",
            "seed_hash = seed",
            "move = '{\"luckyNumber\":0}'",
            "move = 'unreadable'",
            "client_seed = NULL",
        ] {
            app.sql(&format!("UPDATE rounds SET {altered}")).await.expect("altered");
            assert!(!check().await, "{altered}");
            app.sql("DELETE FROM rounds").await.expect("removed");
            app.sql("INSERT INTO rounds SELECT * FROM kept").await.expect("restored");
            assert!(check().await);
        }
        app.sql("UPDATE rounds SET seed = NULL").await.expect("altered");
        let lost = app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
        assert_eq!(lost.errors(), ["CONFLICT id"]);
    })
    .await;
}

#[tokio::test]
async fn a_round_of_somebody_who_was_deleted_can_be_checked() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (played, open) = (ann.round_of("DICE").await, ann.round_of("COIN_FLIP").await);
        let dice = json!({ "dice": { "target": 50, "over": true } });
        ann.play(&played, dice, "a").await.data("/playGame");
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        for id in [played, open] {
            let check = app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
            assert_eq!(check.data("/verifyRound/valid"), true);
        }
    })
    .await;
}

#[tokio::test]
async fn so_many_rounds_are_open_at_once() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let ann = app.signed_in("ann").await;
        let there = other.bearing(ann.token.as_deref().expect("a token"));
        let all = join_all(
            (0..30)
                .map(|n| if n % 2 == 0 { &ann } else { &there })
                .map(|caller| caller.start_round("DICE")),
        )
        .await;
        let (good, refused): (Vec<Answer>, Vec<Answer>) =
            all.into_iter().partition(|answer| answer.errors().is_empty());
        assert_eq!((good.len(), refused.len()), (10, 20));
        assert!(refused.iter().all(|answer| answer.extension("code") == "RATE_LIMITED"));
        let one = good[0].text("/startRound/id");
        ann.play(one, json!({ "dice": { "target": 50, "over": false } }), "a")
            .await
            .data("/playGame");
        ann.start_round("COIN_FLIP").await.data("/startRound");
        app.clock.advance(Duration::from_mins(1));
        let refused = ann.start_round("COIN_FLIP").await;
        assert_eq!(refused.errors(), ["RATE_LIMITED"]);
        assert_eq!(refused.extension("retryAfter"), 240, "until the first of them is over");
        app.clock.advance(Duration::from_mins(4));
        ann.start_round("COIN_FLIP").await.data("/startRound");
    })
    .await;
}

#[tokio::test]
async fn a_user_plays_so_often_in_a_minute() {
    let app = TestApp::with(&Place::Memory, &[("LIMIT_PLAYS", "2")]).await;
    let ann = app.signed_in("ann").await;
    let id = ann.round_of("COIN_FLIP").await;
    for _ in 0..2 {
        ann.play(&id, heads(), "a").await.data("/playGame");
    }
    let refused = ann.play(&id, heads(), "a").await;
    assert_eq!(refused.extension("code"), "RATE_LIMITED");
    assert_eq!(refused.extension("retryAfter"), 60);
    app.clock.advance(Duration::from_mins(1));
    ann.play(&id, heads(), "a").await.data("/playGame");
}

#[tokio::test]
async fn one_plays_list_is_the_newest_first() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(ann.round_of("COIN_FLIP").await);
            app.clock.advance(Duration::from_millis(1));
        }
        ids.reverse();
        let page = ann.send(query!("rounds"), json!({ "first": 3 })).await;
        let of = |page: &Answer| -> Vec<String> {
            let nodes = page.data("/me/rounds/nodes").as_array().expect("a list").clone();
            nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect()
        };
        assert_eq!(of(&page), ids[..3]);
        let after = page.text("/me/rounds/pageInfo/endCursor");
        let rest = ann.send(query!("rounds"), json!({ "first": 3, "after": after })).await;
        assert_eq!(of(&rest), ids[3..]);
        assert_eq!(rest.data("/me/rounds/pageInfo/hasNextPage"), false);
        let bad = ann.send(query!("rounds"), json!({ "first": 0, "after": "x" })).await;
        assert_eq!(bad.errors(), ["BAD_USER_INPUT first", "BAD_USER_INPUT after"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_plays_at_once_on_two_instances_are_one() {
    on_each_shared_database(async |place| {
        let settings = [("LIMIT_PLAYS", "1000")];
        let app = TestApp::with(place, &settings).await;
        let other = app.beside(place, &settings).await;
        let ann = app.signed_in("ann").await;
        let there = other.bearing(ann.token.as_deref().expect("a token"));
        let mut wins = 0;
        for _ in 0..6 {
            let id = ann.round_of("COIN_FLIP").await;
            let callers = (0..30).map(|n| if n % 2 == 0 { &ann } else { &there });
            let same = join_all(callers.clone().map(|caller| caller.play(&id, heads(), "a"))).await;
            let answers: BTreeSet<String> =
                same.iter().map(|answer| answer.data("/playGame").to_string()).collect();
            assert_eq!(answers.len(), 1);
            wins += i64::from(same[0].data("/playGame/won") == true);
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM coin_entries").await, wins);
        let balance = ann.wallet().await["balance"].clone();
        assert_eq!(balance, wins);

        // Two minds at once: one of them is heard.
        app.clock.advance(Duration::from_mins(1));
        let id = ann.round_of("LUCKY_NUMBER").await;
        let plays = (1..=10).map(|number| (number, if number % 2 == 0 { &ann } else { &there }));
        let plays = plays.map(async |(number, caller)| {
            caller.play(&id, json!({ "luckyNumber": number }), "a").await
        });
        let answers = join_all(plays).await;
        let good = answers.iter().filter(|answer| answer.errors().is_empty()).count();
        assert_eq!(good, 1);
        let refused = answers.iter().filter(|answer| answer.errors() == ["ROUND_ALREADY_PLAYED"]);
        assert_eq!(refused.count(), 9);
    })
    .await;
}
