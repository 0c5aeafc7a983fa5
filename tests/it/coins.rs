//! Coins: every movement is an entry, every wallet the sum of its entries.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::coins::{self, MOST, Reason};
use switchboard::error::ErrorCode;
use switchboard::ids::{UserId, parse};

use crate::support::socket::MODERN;
use crate::support::{Caller, PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

async fn id_of(caller: &Caller) -> UserId {
    let me = caller.send("{ me { id } }", json!({})).await;
    parse(me.text("/me/id")).expect("an id")
}

#[tokio::test]
async fn a_round_that_is_won_pays_a_coin() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.wallet().await["balance"], 0);
        let won = ann.win(3).await;
        let wallet = ann.wallet().await;
        assert_eq!(wallet["balance"], 3);
        let entries = wallet["entries"]["nodes"].as_array().expect("a list");
        for (entry, (round, balance)) in entries.iter().zip(won.iter().rev().zip([3, 2, 1])) {
            assert_eq!((&entry["amount"], &entry["balanceAfter"]), (&json!(1), &json!(balance)));
            assert_eq!(
                (&entry["reason"], &entry["reference"]),
                (&json!("GAME_REWARD"), &json!(round))
            );
        }
        assert_eq!(entries.len(), 3);
        let read = ann.send(query!("round"), json!({ "id": won[0] })).await;
        assert_eq!(read.data("/round/reward/amount"), 1);
        let page = ann.send(query!("wallet"), json!({ "first": 2 })).await;
        assert_eq!(page.data("/me/wallet/entries/pageInfo/hasNextPage"), true);
        let after = page.text("/me/wallet/entries/pageInfo/endCursor");
        let rest = ann.send(query!("wallet"), json!({ "after": after })).await;
        assert_eq!(rest.data("/me/wallet/entries/nodes/0/balanceAfter"), 1);
        let check = app.admin().await.send(query!("verify_ledger"), json!({})).await;
        let sound = json!({ "consistent": true, "accounts": 1, "entries": 3, "differences": [] });
        assert_eq!(check.data("/verifyLedger"), &sound);
        assert_eq!(ann.send(query!("verify_ledger"), json!({})).await.errors(), ["FORBIDDEN"]);
    })
    .await;
}

#[tokio::test]
async fn a_wallet_is_watched() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let ann = app.signed_in("ann").await;
        let mut socket = app.serve().await.let_in(MODERN, ann.token.as_deref()).await;
        socket.subscribe("1", query!("wallet_changed"), json!({})).await;
        assert_eq!(socket.data("1").await["walletChanged"]["balance"], 0);
        ann.win(1).await;
        let now = socket.data("1").await;
        assert_eq!(now["walletChanged"]["balance"], 1);
        assert_eq!(now["walletChanged"]["entries"]["nodes"][0]["amount"], 1);
        let mut stranger = app.serve().await.let_in(MODERN, None).await;
        stranger.subscribe("1", query!("wallet_changed"), json!({})).await;
        assert_eq!(stranger.error("1").await, "UNAUTHENTICATED");
    })
    .await;
}

#[tokio::test]
async fn what_an_operator_sets_right_is_told_within_a_second() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let command = app.beside(place, &[]).await;
        let ann = app.signed_in("ann").await;
        let user = id_of(&ann).await;
        let mut socket = app.serve().await.let_in(MODERN, ann.token.as_deref()).await;
        socket.subscribe("1", query!("wallet_changed"), json!({})).await;
        socket.data("1").await;
        for balance in [5, 10] {
            let adjusted = coins::adjust(&command.app.platform, user, 5, "a gift", None).await;
            adjusted.expect("booked");
            app.advance(Duration::from_secs(1)).await;
            assert_eq!(socket.data("1").await["walletChanged"]["balance"], balance);
            app.advance(Duration::from_secs(1)).await;
            socket.is_quiet().await;
        }
        // Those that are over are removed by the next.
        app.advance(Duration::from_mins(6)).await;
        let adjusted = coins::adjust(&command.app.platform, user, 5, "a gift", None).await;
        adjusted.expect("booked");
        assert_eq!(app.count("SELECT COUNT(*) FROM announcements").await, 1);
    })
    .await;
}

