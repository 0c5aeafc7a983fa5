//! Batch sizes in powers of two, so that batches of any length share a few prepared statements.

/// Maximum rows per `INSERT`, well below SQLite's limit of values per statement.
const MAX_ROWS: usize = 1024;

/// Splits rows into `INSERT`s of 1024, 512, 256 rows and so on.
pub fn split_to_pow2<R>(mut rows: Vec<R>) -> impl Iterator<Item = Vec<R>> {
    std::iter::from_fn(move || {
        let count = 1 << rows.len().min(MAX_ROWS).checked_ilog2()?;
        Some(rows.split_off(rows.len() - count))
    })
}

/// Pads the keys of an `IN` list to a power of two by repeating the last key.
pub fn pad_to_pow2<K: Clone>(keys: &[K]) -> Vec<K> {
    let mut padded = keys.to_vec();
    if let Some(last) = keys.last() {
        padded.resize(keys.len().next_power_of_two(), last.clone());
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_into_powers_of_two() {
        for (rows, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (7, vec![4, 2, 1]),
            (1_024, vec![1_024]),
            (2_100, vec![1_024, 1_024, 32, 16, 4]),
        ] {
            let pieces: Vec<Vec<i32>> = split_to_pow2((0..rows).collect()).collect();
            assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), expected);
            let mut all = pieces.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows));
        }
    }
}
