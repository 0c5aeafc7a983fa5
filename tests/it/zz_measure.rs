use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use switchboard::dashboard::rebuild;

use crate::support::{TestApp, TestDatabase, on_each_shared_database};

#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn measure() {
    on_each_shared_database(async |database| {
        let app = TestApp::with(database, &[("LIMIT_PLAYS", "100000")]).await;
        let other = app.second_instance(database, &[]).await;
        let ann = app.signed_in("ann").await;
        ann.win_rounds(1).await;
        app.advance(std::time::Duration::from_secs(1)).await;
        let is_pg = matches!(database, TestDatabase::Postgres { .. });
        let (id, at) = match is_pg {
            true => ("(lpad(to_hex(1735689600000 + i * 100000), 12, '0') || '7000800000000000' || lpad(to_hex(i), 4, '0'))::uuid",
                "timestamptz '2025-01-01 00:00:00Z' + i * interval '100 seconds'"),
            _ => ("unhex(printf('%012x', 1735689600000 + i * 100000) || '70008000' || printf('%012x', i))",
                "strftime('%Y-%m-%dT%H:%M:%S', 1735689600 + i * 100, 'unixepoch') || '+00:00'"),
        };
        let id = if is_pg { id.replace("'7000800000000000' || lpad(to_hex(i), 4, '0')", "'70008000' || lpad(to_hex(i), 12, '0')") } else { id.to_owned() };
        let sql = format!("INSERT INTO rounds (id, user_id, game, status, seed_hash, won, points, is_counted, started_at, expires_at, played_at)
            WITH RECURSIVE counter (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counter WHERE i < 300000)
            SELECT {id}, (SELECT id FROM users LIMIT 1), 'DICE', 'PLAYED', {hash}, true, 10, true, {at}, {at}, {at} FROM counter",
            hash = if is_pg { "'\\x00'::bytea" } else { "x'00'" });
        app.sql(&sql).await.expect("rounds");
        for round in 0..2 {
            let is_over = AtomicBool::new(false);
            let begun = Instant::now();
            let rebuilding = async {
                let report = rebuild(&other.app.platform, &|_| {}).await.expect("rebuilt");
                is_over.store(true, Ordering::Relaxed);
                report.differences.len()
            };
            let plays = async {
                let mut times = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    ann.win_rounds(1).await;
                    times.push(begun.elapsed().as_millis());
                }
                times.sort_unstable();
                times
            };
            let (differences, times) = tokio::join!(rebuilding, plays);
            let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
            eprintln!("{} run {round}: {differences} differences in {:?}; {} wins, median {middle} ms, slowest {last} ms",
                if is_pg { "PostgreSQL" } else { "SQLite" }, begun.elapsed(), times.len());
        }
    })
    .await;
}
