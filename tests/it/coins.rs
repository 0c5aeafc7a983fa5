//! Coins: rewards, adjustments, wallets and the verification of the ledger.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::coins::{self, EntryReason, MAX_BALANCE};
use switchboard::error::ErrorCode;
use switchboard::ids::{UserId, parse};

use crate::support::socket::MODERN;
use crate::support::{Caller, PASSWORD, TestApp, on_each_database, on_each_shared_database, query};

async fn user_id_of(caller: &Caller) -> UserId {
    let me = caller.send("{ me { id } }", json!({})).await;
    parse(me.text("/me/id")).expect("an id")
}

#[tokio::test]
async fn won_rounds_pay_a_coin() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        assert_eq!(ann.wallet().await["balance"], 0);
        let won = ann.win_rounds(3).await;
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
        let second_page = ann.send(query!("wallet"), json!({ "after": after })).await;
        assert_eq!(second_page.data("/me/wallet/entries/nodes/0/balanceAfter"), 1);
        let verification = app.admin().await.send(query!("verify_ledger"), json!({})).await;
        let consistent_ledger =
            json!({ "consistent": true, "accounts": 1, "entries": 3, "differences": [] });
        assert_eq!(verification.data("/verifyLedger"), &consistent_ledger);
        ann.send(query!("verify_ledger"), json!({})).await.assert_error("FORBIDDEN", "");
    })
    .await;
}

#[tokio::test]
async fn wallet_changes_are_published_to_their_owner() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let ann = app.signed_in("ann").await;
        let mut socket = app.serve().await.initialized_socket(MODERN, ann.token.as_deref()).await;
        socket.subscribe("1", query!("wallet_changed"), json!({})).await;
        assert_eq!(socket.data("1").await["walletChanged"]["balance"], 0);
        ann.win_rounds(1).await;
        let change = socket.data("1").await;
        assert_eq!(change["walletChanged"]["balance"], 1);
        assert_eq!(change["walletChanged"]["entries"]["nodes"][0]["amount"], 1);
        let mut anonymous = app.serve().await.initialized_socket(MODERN, None).await;
        anonymous.subscribe("1", query!("wallet_changed"), json!({})).await;
        assert_eq!(anonymous.error("1").await, "UNAUTHENTICATED");
    })
    .await;
}

#[tokio::test]
async fn adjustments_by_another_process_are_published_within_a_second() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let command = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        let user = user_id_of(&ann).await;
        let mut socket = app.serve().await.initialized_socket(MODERN, ann.token.as_deref()).await;
        socket.subscribe("1", query!("wallet_changed"), json!({})).await;
        socket.data("1").await;
        for balance in [5, 10] {
            let adjusted = coins::adjust(&command.app.platform, user, 5, "a gift", None).await;
            adjusted.expect("posted");
            app.advance(Duration::from_secs(1)).await;
            assert_eq!(socket.data("1").await["walletChanged"]["balance"], balance);
            app.advance(Duration::from_secs(1)).await;
            socket.assert_quiet().await;
        }
        // Expired announcements are deleted with the next adjustment.
        app.advance(Duration::from_mins(6)).await;
        let adjusted = coins::adjust(&command.app.platform, user, 5, "a gift", None).await;
        adjusted.expect("posted");
        assert_eq!(app.count("SELECT COUNT(*) FROM announcements").await, 1);
    })
    .await;
}

