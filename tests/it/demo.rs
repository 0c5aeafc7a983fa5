//! Demo data: it adds up, rounds can be verified, players can log in, and what existed before stays as it was.

use serde_json::json;
use switchboard::coins::verify_ledger;
use switchboard::dashboard::rebuild;
use switchboard::demo::{DemoOptions, DemoServices, DemoSummary, make_demo_data};

use crate::support::binary::switchboard;
use crate::support::{KEY_RING, TestApp, on_each_database, query};

const PASSWORD: &str = "everybody has this one";

async fn make(app: &TestApp, players: u64, days: u32) -> DemoSummary {
    let services = DemoServices {
        platform: &app.app.platform,
        messages: &app.app.messages,
        bonuses: &app.app.bonuses,
        connections: &app.app.connections,
    };
    let options = DemoOptions { players, days, password: PASSWORD.to_owned() };
    make_demo_data(services, &options, &|_, _, _| {}).await.expect("made")
}

#[tokio::test]
async fn demo_data_adds_up() {
    on_each_database(async |app| {
        let summary = make(&app, 300, 90).await;
        assert_eq!((summary.players, summary.rounds, summary.campaigns), (300, 3_000, 2));
        assert_eq!(app.count("SELECT COUNT(*) FROM users").await, 300);
        assert_eq!(app.count("SELECT COUNT(*) FROM rounds WHERE status = 'PLAYED'").await, 3_000);
        let report = verify_ledger(&app.app.platform, |_| {}).await.expect("verified");
        assert!(report.is_consistent() && report.entry_count > 500, "{:?}", report.differences);
        app.assert_counts().await;
        let rebuilt = rebuild(&app.app.platform, &|_| {}).await.expect("counted again");
        assert_eq!(rebuilt.differences, Vec::<String>::new());
        for (what, sql) in [
            (
                "won rounds without their coin",
                "SELECT COUNT(*) FROM rounds WHERE won AND NOT EXISTS (SELECT 1 FROM coin_entries \
                 WHERE reason = 'GAME_REWARD' AND coin_entries.user_id = rounds.user_id \
                 AND coin_entries.created_at = rounds.played_at)",
            ),
            (
                "campaigns that miscount",
                "SELECT COUNT(*) FROM campaigns WHERE credited <> (SELECT COUNT(*) FROM bonuses \
                 WHERE campaign_id = campaigns.id AND is_credited) OR credited <> (SELECT COUNT(*) \
                 FROM messages WHERE campaign = campaigns.name) OR credited = 0",
            ),
            (
                "what lies ahead, or before its player",
                "SELECT COUNT(*) FROM rounds JOIN users ON users.id = user_id WHERE played_at > \
                 '2026-01-02T03:04:05+00:00' OR started_at < users.created_at",
            ),
            ("rounds to count", "SELECT COUNT(*) FROM rounds WHERE NOT is_counted"),
        ] {
            assert_eq!(app.count(sql).await, 0, "{what}");
        }
        let calls = app.count("SELECT COUNT(*) FROM connection_calls").await;
        assert_eq!(app.count("SELECT CAST(SUM(calls) AS bigint) FROM connections").await, calls);
    })
    .await;
}

#[tokio::test]
async fn leaderboards_of_demo_data_have_all_rounds() {
    on_each_database(async |app| {
        make(&app, 300, 90).await;
        let difference = "SELECT COUNT(*) FROM (SELECT user_id, game, COUNT(*) AS rounds, \
             -SUM(points) AS points FROM rounds GROUP BY user_id, game) AS played \
             FULL JOIN (SELECT user_id, leaderboard_key, rounds, negated_points FROM leaderboard_rows \
             WHERE leaderboard_key LIKE 'ALL_TIME::_%') AS board \
             ON board.user_id = played.user_id AND leaderboard_key = 'ALL_TIME::' || game \
             WHERE played.rounds IS NULL OR board.rounds IS NULL OR played.rounds <> board.rounds \
             OR negated_points <> points";
        assert_eq!(app.count(difference).await, 0);
        let buckets = "SELECT COUNT(*) FROM (SELECT leaderboard_key, SUM(row_count) AS sum FROM \
             leaderboard_buckets GROUP BY leaderboard_key) AS buckets FULL JOIN (SELECT \
             leaderboard_key, COUNT(*) AS count FROM leaderboard_rows GROUP BY leaderboard_key) AS \
             board ON board.leaderboard_key = buckets.leaderboard_key WHERE sum IS NULL OR \
             count IS NULL OR sum <> count";
        assert_eq!(app.count(buckets).await, 0);
        let total = app
            .count("SELECT CAST(SUM(rounds) AS bigint) FROM leaderboard_rows WHERE leaderboard_key = 'ALL_TIME::'")
            .await;
        assert_eq!(total, 3_000);
        let days = "SELECT COUNT(DISTINCT leaderboard_key) FROM leaderboard_rows WHERE \
                    leaderboard_key LIKE 'DAY:%:'";
        assert_eq!(app.count(days).await, 8, "those that are kept");
        // Real rounds are counted on top.
        let ann = app.signed_in("ann").await;
        ann.win_rounds(1).await;
        let lost = app.count("SELECT COUNT(*) FROM rounds WHERE NOT is_counted").await - 1;
        app.run_due_jobs().await;
        let rounds = "SELECT CAST(SUM(rounds) AS bigint) FROM leaderboard_rows WHERE leaderboard_key = 'ALL_TIME::'";
        assert_eq!(app.count(rounds).await, 3_001 + lost);
    })
    .await;
}

