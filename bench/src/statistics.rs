//! Statistics to compare two classes: difference of medians, probability of superiority, bootstrap intervals.
//!
//! Both classes are measured in rounds, side by side. The bootstrap resamples rounds, so that a slow phase affects
//! both classes.

use crate::report::median;

/// The number of bootstrap samples.
const RESAMPLES: usize = 1_000;

/// The values of both classes in one round.
pub type Pair = (f64, f64);

/// A statistic with its 95 % interval.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// The value for the measured rounds.
    pub value: f64,
    /// The lower bound of the interval.
    pub low: f64,
    /// The upper bound of the interval.
    pub high: f64,
}

/// Calculates a statistic and its 95 % bootstrap interval.
pub fn estimate(
    pairs: &[Pair],
    random: &mut fastrand::Rng,
    statistic: impl Fn(&[Pair]) -> f64,
) -> Estimate {
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<Pair> =
                pairs.iter().filter_map(|_| random.choice(pairs)).copied().collect();
            statistic(&drawn)
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let value_at = |index: usize| resampled.get(index).copied().unwrap_or(f64::NAN);
    let tail = RESAMPLES / 40;
    Estimate { value: statistic(pairs), low: value_at(tail), high: value_at(RESAMPLES - 1 - tail) }
}

/// The median of the first class minus that of the second.
pub fn difference(pairs: &[Pair]) -> f64 {
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    median(first) - median(second)
}

/// The probability that a value of the first class exceeds one of the second; ties count half. This is the Mann-Whitney
/// U as a share. At 0.5 the classes cannot be told apart.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn superiority(pairs: &[Pair]) -> f64 {
    let (mut first, mut second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    first.sort_by(f64::total_cmp);
    second.sort_by(f64::total_cmp);
    let (mut less, mut at_most, mut doubled) = (0, 0, 0);
    for value in &first {
        while second.get(less).is_some_and(|other| other < value) {
            less += 1;
        }
        while second.get(at_most).is_some_and(|other| other <= value) {
            at_most += 1;
        }
        doubled += less + at_most;
    }
    doubled as f64 / (2 * first.len() * second.len()) as f64
}

/// Pairs every other value of a class with the next one, to show what the statistics find without a difference.
pub fn halves(class: &[f64]) -> Vec<Pair> {
    let (rounds, _) = class.as_chunks();
    rounds.iter().map(|&[first, second]| (first, second)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: f64 = 1e-12;

    #[test]
    fn superiority_counts_pairs_and_half_the_ties() {
        let superiority_of = |first: [f64; 3], second: [f64; 3]| {
            superiority(&first.into_iter().zip(second).collect::<Vec<_>>())
        };
        for (first, second, expected) in [
            ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], 1.0),
            ([1.0, 2.0, 3.0], [6.0, 4.0, 5.0], 0.0),
            ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], 0.5),
            // 1 over 0 and half of 1; 5 over all; 2 over 0 and 1.
            ([1.0, 5.0, 2.0], [0.0, 1.0, 3.0], (1.5 + 3.0 + 2.0) / 9.0),
        ] {
            assert!(
                (superiority_of(first, second) - expected).abs() < TOLERANCE,
                "{first:?} {second:?}"
            );
        }
        assert!(superiority(&[]).is_nan());
    }

    #[test]
    fn difference_compares_the_medians() {
        assert!((difference(&[(9.0, 1.0), (3.0, 2.0), (1.0, 700.0)]) - 1.0).abs() < TOLERANCE);
    }

    #[test]
    fn intervals_contain_the_true_value_and_exclude_a_wrong_one() {
        let mut random = fastrand::Rng::with_seed(1);
        // A shared drift, far larger than the difference.
        let pairs: Vec<Pair> = (0..500)
            .map(|round| {
                let shared = f64::from(round / 100) * 50.0;
                (shared + 10.0 * random.f64() + 2.0, shared + 10.0 * random.f64())
            })
            .collect();
        let slower_by = estimate(&pairs, &mut random, difference);
        assert!(
            slower_by.low > 0.0 && slower_by.low < 2.0 && slower_by.high > 2.0,
            "{slower_by:?}"
        );
        let probability = estimate(&pairs, &mut random, superiority);
        assert!(probability.low > 0.5 && probability.high < 0.6, "{probability:?}");
        assert!(
            probability.low < probability.value && probability.value < probability.high,
            "{probability:?}"
        );

        let (_, same): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let same = estimate(&halves(&same), &mut random, superiority);
        assert!(same.low < 0.5 && same.high > 0.5, "{same:?}");
    }

    #[test]
    fn halves_pair_neighbouring_values() {
        assert_eq!(halves(&[1.0, 2.0, 3.0, 4.0, 5.0]), [(1.0, 2.0), (3.0, 4.0)]);
    }
}