#[tokio::test]
async fn adjustments_are_posted_once_and_within_the_balance_range() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let user = user_id_of(&ann).await;
        let adjust = async |amount: i64, note: &str, reference: Option<&str>| {
            coins::adjust(&app.app.platform, user, amount, note, reference).await
        };
        let entry = adjust(5, "a gift", Some("ticket 1")).await.expect("posted");
        assert_eq!(
            (entry.amount, entry.balance_after, entry.reason),
            (5, 5, EntryReason::Adjustment)
        );
        adjust(-3, "too many", Some("ticket 2")).await.expect("posted");
        let max = coins::MAX_BALANCE;
        for (amount, note, reference, code, field) in [
            (0, "x", None, ErrorCode::BadUserInput, "amount"),
            (1, "", None, ErrorCode::BadUserInput, "note"),
            (1, "x", Some(""), ErrorCode::BadUserInput, "reference"),
            (-3, "x", None, ErrorCode::Conflict, "amount"),
            (max - 1, "x", None, ErrorCode::Conflict, "amount"),
            (max + 1, "x", None, ErrorCode::Conflict, "amount"),
            (i64::MAX, "x", None, ErrorCode::Conflict, "amount"),
            (i64::MIN, "x", None, ErrorCode::Conflict, "amount"),
            (1, "repeated", Some("ticket 1"), ErrorCode::Conflict, "reference"),
            (-3, "repeated", Some("ticket 2"), ErrorCode::Conflict, "reference"),
        ] {
            let error = adjust(amount, note, reference).await.expect_err("rejected");
            let user_error = &error.user_errors()[0];
            assert_eq!(
                (user_error.code, user_error.field.as_deref()),
                (code, Some(field)),
                "{amount} {note}"
            );
        }
        let bob = user_id_of(&app.signed_in("bob").await).await;
        let overdraft = coins::adjust(&app.app.platform, bob, -1, "x", None).await;
        assert_eq!(
            overdraft.expect_err("rejected").code(),
            ErrorCode::Conflict,
            "bob has no wallet yet"
        );
        adjust(max - 2, "the maximum", None).await.expect("posted");
        let wallet = ann.wallet().await;
        assert_eq!(wallet["balance"], max);
        assert_eq!(wallet["entries"]["nodes"][2]["note"], "a gift");
        let ledger = coins::verify_ledger(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        assert_eq!((ledger.wallet_count, ledger.entry_count), (1, 3));
    })
    .await;
}

