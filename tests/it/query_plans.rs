//! Plans of the statements that the program really runs: on a filled PostgreSQL with the settings of
//! `infra/postgresql.conf`, none reads a whole large table.
//!
//! Nobody keeps a list of statements. The examples of the documentation, which have each field of the schema, and all
//! background jobs run on copies of a filled database, and `auto_explain` logs the plan of every statement.

mod plans;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use plans::{Plan, read_plans};
use switchboard::demo::{DemoOptions, DemoServices, make_demo_data};

use crate::docs::{StartApp, pages, read, root_fields, run_page};
use crate::support::databases::TemporaryPostgres;
use crate::support::{TestApp, TestDatabase};

const TEMPLATE: &str = "filled";
/// A table with fewer rows is small.
const LARGE: i64 = 5_000;
/// A statement that reads so many rows of a table in vain lacks an index.
const MAX_ROWS_IN_VAIN: i64 = 2_000;

/// Tables that stay small, each with the reason.
const SMALL_TABLES: &[(&str, &str)] = &[
    ("announcements", "deleted after five minutes"),
    ("bonus_number_keys", "one row"),
    ("campaigns", "made by operators"),
    ("installation", "one row"),
    ("instances", "one for each instance"),
    ("leaderboard_buckets", "one for a thousand rows of a leaderboard"),
    ("leaderboard_state", "one row"),
    ("leases", "one for each job and running import"),
    ("message_gateways", "one for each gateway"),
    ("message_transitions", "folded after a minute"),
    ("revocations", "kept for an hour"),
    ("seaql_migrations", "one for each migration"),
    ("signing_keys", "one for each rotation"),
    ("statistic_deltas", "folded after five seconds"),
    ("unmatched_receipts", "kept for ten minutes"),
    ("write_probe", "one row"),
];

/// So many root fields may be left out by pages that stumble over what is there already.
const MAX_MISSING: usize = 3;

/// A server with the documented settings that logs the plan of each statement.
fn start_server() -> Option<TemporaryPostgres> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/postgresql.conf");
    let options = [
        "shared_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
        "auto_explain.log_timing=off",
        "auto_explain.log_format=json",
        "log_line_prefix=%a|",
        "log_min_duration_statement=-1",
        // Statistics must not change while the test runs.
        "autovacuum=off",
        // Less than documented: tests run beside others.
        "shared_buffers=128MB",
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-c", option]).collect();
    TemporaryPostgres::start(Some(&config), &options)
}

/// Fills the template with demo data, and with rows for the other tables.
async fn fill(server: &TemporaryPostgres) {
    server.run("postgres", &format!("CREATE DATABASE {TEMPLATE}")).await;
    let database = TestDatabase::At { url: server.url_of(TEMPLATE) };
    // Another seed than that of the apps that run on copies, which would make the same ids.
    let app = TestApp::new(&database).await.instance(&database, &[], 9).await;
    let services = DemoServices {
        platform: &app.app.platform,
        messages: &app.app.messages,
        bonuses: &app.app.bonuses,
        connections: &app.app.connections,
    };
    let options =
        DemoOptions { players: 10_000, days: 60, password: "everybody has this one".to_owned() };
    make_demo_data(services, &options, &|_, _, _| {}).await.expect("made");
    app.app.platform.database.close();
    server.run(TEMPLATE, include_str!("query_plans/fill.sql")).await;
    server.run(TEMPLATE, "VACUUM").await;
    server.run(TEMPLATE, "ANALYZE").await;
}

/// The number of rows of each table, as the planner knows it.
async fn row_counts(server: &TemporaryPostgres) -> BTreeMap<String, i64> {
    let sql = "SELECT string_agg(relname || ' ' || reltuples::bigint, ',') FROM pg_class \
               WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let app = TestApp::new(&TestDatabase::At { url: server.url_of(TEMPLATE) }).await;
    let list: String = app.select(sql).await;
    app.app.platform.database.close();
    let count = |part: &str| {
        let (table, count) = part.split_once(' ').expect("two words");
        (table.to_owned(), count.parse().expect("a number"))
    };
    list.split(',').map(count).collect()
}

/// Starts apps on copies of the template.
fn start_on_copies(server: Arc<TemporaryPostgres>) -> StartApp {
    let copies = Arc::new(AtomicU32::new(0));
    Arc::new(move |settings| {
        let (server, copies) = (server.clone(), copies.clone());
        let start = async move {
            let name = format!("copy_{}", copies.fetch_add(1, Ordering::Relaxed));
            let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy");
            server.run("postgres", &create).await;
            let settings: Vec<(&str, &str)> =
                settings.iter().map(|(name, value)| (&**name, &**value)).collect();
            TestApp::with(&TestDatabase::At { url: server.url_of(&name) }, &settings).await
        };
        start.boxed()
    })
}

/// Runs everything: the examples of all pages, and all jobs now and after a while. Returns the root fields that ran well,
/// and where pages stopped: an example may stumble over what is there already, and others show the same fields.
async fn run_everything(start: &StartApp) -> (BTreeSet<String>, Vec<String>) {
    let (mut cases, mut stops) = (BTreeSet::new(), Vec::new());
    for path in pages() {
        let (name, text) = (path.display().to_string(), read(&path));
        stops.extend(run_page(start, (&name, &text), &mut cases).await.err());
    }
    let app = start(Vec::new()).await;
    for wait in [Duration::ZERO, Duration::from_mins(1), Duration::from_hours(1)] {
        app.advance(wait).await;
    }
    let good = cases.into_iter().filter(|(_, outcome)| *outcome == "good");
    (good.map(|(field, _)| field).collect(), stops)
}

/// A statement without its lists of parameters, so that it is told once.
fn shorten(query: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in query.split(' ') {
        let is_parameter = |word: &str| word.starts_with('$') && word.ends_with(',');
        if !(is_parameter(word) && words.last().is_some_and(|last| is_parameter(last))) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// What is wrong with a plan.
fn problem(plan: &Plan, row_counts: &BTreeMap<String, i64>) -> Option<String> {
    let is_large = |table: &str| row_counts.get(table).is_some_and(|count| *count >= LARGE);
    let bad = plan.scans.iter().find(|scan| {
        is_large(&scan.table) && (scan.rows_in_vain > MAX_ROWS_IN_VAIN || scan.is_sequential)
    })?;
    let how = if bad.is_sequential { "reads all of" } else { "reads in vain" };
    Some(format!("{how} {}: {}", bad.table, shorten(&plan.query)))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_reads_a_whole_large_table() {
    let Some(server) = start_server().map(Arc::new) else { return };
    fill(&server).await;
    let row_counts = row_counts(&server).await;
    for (table, count) in &row_counts {
        let is_small = SMALL_TABLES.iter().any(|(small, _)| small == table);
        assert!(
            is_small || *count >= LARGE,
            "{table} has {count} rows: fill it in fill.sql, or say why it stays small"
        );
    }
    let start_of_run = server.log().len();
    let (run, stops) = run_everything(&start_on_copies(server.clone())).await;
    let missing: Vec<String> =
        root_fields().await.into_iter().filter(|field| !run.contains(field)).collect();
    assert!(missing.len() <= MAX_MISSING, "these fields did not run: {missing:?}: {stops:#?}");

    let log = server.log();
    let plans = read_plans(&log[start_of_run..]);
    assert!(plans.len() > 1_000, "{} plans were logged", plans.len());
    let problems: BTreeSet<String> =
        plans.iter().filter_map(|plan| problem(plan, &row_counts)).collect();
    assert!(problems.is_empty(), "{} statements:\n{problems:#?}", problems.len());
}
