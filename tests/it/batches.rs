//! Batch writes: many credits and many messages by a few statements.

use std::cell::Cell;
use std::collections::HashSet;
use std::iter;
use std::pin::pin;

use futures_util::poll;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::ConnectionTrait;
use serde_json::json;
use switchboard::coins::{
    Credit, CreditOutcome, EntryReason, MAX_BALANCE, Posting, is_out_of_range, post, post_many,
    verify_ledger, wallet_topic,
};
use switchboard::ids::{MessageId, UserId, parse};
use switchboard::messages::{
    Kind, MessageText, NewMessage, enqueue, enqueue_many, transitions_topic,
};
use switchboard::platform::phone::PhoneNumber;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::{TestApp, on_each_database, on_each_shared_database};

const CASES: u32 = 64;
const WALLETS: usize = 3;

/// The name in entries of bonuses.
const REASON: EntryReason = EntryReason::Bonus;

async fn sign_up(app: &TestApp, nickname: &str) -> UserId {
    let me = app.signed_in(nickname).await.send("{ me { id } }", json!({})).await;
    parse(me.text("/me/id")).expect("an id")
}

async fn sign_up_many(app: &TestApp, prefix: &str) -> Vec<UserId> {
    let mut users = Vec::new();
    for number in 0..WALLETS {
        users.push(sign_up(app, &format!("{prefix}{number}")).await);
    }
    users
}

fn credit(user: UserId, amount: i64, reference: impl Into<String>) -> Credit {
    Credit { user, amount, reference: reference.into() }
}

fn posting(Credit { user, amount, reference }: Credit) -> Posting {
    Posting { user, amount, reason: REASON, reference, note: None }
}

async fn post_batch(app: &TestApp, credits: &[Credit]) -> Vec<CreditOutcome> {
    let platform = &app.app.platform;
    let work = platform.begin().await.expect("begun");
    let outcomes = post_many(&work, platform, REASON, credits).await.expect("posted");
    work.commit().await.expect("committed");
    outcomes
}

/// Posts credits one by one, in one transaction. A credit that a wallet cannot take closes the wallet.
async fn post_each(app: &TestApp, credits: &[Credit]) -> Vec<CreditOutcome> {
    let platform = &app.app.platform;
    let work = platform.begin().await.expect("begun");
    let mut closed = HashSet::new();
    let mut outcomes = Vec::new();
    for credit in credits {
        let savepoint = work.savepoint().await.expect("a savepoint");
        let mut single = posting(credit.clone());
        if single.amount <= 0 {
            // A single posting may remove coins, but a credit must not.
            single.amount = i64::MAX;
        }
        let result = post(&savepoint, platform, single).await;
        let is_open = !closed.contains(&credit.user);
        outcomes.push(match result {
            Ok(_) if is_open => {
                savepoint.release().await.expect("released");
                CreditOutcome::Posted
            }
            Err(error) if !is_out_of_range(&error) => CreditOutcome::Repeated,
            _ => {
                closed.insert(credit.user);
                CreditOutcome::OutOfRange
            }
        });
    }
    work.commit().await.expect("committed");
    outcomes
}

async fn assert_ledger_is_consistent(app: &TestApp) {
    let report = verify_ledger(&app.app.platform, |_| ()).await.expect("read");
    assert!(report.is_consistent(), "{report:?}");
}

/// The wallets and entries of users, with their references after the prefix.
async fn state(app: &TestApp, users: &[UserId], reference_prefix: &str) -> Vec<String> {
    use switchboard::ids::Id;
    let is_postgres = app.app.platform.database.product_name() == "PostgreSQL";
    let mut lines = Vec::new();
    for user in users {
        let id = user.uuid().simple();
        let id = if is_postgres { format!("'{id}'") } else { format!("x'{id}'") };
        let aggregate = |columns: &str| match is_postgres {
            true => format!("string_agg(concat_ws(' ', {columns}), ', ' ORDER BY number)"),
            false => format!("group_concat(concat_ws(' ', {columns}), ', ' ORDER BY number)"),
        };
        let offset = reference_prefix.len() + 1;
        let columns = format!("amount, balance_after, reason, substr(reference, {offset})");
        let sql = format!(
            "SELECT coalesce({}, '') FROM coin_entries WHERE user_id = {id} AND reference LIKE '{reference_prefix}%'",
            aggregate(&columns)
        );
        let sum = format!(
            "SELECT coalesce(max(CAST(balance AS text)), '0') FROM wallets WHERE user_id = {id}"
        );
        lines.push(app.select::<String>(&sql).await);
        lines.push(app.select::<String>(&sum).await);
    }
    lines
}

/// A credit of a case: wallet, amount and reference.
type Item = (usize, i64, u8);

