//! Re-encryption of a column of sealed secrets with the first key of the ring, page by page. Rows that have it already
//! are skipped, so an interrupted run is simply repeated.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, TryGetable, Value,
};

use super::Platform;
use crate::error::Result;

const PAGE_SIZE: u64 = 500;

/// A column of sealed secrets, in a table whose primary key is of type `K`.
pub struct SealedColumn<E: EntityTrait, K> {
    /// The primary key.
    pub key: E::Column,
    /// The sealed secrets.
    pub sealed: E::Column,
    /// The additional authenticated data of a row.
    pub aad: fn(&K) -> String,
}

/// Reseals the rows that match a condition. Returns how many it changed. A row that changes meanwhile keeps its new
/// value, which is sealed with the first key. Fails if the key of a secret is missing from the ring.
pub async fn reseal<E, K>(
    platform: &Platform,
    column: &SealedColumn<E, K>,
    condition: Condition,
) -> Result<u64>
where
    E: EntityTrait,
    K: TryGetable + Into<Value> + Clone,
{
    let (mut resealed, mut last_key) = (0, None::<K>);
    loop {
        let mut page = E::find()
            .select_only()
            .columns([column.key, column.sealed])
            .filter(condition.clone())
            .filter(column.sealed.is_not_null());
        if let Some(last_key) = last_key.take() {
            page = page.filter(column.key.gt(last_key));
        }
        let page = page.order_by_asc(column.key).limit(PAGE_SIZE).into_tuple();
        let rows: Vec<(K, Vec<u8>)> = page.all(platform.database.reads()).await?;
        for (key, old) in rows.iter().filter(|(_, sealed)| !platform.vault.is_current(sealed)) {
            let aad = (column.aad)(key);
            let new = platform.vault.seal(&aad, &platform.vault.open(&aad, old)?);
            let update = E::update_many()
                .col_expr(column.sealed, Expr::value(new))
                .filter(column.key.eq(key.clone()))
                .filter(column.sealed.eq(old.clone()));
            resealed += update.exec(platform.database.writes()).await?.rows_affected;
        }
        if (rows.len() as u64) < PAGE_SIZE {
            return Ok(resealed);
        }
        last_key = rows.into_iter().last().map(|(key, _)| key);
    }
}
