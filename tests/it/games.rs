//! Rounds: their outcome is committed before the play, they are played once, and everyone can verify them afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Caller, GraphQLResponse, PASSWORD, TestApp, TestDatabase, on_each_database,
    on_each_shared_database, query,
};

fn heads() -> Value {
    json!({ "coinFlip": "HEADS" })
}

#[tokio::test]
async fn all_games_are_listed() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let games = app.anonymous().send("{ games { kind title rules maxPoints } }", json!({})).await;
    let games = games.data("/games").as_array().expect("a list").clone();
    let listed: Vec<_> = games.iter().map(|game| (&game["kind"], &game["maxPoints"])).collect();
    assert_eq!(json!(listed), json!([["COIN_FLIP", 20], ["DICE", 1000], ["LUCKY_NUMBER", 100]]),);
}

#[tokio::test]
async fn outcomes_are_committed_before_and_revealed_after_the_play() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let started = ann.start_round("DICE").await;
        let started = started.data("/startRound");
        let id = started["id"].as_str().expect("an id").to_owned();
        let hidden_fields =
            ["serverSeed", "clientSeed", "move", "played", "outcome", "won", "points", "playedAt"];
        for name in hidden_fields {
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
        let verification = app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
        assert_eq!(verification.data("/verifyRound/valid"), true);
        assert_eq!(verification.data("/verifyRound/outcome"), &round["outcome"]);
        assert_eq!(verification.data("/verifyRound/serverSeedHash"), &started["serverSeedHash"]);
        let steps = verification.text("/verifyRound/explanation");
        for part in [round["serverSeed"].as_str().expect("a seed"), &id, "lucky", &roll.to_string()]
        {
            assert!(steps.contains(part), "{part}: {steps}");
        }
    })
    .await;
}

#[tokio::test]
async fn repeated_plays_get_the_same_round_and_different_plays_are_rejected() {
    on_each_database(async |app| {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let id = ann.start_round_id("COIN_FLIP").await;
        let first = ann.play(&id, heads(), "a").await;
        app.clock.advance(Duration::from_mins(6));
        let repeated = ann.play(&id, heads(), "a").await;
        assert_eq!(first.data("/playGame"), repeated.data("/playGame"));
        for (played, seed) in [(json!({ "coinFlip": "TAILS" }), "a"), (heads(), "b")] {
            ann.play(&id, played, seed).await.assert_error("ROUND_ALREADY_PLAYED", "");
        }
        bob.play(&id, heads(), "a").await.assert_error("NOT_FOUND", "");
        ann.play("rnd_nothing", heads(), "a").await.assert_error("NOT_FOUND", "");
        app.anonymous().play(&id, heads(), "a").await.assert_error("UNAUTHENTICATED", "");
        let round = async |caller: &Caller| caller.send(query!("round"), json!({ "id": id })).await;
        assert_eq!(round(&ann).await.data("/round/status"), "PLAYED");
        round(&bob).await.assert_error("NOT_FOUND", "");
        round(&app.anonymous()).await.assert_error("UNAUTHENTICATED", "");
    })
    .await;
}

#[tokio::test]
async fn invalid_moves_and_seeds_are_rejected_at_their_field() {
    let app = TestApp::with(&TestDatabase::Memory, &[("LIMIT_PLAYS", "1000")]).await;
    let ann = app.signed_in("ann").await;
    let [coin, dice, number] =
        ["COIN_FLIP", "DICE", "LUCKY_NUMBER"].map(|game| ann.start_round_id(game));
    let (coin, dice, number) = (coin.await, dice.await, number.await);
    let roll = |target: i64, over: bool| json!({ "dice": { "target": target, "over": over } });
    let max_len_seed = "\u{e9}".repeat(64);
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
    let two_errors = ann.play(&dice, roll(0, true), "").await;
    assert_eq!(
        two_errors.errors(),
        ["BAD_USER_INPUT clientSeed", "BAD_USER_INPUT move.dice.target"]
    );
    ann.play(&coin, heads(), &max_len_seed).await.data("/playGame");
    ann.play(&dice, roll(5, true), " a ").await.data("/playGame");
    ann.start_round("CHESS").await.assert_error("BAD_USER_INPUT", "game");
    let repeated_key = format!(
        r#"mutation {{ playGame(input: {{
            roundId: "{number}", clientSeed: "a", move: {{ luckyNumber: 1, luckyNumber: 2 }}
        }}) {{ id }} }}"#
    );
    let rejected = ann.send(&repeated_key, json!({})).await;
    rejected.assert_error("GRAPHQL_VALIDATION_FAILED", "");
}