/// Balances before a batch, references posted before, and the batch.
fn cases() -> impl Strategy<Value = (Vec<bool>, Vec<Item>, Vec<Item>)> {
    let amount = prop_oneof![
        6 => 1..=3_i64,
        1 => Just(MAX_BALANCE - 3),
        1 => prop::sample::select(vec![0, -1, i64::MIN, MAX_BALANCE, MAX_BALANCE + 1, i64::MAX]),
    ];
    let item = (0..WALLETS, amount, 0..24_u8);
    let is_almost_full = vec(prop::bool::weighted(0.3), WALLETS);
    let before = (0..WALLETS, 1..=3_i64, 0..24_u8);
    (is_almost_full, vec(before, 0..4), vec(item, 0..24))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_credits_equals_single_postings() {
    on_each_database(async |app| {
        let (batched, single) =
            (sign_up_many(&app, "batch").await, sign_up_many(&app, "single").await);
        let number = Cell::new(0);
        let check = async |almost_full: &[bool], before: &[Item], batch: &[Item]| {
            number.set(number.get() + 1);
            let mut results = Vec::new();
            for (users, name) in [(&batched, "b"), (&single, "s")] {
                let prefix = format!("{name}{}.", number.get());
                // Each wallet begins almost empty or almost full.
                for (user, is_almost_full) in users.iter().zip(almost_full) {
                    let balance = state(&app, &[*user], "none").await.pop().expect("a wallet");
                    let balance: i64 = balance.parse().expect("a balance");
                    let wanted = if *is_almost_full { MAX_BALANCE - 4 } else { 0 };
                    if wanted != balance {
                        let reference = format!("start {prefix}{}", results.len());
                        let work = app.app.platform.begin().await.expect("begun");
                        let amount = wanted - balance;
                        let reference = format!("{reference}.{user}");
                        let start = posting(credit(*user, amount, reference));
                        post(&work, &app.app.platform, start)
                            .await
                            .map_err(|_| ())
                            .expect("posted");
                        work.commit().await.expect("committed");
                    }
                }
                let to_credit = |(wallet, amount, reference): &Item| {
                    credit(users[*wallet], *amount, format!("{prefix}{reference}"))
                };
                post_each(&app, &before.iter().map(to_credit).collect::<Vec<_>>()).await;
                let batch: Vec<Credit> = batch.iter().map(to_credit).collect();
                let outcomes = match name {
                    "b" => post_batch(&app, &batch).await,
                    _ => post_each(&app, &batch).await,
                };
                results.push((outcomes, state(&app, users, &prefix).await));
            }
            assert_eq!(results[0], results[1]);
        };
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&cases(), |(almost_full, before, batch)| {
            block_in_place(|| Handle::current().block_on(check(&almost_full, &before, &batch)));
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
        assert_ledger_is_consistent(&app).await;
    })
    .await;
}

#[tokio::test]
async fn batches_of_any_size_have_the_right_counts() {
    on_each_database(async |app| {
        let users = sign_up_many(&app, "player").await;
        assert_eq!(post_batch(&app, &[]).await, []);
        // Every reference twice: the second time it is repeated.
        let credits: Vec<Credit> = (0..100_000_usize)
            .map(|number| credit(users[number % WALLETS], 2, format!("ref {}", number / 2)))
            .collect();
        let count = |outcomes: &[CreditOutcome], wanted| {
            outcomes.iter().filter(|outcome| **outcome == wanted).count()
        };
        let outcomes = post_batch(&app, &credits).await;
        assert_eq!(count(&outcomes, CreditOutcome::Posted), 50_000);
        assert_eq!(count(&outcomes, CreditOutcome::Repeated), 50_000);
        let outcomes = post_batch(&app, &credits).await;
        assert_eq!(count(&outcomes, CreditOutcome::Repeated), 100_000);
        assert_eq!(app.count("SELECT CAST(sum(balance) AS bigint) FROM wallets").await, 100_000);
        assert_eq!(app.count("SELECT count(*) FROM coin_entries").await, 50_000);
        assert_ledger_is_consistent(&app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_batches_and_postings_post_each_reference_once() {
    on_each_shared_database(async |database| {
        let app = TestApp::new(database).await;
        let other = app.second_instance(database, &[]).await;
        let users = sign_up_many(&app, "player").await;
        for round in 0..8 {
            let forwards: Vec<Credit> = (0..40)
                .map(|number| credit(users[number % WALLETS], 1, format!("{round}.{number}")))
                .collect();
            let backwards: Vec<Credit> = forwards.iter().rev().cloned().collect();
            let single = async {
                for credit in &forwards[10..14] {
                    post_each(&app, std::slice::from_ref(credit)).await;
                }
            };
            let (one, two, ()) =
                tokio::join!(post_batch(&app, &forwards), post_batch(&other, &backwards), single);
            let posted =
                one.iter().chain(&two).filter(|outcome| **outcome == CreditOutcome::Posted).count();
            assert!((36..=40).contains(&posted), "{posted}");
            assert_eq!(app.count("SELECT count(*) FROM coin_entries").await, 40 * (round + 1));
        }
        assert_ledger_is_consistent(&app).await;
    })
    .await;
}

#[tokio::test]
async fn the_commit_of_a_batch_is_published_once_for_each_wallet() {
    on_each_database(async |app| {
        let (platform, users) = (&app.app.platform, sign_up_many(&app, "player").await);
        let listen = |user: UserId| platform.events.listen(wallet_topic(user));
        let (mut changed, mut unchanged) = (listen(users[0]), listen(users[1]));
        let work = platform.begin().await.expect("begun");
        let credits = [
            credit(users[0], 1, "a"),
            credit(users[0], 1, "b"),
            credit(users[1], MAX_BALANCE + 1, "c"),
        ];
        post_many(&work, platform, REASON, &credits).await.expect("posted");
        assert!(poll!(pin!(changed.changed())).is_pending(), "not committed yet");
        work.commit().await.expect("committed");
        changed.changed().await;
        assert!(poll!(pin!(changed.changed())).is_pending(), "once");
        assert!(poll!(pin!(unchanged.changed())).is_pending());
    })
    .await;
}

fn with_ids(app: &TestApp, new: Vec<NewMessage>) -> Vec<(MessageId, NewMessage)> {
    new.into_iter().map(|message| (app.app.platform.new_id(), message)).collect()
}

fn messages(campaign: Option<&str>) -> Vec<NewMessage> {
    let phone = |number: u32| {
        PhoneNumber::parse(&format!("+3161000{number:04}"), None).expect("a phone number")
    };
    let texts = ["plain", "naïve «emoji» 😀", "it's \"quoted\" \\ and\nbroken"];
    let plain = iter::zip(0.., texts).map(|(number, text)| NewMessage {
        kind: Kind::Bonus,
        to: phone(number),
        text: MessageText::Plain(text.to_owned()),
        campaign: campaign.map(str::to_owned),
        expires_at: None,
    });
    let secret = NewMessage {
        kind: Kind::Code,
        to: phone(9),
        text: MessageText::Secret {
            text: "Code 123456".to_owned().into(),
            masked: "Code ***".into(),
        },
        campaign: None,
        expires_at: Some(
            crate::support::start_time() + std::time::Duration::from_millis(86_400_123),
        ),
    };
    plain.chain([secret]).collect()
}

#[tokio::test]
async fn a_batch_of_messages_equals_single_ones() {
    on_each_database(async |app| {
        let (platform, outbox) = (&app.app.platform, &app.app.messages);
        let mut transitions = platform.events.listen(transitions_topic());
        let work = platform.begin().await.expect("begun");
        enqueue_many(outbox, platform, &work, Vec::new()).await.expect("queued");
        let new = with_ids(&app, messages(Some("spring")));
        let count = i64::try_from(new.len()).expect("few");
        enqueue_many(outbox, platform, &work, new).await.expect("queued");
        assert!(poll!(pin!(transitions.changed())).is_pending());
        work.commit().await.expect("committed");
        transitions.changed().await;
        let work = platform.begin().await.expect("begun");
        for message in messages(Some("spring")) {
            enqueue(outbox, platform, &work, message).await.expect("queued");
        }
        work.commit().await.expect("committed");
        assert_eq!(app.count("SELECT count(*) FROM messages").await, 2 * count);
        // Equal rows, but for their ids and the encryption of the secret.
        let distinct = "SELECT count(*) FROM (SELECT DISTINCT kind, phone, body, \
            length(sealed_body), encoding, segments, campaign, status, attempts, manual_retries, \
            gateway, gateway_id, pinned_gateway, error, created_at, queued_at, due_at, expires_at, \
            attempted_at, sent_at, delivered_at FROM messages) AS messages";
        assert_eq!(app.count(distinct).await, count);
        app.run_due_jobs().await;
        let sent = app.sent_sms("+31610000009").await;
        assert_eq!(sent.len(), 2, "the secret opens");
        assert_eq!(
            app.count("SELECT count(*) FROM messages WHERE status = 'SENT'").await,
            2 * count
        );
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_is_rolled_back_leaves_nothing() {
    on_each_database(async |app| {
        let (platform, user) = (&app.app.platform, sign_up(&app, "ann").await);
        let work = platform.begin().await.expect("begun");
        let credits = [credit(user, 1, "a")];
        post_many(&work, platform, REASON, &credits).await.expect("posted");
        let new = with_ids(&app, messages(None));
        enqueue_many(&app.app.messages, platform, &work, new).await.expect("queued");
        work.execute_unprepared("SELECT 1").await.expect("still usable");
        drop(work);
        for table in ["wallets", "coin_entries", "messages"] {
            assert_eq!(app.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        assert_eq!(post_batch(&app, &credits).await, [CreditOutcome::Posted]);
    })
    .await;
}
