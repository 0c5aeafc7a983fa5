//! Recording of deltas, in the transaction of their event.

use std::collections::BTreeMap;

use super::delta::Delta;
use super::entity::deltas;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Records deltas in the transaction of their event.
pub async fn record(
    tx: &Work,
    platform: &Platform,
    deltas: impl IntoIterator<Item = Delta>,
) -> Result<()> {
    let mut sums: BTreeMap<_, i64> = BTreeMap::new();
    for Delta { measure, dimension, hour, amount } in deltas {
        *sums.entry((hour, measure, dimension)).or_default() += amount;
    }
    let changed = sums.into_iter().filter(|(_, amount)| *amount != 0);
    let deltas = changed.map(|((hour, measure, dimension), amount)| Delta {
        measure,
        dimension,
        hour,
        amount,
    });
    deltas::insert_many(tx, platform, &deltas.collect::<Vec<_>>()).await
}