#[tokio::test]
async fn an_operator_sets_coins_right_and_never_below_nothing() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let user = id_of(&ann).await;
        let adjust = async |amount: i64, note: &str, reference: Option<&str>| {
            coins::adjust(&app.app.platform, user, amount, note, reference).await
        };
        let entry = adjust(5, "a gift", Some("ticket 1")).await.expect("booked");
        assert_eq!((entry.amount, entry.balance_after, entry.reason), (5, 5, Reason::Adjustment));
        adjust(-3, "too many", Some("ticket 2")).await.expect("booked");
        let most = coins::MOST;
        for (amount, note, reference, code, field) in [
            (0, "x", None, ErrorCode::BadUserInput, "amount"),
            (1, "", None, ErrorCode::BadUserInput, "note"),
            (1, "x", Some(""), ErrorCode::BadUserInput, "reference"),
            (-3, "x", None, ErrorCode::Conflict, "amount"),
            (most - 1, "x", None, ErrorCode::Conflict, "amount"),
            (most + 1, "x", None, ErrorCode::Conflict, "amount"),
            (i64::MAX, "x", None, ErrorCode::Conflict, "amount"),
            (i64::MIN, "x", None, ErrorCode::Conflict, "amount"),
            (1, "again", Some("ticket 1"), ErrorCode::Conflict, "reference"),
            (-3, "there are too few by now", Some("ticket 2"), ErrorCode::Conflict, "reference"),
        ] {
            let error = adjust(amount, note, reference).await.expect_err("refused");
            let told = &error.failures()[0];
            assert_eq!((told.code, told.field.as_deref()), (code, Some(field)), "{amount} {note}");
        }
        let bob = id_of(&app.signed_in("bob").await).await;
        let below = coins::adjust(&app.app.platform, bob, -1, "x", None).await;
        assert_eq!(below.expect_err("refused").code(), ErrorCode::Conflict, "there was no wallet");
        adjust(most - 2, "all there is", None).await.expect("booked");
        let wallet = ann.wallet().await;
        assert_eq!(wallet["balance"], most);
        assert_eq!(wallet["entries"]["nodes"][2]["note"], "a gift");
        let ledger = coins::verify(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        assert_eq!((ledger.accounts, ledger.entries), (1, 3));
    })
    .await;
}