#[tokio::test]
async fn full_wallets_get_no_reward() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        let user = user_id_of(&ann).await;
        coins::adjust(&app.app.platform, user, MAX_BALANCE, "the maximum", None)
            .await
            .expect("posted");
        let won = ann.win_rounds(1).await;
        let round = ann.send(query!("round"), json!({ "id": won[0] })).await;
        assert_eq!(round.data("/round/reward"), &Value::Null);
        assert_eq!(ann.wallet().await["balance"], MAX_BALANCE);
        let ledger = coins::verify_ledger(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_adjustments_keep_the_ledger_consistent() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let users = [
            user_id_of(&app.signed_in("ann").await).await,
            user_id_of(&app.signed_in("bob").await).await,
        ];
        let adjustments = (0..60_usize).map(async |n| {
            let (app, user) = ([&app, &other][n % 2], users[n % 3 % 2]);
            let amount = if n % 4 == 3 { -3 } else { 2 };
            // Each is sent twice, as by a client that lost the response.
            let reference = format!("ticket {}", n / 2);
            let posted =
                coins::adjust(&app.app.platform, user, amount, "x", Some(&reference)).await;
            posted.map(|entry| entry.amount).map_err(|error| error.code())
        });
        let results = join_all(adjustments).await;
        let sum: i64 = results.iter().flatten().sum();
        assert!(
            results.iter().all(|result| matches!(result, Ok(_) | Err(ErrorCode::Conflict))),
            "{results:?}"
        );
        assert!(results.iter().filter(|result| result.is_ok()).count() <= 30);
        let total = app.count("SELECT CAST(SUM(balance) AS BIGINT) FROM wallets").await;
        assert_eq!(total, sum);
        let ledger = coins::verify_ledger(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_plays_adjustments_and_deletions_keep_the_ledger_consistent() {
    on_each_shared_database(async |database| {
        let settings = [("LIMIT_PLAYS", "1000"), ("DATABASE_CONNECTIONS", "8")];
        let app = TestApp::with(database, &settings).await;
        for iteration in 0..8 {
            let ann = app.signed_in(&format!("ann{iteration}")).await;
            let user = user_id_of(&ann).await;
            let rounds = join_all((0..8).map(|_| ann.start_round_id("COIN_FLIP"))).await;
            let plays = rounds.iter().map(async |round| {
                let played = ann.play(round, json!({ "coinFlip": "HEADS" }), "seed").await;
                let allowed_errors = ["UNAUTHENTICATED", "NOT_FOUND", "ROUND_EXPIRED"];
                let errors = played.errors();
                assert!(
                    errors.iter().all(|error| allowed_errors.contains(&&**error)),
                    "{errors:?}"
                );
            });
            let adjustments = (0..8).map(async |_| {
                let adjusted = coins::adjust(&app.app.platform, user, 1, "a gift", None).await;
                let error_code = adjusted.err().map(|error| error.code());
                assert!(
                    error_code.is_none_or(|code| code == ErrorCode::NotFound),
                    "{error_code:?}"
                );
            });
            let deletion = async {
                if iteration % 2 == 1 {
                    let input = json!({ "input": { "password": PASSWORD } });
                    ann.send(query!("delete_account"), input).await.data("/deleteAccount");
                }
            };
            tokio::join!(join_all(plays), join_all(adjustments), deletion);
        }
        let ledger = coins::verify_ledger(&app.app.platform, |_| ()).await.expect("read");
        assert!(ledger.is_consistent(), "{ledger:?}");
        let won = app.count("SELECT COUNT(*) FROM rounds WHERE won").await;
        let paid = "SELECT COUNT(*) FROM coin_entries WHERE reason = 'GAME_REWARD'";
        assert_eq!(app.count(paid).await, won);
    })
    .await;
}

#[tokio::test]
async fn tampering_with_the_ledger_is_detected() {
    on_each_database(async |app| {
        app.signed_in("bob").await;
        app.signed_in("ann").await.win_rounds(3).await;
        let verify = async || {
            let ledger = coins::verify_ledger(&app.app.platform, |_| ()).await.expect("read");
            ledger.differences.iter().map(|difference| difference.split_once(": ").expect("a user").1.to_owned()).collect::<Vec<_>>()
        };
        assert!(verify().await.is_empty());
        let insert_copy = "INSERT INTO coin_entries SELECT (SELECT id FROM users WHERE nickname = 'bob'), 1, id, 7, 7, \
                      reason, 'stolen', note, created_at FROM coin_entries WHERE number = 1";
        for (change, revert, expected) in [
            ("UPDATE wallets SET balance = 4", "UPDATE wallets SET balance = 3", "the wallet holds 4, its entries come to 3"),
            (
                "UPDATE wallets SET entry_count = 4",
                "UPDATE wallets SET entry_count = 3",
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
            (insert_copy, "DELETE FROM coin_entries WHERE reference = 'stolen'", "entry 1 is none of the wallet's"),
        ] {
            assert_ne!(app.sql(change).await.expect("done"), 0, "{change}");
            let differences = verify().await;
            assert!(differences.contains(&expected.to_owned()), "{change}: {differences:?}");
            app.sql(revert).await.expect("done");
            assert!(verify().await.is_empty(), "{revert}");
        }
    })
    .await;
}

#[tokio::test]
async fn deleted_accounts_keep_their_entries_and_lose_open_rounds() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        ann.win_rounds(2).await;
        let open = ann.start_round_id("DICE").await;
        let input = json!({ "input": { "password": PASSWORD } });
        ann.send(query!("delete_account"), input).await.data("/deleteAccount");
        for (rows, count) in [
            ("coin_entries", 2),
            ("wallets WHERE balance = 2", 1),
            ("rounds WHERE status = 'OPEN'", 0),
            ("rounds WHERE sealed_seed IS NOT NULL", 0),
            ("rounds WHERE NOT is_counted", 0),
        ] {
            assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {rows}")).await, count, "{rows}");
        }
        let new_ann = app.signed_in("ann").await;
        let wallet = new_ann.wallet().await;
        assert_eq!(
            (&wallet["balance"], &wallet["entries"]["nodes"]),
            (&json!(0), &Value::Array(vec![]))
        );
        let play =
            new_ann.play(&open, json!({ "dice": { "target": 50, "over": true } }), "a").await;
        play.assert_error("NOT_FOUND", "");
        app.advance(Duration::from_mins(10)).await;
    })
    .await;
}
