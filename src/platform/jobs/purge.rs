//! Purge of expired rows, page by page. Each page is a transaction of its own: none is long, and if the process ends,
//! the next run deletes the rest.

use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SimpleExpr};
use sea_orm::{EntityTrait, QueryFilter};

use crate::error::Result;
use crate::platform::Platform;

const PAGE_SIZE: u64 = 1_000;

/// Deletes all rows of a table that match the condition. `key` is a column with unique values. Returns the number of
/// deleted rows.
pub async fn purge<E: EntityTrait>(
    platform: &Platform,
    key: E::Column,
    is_expired: SimpleExpr,
) -> Result<u64> {
    purge_by_key::<E, 1>(platform, [key], is_expired).await
}

/// As [`purge`], where several columns are unique together. Deletes in their order.
pub async fn purge_by_key<E: EntityTrait, const N: usize>(
    platform: &Platform,
    key: [E::Column; N],
    is_expired: SimpleExpr,
) -> Result<u64> {
    let mut purged = 0;
    loop {
        let mut page = Query::select();
        page.columns(key).from(E::default()).and_where(is_expired.clone()).limit(PAGE_SIZE);
        if N > 1 {
            // A key of several columns is the table's order: the page is the start of it.
            page.order_by_columns(key.map(|column| (column, Order::Asc)));
        }
        let tx = platform.begin_batch().await?;
        // The condition again: PostgreSQL checks it anew for a row that changes meanwhile.
        let is_in_page = Expr::tuple(key.map(Expr::col)).in_subquery(page);
        let deletion = E::delete_many().filter(is_in_page).filter(is_expired.clone());
        let deleted = deletion.exec(&tx).await?.rows_affected;
        tx.commit().await?;
        purged += deleted;
        if deleted < PAGE_SIZE {
            return Ok(purged);
        }
    }
}
