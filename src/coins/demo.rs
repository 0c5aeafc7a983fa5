//! Coins of demo data: wallets and their entries, booked in the past, in bulk.

use sea_orm::{ActiveEnum, ConnectionTrait};
use serde::Serialize;

use super::entity::coin_entries::EntryReason;
use super::entity::wallets::{self, NewState};
use super::measures::delta;
use crate::error::Result;
use crate::ids::{CoinEntryId, Id, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};
use crate::platform::statistics;

/// An entry of demo data. The caller counts each wallet's entries and coins.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct DemoEntry {
    pub user: UserId,
    pub number: i64,
    pub id: CoinEntryId,
    pub amount: i64,
    pub balance_after: i64,
    pub reason: EntryReason,
    pub reference: String,
    pub created_at: Timestamp,
}

/// A wallet of demo data, with the sum of its entries.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct DemoWallet {
    pub user: UserId,
    pub balance: i64,
    pub entry_count: i64,
}

#[derive(Serialize)]
struct Row<'a> {
    user_id: RowUuid,
    number: i64,
    id: RowUuid,
    amount: i64,
    balance_after: i64,
    reason: String,
    reference: &'a str,
    created_at: String,
}

impl<'a> From<&'a DemoEntry> for Row<'a> {
    fn from(entry: &'a DemoEntry) -> Self {
        Self {
            user_id: RowUuid(entry.user.uuid()),
            number: entry.number,
            id: RowUuid(entry.id.uuid()),
            amount: entry.amount,
            balance_after: entry.balance_after,
            reason: entry.reason.to_value(),
            reference: &entry.reference,
            created_at: row_timestamp(entry.created_at),
        }
    }
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_demo_entries");

/// Inserts entries.
pub async fn insert_demo_entries(
    tx: &Work,
    platform: &Platform,
    entries: &[DemoEntry],
) -> Result<()> {
    let rows: Vec<Row<'_>> = entries.iter().map(Row::from).collect();
    tx.execute_raw(INSERT.bind(tx.get_database_backend(), &rows, [])?).await?;
    // Rewards are counted with their rounds.
    let others = entries.iter().filter(|entry| entry.reason != EntryReason::GameReward);
    let deltas = others.map(|entry| delta(entry.reason, entry.amount, entry.created_at));
    statistics::record(tx, platform, deltas).await
}

/// Inserts the wallets of new accounts.
pub async fn insert_demo_wallets(tx: &Work, rows: &[DemoWallet], now: Timestamp) -> Result<()> {
    let to_state = |wallet: &DemoWallet| NewState {
        user_id: RowUuid(wallet.user.uuid()),
        balance: wallet.balance,
        entry_count: wallet.entry_count,
    };
    let states: Vec<NewState> = rows.iter().map(to_state).collect();
    wallets::insert_many(tx, &states, now).await?;
    Ok(())
}
