//! What must be in the database after imports, whatever happened meanwhile: compared with the plain model of their files.

use anyhow::Result;

use super::database::Database;
use super::importer::COINS;
use super::number_file::Counts;

/// An imported file: the name of its campaign, which no other file has, and its counts.
pub struct ImportedFile {
    /// The name.
    pub campaign: String,
    /// The counts.
    pub counts: Counts,
}

/// Returns how many comparisons were made, and those that failed. All files have the same numbers.
pub async fn compare(database: &Database, files: &[ImportedFile]) -> Result<(usize, Vec<String>)> {
    let mut expected: Vec<(String, i64)> = files.iter().flat_map(of_file).collect();
    expected.extend(of_all(files));
    let mut failed = Vec::new();
    for (sql, expected) in &expected {
        let found = database.count(sql).await?;
        if found != *expected {
            failed.push(format!("{found} instead of {expected}: {sql}"));
        }
    }
    Ok((expected.len(), failed))
}

fn of_file(file: &ImportedFile) -> Vec<(String, i64)> {
    let ImportedFile { campaign, counts } = file;
    let Counts { lines, credited, pending, duplicates, invalid } = *counts;
    let of_campaign = format!("campaign_id = (SELECT id FROM campaigns WHERE name = '{campaign}')");
    let imports = format!("FROM bonus_imports WHERE {of_campaign}");
    let bonuses = format!("SELECT count(*) FROM bonuses WHERE {of_campaign}");
    let entries = format!("FROM coin_entries WHERE reference LIKE 'bonus:{campaign}:%'");
    let messages = format!("FROM messages WHERE campaign = '{campaign}'");
    let sum = |column: &str| format!("SELECT CAST(sum({column}) AS bigint) {imports}");
    vec![
        (format!("SELECT count(*) {imports} AND status = 'COMPLETED'"), 1),
        (format!("SELECT count(*) {imports}"), 1),
        (sum("lines"), lines),
        (sum("credited"), credited),
        (sum("pending"), pending),
        (sum("duplicates"), duplicates),
        (sum("invalid"), invalid),
        (sum("bytes_total - bytes_processed"), 0),
        (
            format!(
                "SELECT count(*) FROM bonus_rejected_lines WHERE import_id IN (SELECT id {imports})"
            ),
            invalid,
        ),
        (bonuses.clone(), credited + pending),
        (format!("{bonuses} AND is_credited"), credited),
        (format!("SELECT credited FROM campaigns WHERE name = '{campaign}'"), credited),
        (format!("SELECT pending FROM campaigns WHERE name = '{campaign}'"), pending),
        (format!("SELECT count(*) {entries}"), credited),
        (format!("SELECT count(DISTINCT user_id) {entries}"), credited),
        (format!("SELECT CAST(coalesce(sum(amount), 0) AS bigint) {entries}"), credited * COINS),
        (format!("SELECT count(*) {messages}"), credited),
        (format!("SELECT count(DISTINCT phone) {messages}"), credited),
    ]
}

fn of_all(files: &[ImportedFile]) -> Vec<(String, i64)> {
    let campaigns = i64::try_from(files.len()).unwrap_or(i64::MAX);
    let owners = files.first().map_or(0, |file| file.counts.credited);
    let total: i64 = files.iter().map(|file| file.counts.credited).sum();
    let entries = |value: &str| {
        format!("(SELECT {value} FROM coin_entries WHERE coin_entries.user_id = wallets.user_id)")
    };
    let sum = entries("coalesce(sum(amount), 0)");
    let count = entries("count(*)");
    vec![
        (format!("SELECT count(*) FROM wallets WHERE balance <> {sum}"), 0),
        (format!("SELECT count(*) FROM wallets WHERE entry_count <> {count}"), 0),
        (format!("SELECT count(*) FROM wallets WHERE balance = {}", campaigns * COINS), owners),
        ("SELECT count(*) FROM coin_entries".to_owned(), total),
        ("SELECT count(DISTINCT reference) FROM coin_entries".to_owned(), total),
        ("SELECT count(*) FROM messages".to_owned(), total),
        (
            "SELECT count(*) FROM messages JOIN bonuses ON bonuses.id = messages.id AND is_credited"
                .to_owned(),
            total,
        ),
    ]
}
