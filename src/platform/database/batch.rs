//! Sizes of lists and batches that let many lengths share a few prepared statements.

/// The most rows of one `INSERT`: far fewer than what SQLite takes of values in one statement.
const MAX_ROWS: usize = 1024;

/// Rows for several `INSERT`s, of 1024, 512, 256 and so on, so that any number of rows shares a few prepared
/// statements.
pub fn split_to_pow2<R>(mut rows: Vec<R>) -> impl Iterator<Item = Vec<R>> {
    std::iter::from_fn(move || {
        let count = 1 << rows.len().min(MAX_ROWS).checked_ilog2()?;
        Some(rows.split_off(rows.len() - count))
    })
}

/// Keys for an `IN` list, the last one repeated up to the next power of two, so that lists of many
/// lengths share a few prepared statements.
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
    fn rows_are_split_to_powers_of_two() {
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