#[tokio::test]
async fn unplayed_rounds_expire_and_reveal_their_seed() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let id = ann.start_round_id("COIN_FLIP").await;
        let verify =
            || async { app.anonymous().send(query!("verify_round"), json!({ "id": id })).await };
        assert_eq!(verify().await.errors(), ["CONFLICT id"], "the seed of an open round is secret");
        let sealed_seeds =
            "SELECT COUNT(*) FROM rounds WHERE seed IS NULL AND sealed_seed IS NOT NULL";
        assert_eq!(app.count(sealed_seeds).await, 1);
        app.clock.advance(Duration::from_mins(1));
        ann.start_round_id("COIN_FLIP").await;
        app.clock.advance(Duration::from_mins(4));
        for job_ran in [false, true] {
            if job_ran {
                app.advance(Duration::from_secs(90)).await;
                assert_eq!(app.count(sealed_seeds).await, 0);
            }
            let read = ann.send(query!("round"), json!({ "id": id })).await;
            assert_eq!(read.data("/round/status"), "EXPIRED");
            let expired = "SELECT COUNT(*) FROM rounds WHERE status = 'EXPIRED'";
            assert_eq!(
                app.count(expired).await,
                if job_ran { 2 } else { 1 },
                "written by the read"
            );
            let seed = read.text("/round/serverSeed").to_owned();
            ann.play(&id, heads(), "a").await.assert_error("ROUND_EXPIRED", "");
            let verification = verify().await;
            assert_eq!(verification.data("/verifyRound/valid"), true);
            assert_eq!(verification.data("/verifyRound/outcome"), &Value::Null);
            assert!(verification.text("/verifyRound/explanation").contains(&seed));
        }
        let unknown = app.anonymous().send(query!("verify_round"), json!({ "id": "rnd_x" })).await;
        unknown.assert_error("NOT_FOUND", "");
    })
    .await;
}

#[tokio::test]
async fn rounds_with_revealed_seeds_cannot_be_played_on_lagging_instances() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let lagging = app.lagging_instance(database, Duration::from_secs(1)).await;
        let ann = app.signed_in("ann").await;
        let ann_on_other = lagging.with_token(ann.token.as_deref().expect("a token"));
        let read_round = json!({ "id": ann.start_round_id("COIN_FLIP").await });
        let listed_round = ann.start_round_id("COIN_FLIP").await;
        let verified_round = json!({ "id": ann.start_round_id("COIN_FLIP").await });
        app.clock.advance(Duration::from_mins(5));
        lagging.clock.advance(Duration::from_mins(5));
        ann.send(query!("round"), read_round.clone()).await.text("/round/serverSeed");
        let id = read_round["id"].as_str().expect("an id");
        ann_on_other.play(id, heads(), "a").await.assert_error("ROUND_EXPIRED", "");
        let rounds = ann.send(query!("rounds"), json!({ "first": 10 })).await;
        let nodes = rounds.nodes("/me/rounds");
        assert!(nodes.iter().all(|round| round["status"] == "EXPIRED"), "{nodes:?}");
        ann_on_other.play(&listed_round, heads(), "a").await.assert_error("ROUND_EXPIRED", "");
        let verification =
            app.anonymous().send(query!("verify_round"), verified_round.clone()).await;
        verification.data("/verifyRound/explanation");
        let id = verified_round["id"].as_str().expect("an id");
        ann_on_other.play(id, heads(), "a").await.assert_error("ROUND_EXPIRED", "");
    })
    .await;
}