#[tokio::test]
async fn demo_players_log_in_and_their_rounds_can_be_verified() {
    on_each_database(async |app| {
        let summary = make(&app, 60, 30).await;
        let nickname: String = app
            .select(
                "SELECT nickname FROM users WHERE phone IS NULL AND id IN (SELECT user_id FROM rounds) LIMIT 1",
            )
            .await;
        assert!(summary.first_nickname.starts_with("demo-"));
        let login = app.anonymous().log_in(&nickname, PASSWORD).await;
        let player = app.with_token(login.text("/login/accessToken"));
        let mine = player
            .send("{ me { name rounds(first: 5) { nodes { id status } } wallet { balance } } }", json!({}))
            .await;
        for round in mine.nodes("/me/rounds") {
            assert_eq!(round["status"], "PLAYED");
            let check = player.send(query!("verify_round"), json!({ "id": round["id"] })).await;
            assert_eq!(check.data("/verifyRound/valid"), true);
        }
    })
    .await;
}

#[tokio::test]
async fn demo_data_is_added_beside_what_exists() {
    on_each_database(async |app| {
        let ann = app.signed_in("ann").await;
        ann.win_rounds(3).await;
        app.run_due_jobs().await;
        let before = ann.send(query!("wallet"), json!({})).await.data("/me/wallet").clone();
        make(&app, 50, 10).await;
        make(&app, 50, 10).await;
        assert_eq!(app.count("SELECT COUNT(*) FROM users").await, 101);
        assert_eq!(ann.send(query!("wallet"), json!({})).await.data("/me/wallet"), &before);
        let report = verify_ledger(&app.app.platform, |_| {}).await.expect("verified");
        assert!(report.is_consistent(), "{:?}", report.differences);
        app.assert_counts().await;
        // Nothing of it is sent, expires or is counted by a job.
        let sent = app.count("SELECT COUNT(*) FROM messages WHERE status = 'QUEUED'").await;
        app.run_due_jobs().await;
        assert_eq!(sent, 0);
    })
    .await;
}

#[test]
fn the_command_makes_demo_data_in_development_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["demo", "--users", "40", "--days", "3"];
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("SECRET_KEYS", KEY_RING),
    ];
    let refused = switchboard(folder.path(), &production, &arguments).output().expect("it runs");
    assert!(!refused.status.success());
    let problem = String::from_utf8_lossy(&refused.stderr);
    assert!(problem.contains("for development only"), "{problem}");

    let settings = [("SECRET_KEYS", KEY_RING)];
    let made = switchboard(folder.path(), &settings, &arguments).output().expect("it runs");
    let (output, progress) =
        (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
    assert!(made.status.success(), "{progress}");
    assert!(output.starts_with("players: 40\nrounds: 400\ncampaigns: 1\n"), "{output}");
    assert!(progress.contains("rounds: 400 of 400"), "{progress}");
    let ledger = switchboard(folder.path(), &settings, &["ledger", "verify"]).output();
    assert!(ledger.expect("it runs").status.success());
    for bad in [["demo", "--users", "0", "--days", "3"], ["demo", "--users", "1", "--days", "0"]] {
        let refused = switchboard(folder.path(), &settings, &bad).output().expect("it runs");
        assert!(!refused.status.success());
    }
}