#[tokio::test]
async fn whose_wallet_is_full_wins_without_a_coin() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let user = id_of(&ann).await;
        coins::adjust(&app.app.platform, user, MOST, "all there is", None).await.expect("booked");
        let won = ann.win(1).await;
        let round = ann.send(query!("round"), json!({ "id": won[0] })).await;
        assert_eq!(round.data("/round/reward"), &Value::Null);
        assert_eq!(ann.wallet().await["balance"], MOST);
        let ledger = coins::verify(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_that_come_and_go_at_once_add_up() {
    on_each_shared_database(async |place| {
        let app = TestApp::new(place).await;
        let other = app.beside(place, &[]).await;
        let users =
            [id_of(&app.signed_in("ann").await).await, id_of(&app.signed_in("bob").await).await];
        let movements = (0..60_usize).map(async |n| {
            let (app, user) = ([&app, &other][n % 2], users[n % 3 % 2]);
            let amount = if n % 4 == 3 { -3 } else { 2 };
            // Each is asked for twice, as by somebody who got no answer.
            let reference = format!("ticket {}", n / 2);
            let booked =
                coins::adjust(&app.app.platform, user, amount, "x", Some(&reference)).await;
            booked.map(|entry| entry.amount).map_err(|error| error.code())
        });
        let all = join_all(movements).await;
        let sum: i64 = all.iter().flatten().sum();
        assert!(
            all.iter().all(|booked| matches!(booked, Ok(_) | Err(ErrorCode::Conflict))),
            "{all:?}"
        );
        assert!(all.iter().filter(|booked| booked.is_ok()).count() <= 30);
        let total = app.count("SELECT CAST(SUM(balance) AS BIGINT) FROM wallets").await;
        assert_eq!(total, sum);
        let ledger = coins::verify(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_are_won_while_coins_are_set_right_and_accounts_deleted() {
    on_each_shared_database(async |place| {
        let settings = [("LIMIT_PLAYS", "1000"), ("DATABASE_CONNECTIONS", "8")];
        let app = TestApp::with(place, &settings).await;
        for turn in 0..8 {
            let ann = app.signed_in(&format!("ann{turn}")).await;
            let user = id_of(&ann).await;
            let rounds = join_all((0..8).map(|_| ann.round_of("COIN_FLIP"))).await;
            let plays = rounds.iter().map(async |round| {
                let played = ann.play(round, json!({ "coinFlip": "HEADS" }), "seed").await;
                let is_lost = ["UNAUTHENTICATED", "NOT_FOUND", "ROUND_EXPIRED"];
                let errors = played.errors();
                assert!(errors.iter().all(|error| is_lost.contains(&&**error)), "{errors:?}");
            });
            let adjustments = (0..8).map(async |_| {
                let booked = coins::adjust(&app.app.platform, user, 1, "a gift", None).await;
                let refused = booked.err().map(|error| error.code());
                assert!(refused.is_none_or(|code| code == ErrorCode::NotFound), "{refused:?}");
            });
            let deletion = async {
                if turn % 2 == 1 {
                    let input = json!({ "input": { "password": PASSWORD } });
                    ann.send(query!("delete_account"), input).await.data("/deleteAccount");
                }
            };
            tokio::join!(join_all(plays), join_all(adjustments), deletion);
        }
        let ledger = coins::verify(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        let won = app.count("SELECT COUNT(*) FROM rounds WHERE won").await;
        let paid = "SELECT COUNT(*) FROM coin_entries WHERE reason = 'GAME_REWARD'";
        assert_eq!(app.count(paid).await, won);
    })
    .await;
}

#[tokio::test]
async fn a_ledger_that_was_tampered_with_is_told() {
    on_each_database(async |app| {
        app.signed_in("bob").await;
        app.signed_in("ann").await.win(3).await;
        let verify = async || {
            let ledger = coins::verify(&app.app.platform, |_| ()).await.expect("read");
            ledger.differences.iter().map(|told| told.split_once(": ").expect("whose").1.to_owned()).collect::<Vec<_>>()
        };
        assert!(verify().await.is_empty());
        let copied = "INSERT INTO coin_entries SELECT (SELECT id FROM users WHERE nickname = 'bob'), 1, id, 7, 7, \
                      reason, 'stolen', note, created_at FROM coin_entries WHERE number = 1";
        for (change, back, told) in [
            ("UPDATE wallets SET balance = 4", "UPDATE wallets SET balance = 3", "the wallet holds 4, its entries come to 3"),
            (
                "UPDATE wallets SET entries = 4",
                "UPDATE wallets SET entries = 3",
                "the wallet says 4 entries, of which the last is 3",
            ),
            (
                "UPDATE coin_entries SET amount = 2 WHERE number = 2",
                "UPDATE coin_entries SET amount = 1 WHERE number = 2",
                "entry 2 says 2 after 1 and 2",
            ),
            (
                "UPDATE coin_entries SET number = 9 WHERE number = 3",
                "UPDATE coin_entries SET number = 3 WHERE number = 9",
                "entry 9 is none of the wallet's",
            ),
            (copied, "DELETE FROM coin_entries WHERE reference = 'stolen'", "entry 1 is none of the wallet's"),
        ] {
            assert_ne!(app.sql(change).await.expect("done"), 0, "{change}");
            let found = verify().await;
            assert!(found.contains(&told.to_owned()), "{change}: {found:?}");
            app.sql(back).await.expect("done");
            assert!(verify().await.is_empty(), "{back}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_deleted_leaves_what_was_booked_and_nothing_that_can_be_played() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        ann.win(2).await;
        let open = ann.round_of("DICE").await;
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        for (what, count) in [
            ("coin_entries", 2),
            ("wallets WHERE balance = 2", 1),
            ("rounds WHERE status = 'OPEN'", 0),
            ("rounds WHERE sealed_seed IS NOT NULL", 0),
            ("rounds WHERE NOT is_tallied", 0),
        ] {
            assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {what}")).await, count, "{what}");
        }
        let anew = app.signed_in("ann").await;
        let wallet = anew.wallet().await;
        assert_eq!(
            (&wallet["balance"], &wallet["entries"]["nodes"]),
            (&json!(0), &Value::Array(vec![]))
        );
        let round = anew.play(&open, json!({ "dice": { "target": 50, "over": true } }), "a").await;
        assert_eq!(round.errors(), ["NOT_FOUND"]);
        app.advance(Duration::from_mins(10)).await;
    })
    .await;
}