#[tokio::test]
async fn verification_fails_for_altered_rounds() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let id = ann.start_round_id("LUCKY_NUMBER").await;
        ann.play(&id, json!({ "luckyNumber": 7 }), "a").await.data("/playGame");
        let verify = async || {
            let verification =
                app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
            verification.data("/verifyRound/valid") == true
        };
        assert!(verify().await);
        app.sql("CREATE TABLE backup AS SELECT * FROM rounds").await.expect("copied");
        for alteration in [
            "outcome = outcome % 10 + 1",
            "points = points + 1",
            "won = NOT won",
            "seed = seed_hash",
            "seed_hash = seed",
            "move = '{\"luckyNumber\":0}'",
            "move = 'unreadable'",
            "client_seed = NULL",
        ] {
            app.sql(&format!("UPDATE rounds SET {alteration}")).await.expect("altered");
            assert!(!verify().await, "{alteration}");
            app.sql("DELETE FROM rounds").await.expect("removed");
            app.sql("INSERT INTO rounds SELECT * FROM backup").await.expect("restored");
            assert!(verify().await);
        }
        // One of ten client seeds gives the same outcome.
        let mut is_noticed = false;
        for seed in ["b", "c", "d", "e", "f"] {
            let alteration = format!("UPDATE rounds SET client_seed = '{seed}'");
            app.sql(&alteration).await.expect("altered");
            is_noticed |= !verify().await;
        }
        assert!(is_noticed, "another client seed");
        app.sql("UPDATE rounds SET seed = NULL").await.expect("altered");
        let without_seed = app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
        without_seed.assert_error("CONFLICT", "id");
    })
    .await;
}

#[tokio::test]
async fn rounds_of_deleted_users_can_be_verified() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let (played, open) =
            (ann.start_round_id("DICE").await, ann.start_round_id("COIN_FLIP").await);
        let dice = json!({ "dice": { "target": 50, "over": true } });
        ann.play(&played, dice, "a").await.data("/playGame");
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        for id in [played, open] {
            let verification =
                app.anonymous().send(query!("verify_round"), json!({ "id": id })).await;
            assert_eq!(verification.data("/verifyRound/valid"), true);
        }
    })
    .await;
}

#[tokio::test]
async fn open_rounds_are_limited() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let ann_on_other = other.with_token(ann.token.as_deref().expect("a token"));
        let responses = join_all(
            (0..30)
                .map(|n| if n % 2 == 0 { &ann } else { &ann_on_other })
                .map(|caller| caller.start_round("DICE")),
        )
        .await;
        let (started, rejected): (Vec<GraphQLResponse>, Vec<GraphQLResponse>) =
            responses.into_iter().partition(|response| response.errors().is_empty());
        assert_eq!((started.len(), rejected.len()), (10, 20));
        assert!(rejected.iter().all(|response| response.extension("code") == "RATE_LIMITED"));
        let open_round = started[0].text("/startRound/id");
        ann.play(open_round, json!({ "dice": { "target": 50, "over": false } }), "a")
            .await
            .data("/playGame");
        ann.start_round("COIN_FLIP").await.data("/startRound");
        app.clock.advance(Duration::from_mins(1));
        let rejected = ann.start_round("COIN_FLIP").await;
        rejected.assert_error("RATE_LIMITED", "");
        assert_eq!(rejected.extension("retryAfter"), 240, "until the oldest open round expires");
        app.clock.advance(Duration::from_mins(4));
        ann.start_round("COIN_FLIP").await.data("/startRound");
    })
    .await;
}

#[tokio::test]
async fn plays_are_rate_limited_per_user() {
    let app = TestApp::with(&TestDatabase::Memory, &[("LIMIT_PLAYS", "2")]).await;
    let ann = app.signed_in("ann").await;
    let id = ann.start_round_id("COIN_FLIP").await;
    for _ in 0..2 {
        ann.play(&id, heads(), "a").await.data("/playGame");
    }
    let rejected = ann.play(&id, heads(), "a").await;
    rejected.assert_error("RATE_LIMITED", "");
    assert_eq!(rejected.extension("retryAfter"), 60);
    app.clock.advance(Duration::from_mins(1));
    ann.play(&id, heads(), "a").await.data("/playGame");
}

