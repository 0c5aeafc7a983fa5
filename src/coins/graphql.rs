//! GraphQL of coins: wallet, ledger entries and verification of the ledger.

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, Object, SimpleObject, Subscription};
use data_encoding::BASE32_DNSSEC;
use futures_util::Stream;

use super::Entry;
use super::entity::coin_entries;
use super::entity::wallets;
use super::loaders::EntryByReference;
use crate::api::scalars::{DateTime, Long};
use crate::api::{ApiError, ContextExt, Cursor, NullableResult, Page, respond, stream_states};
use crate::error::Result;
use crate::ids::{Id, UserId};
use crate::platform::Platform;

/// A page of a wallet's entries.
pub type CoinEntryPage = Connection<Cursor<i64>, CoinEntry, EmptyFields>;

/// What coins were for.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "super::EntryReason")]
pub enum CoinReason {
    /// A campaign gave them.
    Bonus,
    /// A round was won.
    GameReward,
    /// An operator set something right.
    Adjustment,
}

/// GraphQL object of a wallet.
#[derive(Clone, Debug)]
pub struct Wallet {
    user: UserId,
    balance: i64,
}

impl Wallet {
    /// Reads the current wallet of a user.
    pub async fn read(platform: &Platform, user: UserId) -> Result<Self> {
        let wallet = wallets::find_by_user(platform.database.reads(), user).await?;
        Ok(Self { user, balance: wallet.map_or(0, |wallet| wallet.balance) })
    }
}

/// Your coins.
#[Object]
impl Wallet {
    /// The wallet's id.
    async fn id(&self) -> ID {
        format!("wal_{}", BASE32_DNSSEC.encode(self.user.uuid().as_bytes())).into()
    }

    /// How many coins there are.
    async fn balance(&self) -> Long {
        Long(self.balance)
    }

    /// How they came and went, the newest first.
    async fn entries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 25 when not said.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the edge to start after.")] after: Option<String>,
    ) -> NullableResult<CoinEntryPage> {
        respond(ctx, async {
            let page = Page::<i64>::parse(first, after.as_deref())?;
            let db = ctx.platform().database.reads();
            let rows =
                coin_entries::find_page(db, self.user, page.after, page.rows_to_read()).await?;
            Ok(page.connection(rows, EmptyFields, |row| (row.number, row.into())))
        })
        .await
    }
}

/// Coins that came or went. Entries are never changed nor removed.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct CoinEntry {
    /// The entry's id.
    id: ID,
    /// How many came, or went when it is negative.
    amount: Long,
    /// How many there were then.
    balance_after: Long,
    /// What they were for.
    pub reason: CoinReason,
    /// What it was that they were for: the round's id, for a round that was won. Nothing is booked twice.
    pub reference: String,
    /// What the operator said to an adjustment.
    note: Option<String>,
    /// When.
    created_at: DateTime,
}

impl From<Entry> for CoinEntry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.to_string().into(),
            amount: Long(entry.amount),
            balance_after: Long(entry.balance_after),
            reason: entry.reason.into(),
            reference: entry.reference,
            note: entry.note,
            created_at: entry.created_at.into(),
        }
    }
}

impl CoinEntry {
    /// The entry of a reference, loaded in one batch with others of the same response.
    pub async fn load_by_reference(ctx: &Context<'_>, reference: String) -> NullableResult<Self> {
        let entries = ctx.data_unchecked::<DataLoader<EntryByReference>>();
        match entries.load_one(reference).await {
            Ok(entry) => entry.map(|entry| Ok(entry.into())),
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// Whether the ledger adds up.
#[derive(SimpleObject)]
pub struct LedgerCheck {
    /// Whether every wallet is the sum of its entries, each of which goes on from the balance before it, and none is
    /// missing or of nobody.
    consistent: bool,
    /// How many wallets there are.
    accounts: Long,
    /// How many entries they have.
    entries: Long,
    /// What is wrong, in words; the first 100.
    differences: Vec<String>,
}

impl From<super::LedgerReport> for LedgerCheck {
    fn from(report: super::LedgerReport) -> Self {
        let to_long = |count: u64| Long(i64::try_from(count).unwrap_or(i64::MAX));
        Self {
            consistent: report.is_consistent(),
            accounts: to_long(report.wallet_count),
            entries: to_long(report.entry_count),
            differences: report.differences,
        }
    }
}

/// Queries of the ledger.
#[derive(Default)]
pub struct CoinQuery;

#[Object]
impl CoinQuery {
    /// Reads the whole ledger and tells whether it adds up. For administrators; of millions of entries, ask
    /// `switchboard ledger verify`, which has all the time it takes.
    async fn verify_ledger(&self, ctx: &Context<'_>) -> NullableResult<LedgerCheck> {
        respond(ctx, async {
            ctx.admin()?;
            Ok(super::verify_ledger(ctx.platform(), |_| ()).await?.into())
        })
        .await
    }
}

/// Subscriptions to coins.
#[derive(Default)]
pub struct CoinSubscription;

#[Subscription]
impl CoinSubscription {
    /// Your wallet now, and each time it is another.
    async fn wallet_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<Wallet, ApiError>> + use<>, ApiError> {
        let viewer = ctx.viewer()?.user;
        let platform = ctx.shared_platform();
        let states = ctx.platform().events.stream_states(super::wallet_topic(viewer), move || {
            let platform = platform.clone();
            async move { Wallet::read(&platform, viewer).await }
        });
        Ok(stream_states(states))
    }
}
