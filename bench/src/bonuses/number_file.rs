//! Files of phone numbers, and what a plain model says that an import of them gives.

use std::collections::HashSet;
use std::ops::Range;

use hyper::body::Bytes;

use super::numbers::{in_any_notation, invalid, is_verified};

/// The counts of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All lines but blank ones.
    pub lines: i64,
    /// First occurrences of numbers of users who have verified them.
    pub credited: i64,
    /// First occurrences of other numbers.
    pub pending: i64,
    /// Later occurrences.
    pub duplicates: i64,
    /// Lines without a usable number.
    pub invalid: i64,
}

/// What a file consists of.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The indexes of its numbers.
    pub indexes: Range<u32>,
    /// The share of the indexes whose owners have verified them.
    pub verified_percent: u32,
    /// How many lines of a hundred repeat an earlier number, in any notation.
    pub duplicate_percent: u32,
    /// How many lines of a hundred have no usable number.
    pub invalid_percent: u32,
}

/// A file with one number a line.
pub struct NumberFile {
    /// The text.
    pub content: Bytes,
    /// What an import of it gives to a new campaign.
    pub counts: Counts,
}

impl NumberFile {
    /// Writes a file with each of the numbers at least once, in random order and notations.
    pub fn new(contents: &Contents, random: &mut fastrand::Rng) -> Self {
        let mut fresh: Vec<u32> = contents.indexes.clone().collect();
        random.shuffle(&mut fresh);
        let (mut text, mut counts, mut seen) = (String::new(), Counts::default(), HashSet::new());
        let mut written: Vec<u32> = Vec::new();
        while let Some(next) = fresh.last().copied() {
            counts.lines += 1;
            let drawn = random.u32(..100);
            // The first line is a number, by which the format is recognised.
            if drawn < contents.invalid_percent && !written.is_empty() {
                counts.invalid += 1;
                text.push_str(invalid(random));
                // A blank line does not count.
                text.push_str("\n\n");
                continue;
            }
            let repeats = drawn < contents.invalid_percent + contents.duplicate_percent;
            let index = match random.choice(&written).copied().filter(|_| repeats) {
                Some(index) => index,
                None => {
                    fresh.pop();
                    next
                }
            };
            written.push(index);
            match seen.insert(index) {
                false => counts.duplicates += 1,
                true if is_verified(index, contents.verified_percent) => counts.credited += 1,
                true => counts.pending += 1,
            }
            text.push_str(&in_any_notation(index, random));
            text.push('\n');
        }
        Self { content: text.into(), counts }
    }

    /// The lines.
    pub fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.content).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_comes_once_and_more_often_as_a_duplicate() {
        let contents = Contents {
            indexes: 100..1_100,
            verified_percent: 30,
            duplicate_percent: 20,
            invalid_percent: 5,
        };
        let file = NumberFile::new(&contents, &mut fastrand::Rng::with_seed(1));
        let counts = file.counts;
        assert_eq!((counts.credited, counts.pending), (300, 700));
        assert!((150..400).contains(&counts.duplicates), "{counts:?}");
        assert!((20..120).contains(&counts.invalid), "{counts:?}");
        let lines = file.lines().iter().filter(|line| !line.is_empty()).count();
        assert_eq!(i64::try_from(lines), Ok(counts.lines));
    }
}