#[tokio::test]
async fn rounds_are_listed_newest_first() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(ann.start_round_id("COIN_FLIP").await);
            app.clock.advance(Duration::from_millis(1));
        }
        ids.reverse();
        let page = ann.send(query!("rounds"), json!({ "first": 3 })).await;
        let ids_of = |page: &GraphQLResponse| -> Vec<String> {
            let nodes = page.nodes("/me/rounds").to_vec();
            nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect()
        };
        assert_eq!(ids_of(&page), ids[..3]);
        let after = page.text("/me/rounds/pageInfo/endCursor");
        let next_page = ann.send(query!("rounds"), json!({ "first": 3, "after": after })).await;
        assert_eq!(ids_of(&next_page), ids[3..]);
        assert_eq!(next_page.data("/me/rounds/pageInfo/hasNextPage"), false);
        let invalid = ann.send(query!("rounds"), json!({ "first": 0, "after": "x" })).await;
        assert_eq!(invalid.errors(), ["BAD_USER_INPUT first", "BAD_USER_INPUT after"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_plays_on_two_instances_count_once() {
    on_each_shared_database(async |database| {
        let settings = [("LIMIT_PLAYS", "1000")];
        let app = TestApp::with(database, &settings).await;
        let other = app.second_instance(database, &settings).await;
        let ann = app.signed_in("ann").await;
        let ann_on_other = other.with_token(ann.token.as_deref().expect("a token"));
        let mut wins = 0;
        for _ in 0..6 {
            let id = ann.start_round_id("COIN_FLIP").await;
            let callers = (0..30).map(|n| if n % 2 == 0 { &ann } else { &ann_on_other });
            let repeated_plays =
                join_all(callers.clone().map(|caller| caller.play(&id, heads(), "a"))).await;
            let responses: BTreeSet<String> = repeated_plays
                .iter()
                .map(|response| response.data("/playGame").to_string())
                .collect();
            assert_eq!(responses.len(), 1);
            wins += i64::from(repeated_plays[0].data("/playGame/won") == true);
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM coin_entries").await, wins);
        let balance = ann.wallet().await["balance"].clone();
        assert_eq!(balance, wins);

        // Ten different moves at once: one of them wins the race.
        app.clock.advance(Duration::from_mins(1));
        let id = ann.start_round_id("LUCKY_NUMBER").await;
        let plays =
            (1..=10).map(|number| (number, if number % 2 == 0 { &ann } else { &ann_on_other }));
        let plays = plays.map(async |(number, caller)| {
            caller.play(&id, json!({ "luckyNumber": number }), "a").await
        });
        let responses = join_all(plays).await;
        let accepted = responses.iter().filter(|response| response.errors().is_empty()).count();
        assert_eq!(accepted, 1);
        let rejected =
            responses.iter().filter(|response| response.errors() == ["ROUND_ALREADY_PLAYED"]);
        assert_eq!(rejected.count(), 9);
    })
    .await;
}

#[tokio::test]
async fn rounds_are_listed_by_game() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let mut started = Vec::new();
        for game in ["COIN_FLIP", "DICE", "COIN_FLIP"] {
            started.insert(0, (game, ann.start_round_id(game).await));
            app.clock.advance(Duration::from_millis(1));
        }
        let query = "query ($game: GameKind) { me { rounds(game: $game) { nodes { id } } } }";
        for game in [Some("COIN_FLIP"), Some("DICE"), Some("LUCKY_NUMBER"), None] {
            let listed = ann.send(query, json!({ "game": game })).await;
            let of_game = started.iter().filter(|(kind, _)| game.is_none_or(|game| game == *kind));
            let expected: Vec<Value> = of_game.map(|(_, id)| json!({ "id": id })).collect();
            assert_eq!(listed.data("/me/rounds/nodes"), &json!(expected), "{game:?}");
        }
    })
    .await;
}
