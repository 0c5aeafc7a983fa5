//! Whether two classes differ, and how surely: medians, ranks, and intervals by bootstrap.
//!
//! Both classes are measured in rounds, side by side. What is resampled are the rounds, so that what was slow
//! for a while was slow for both.

use crate::report::median;

/// How often the rounds are drawn anew for an interval.
const RESAMPLES: usize = 1_000;

/// What one round measured of both classes.
pub type Pair = (f64, f64);

/// A statistic with its 95 % interval.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Of what was measured.
    pub value: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// A statistic, and between which values it is in 95 % of what the same rounds could have been.
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
    let at = |place: usize| resampled.get(place).copied().unwrap_or(f64::NAN);
    let tail = RESAMPLES / 40;
    Estimate { value: statistic(pairs), low: at(tail), high: at(RESAMPLES - 1 - tail) }
}

/// The median of the first class less that of the second.
pub fn difference(pairs: &[Pair]) -> f64 {
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    median(first) - median(second)
}

/// How probable it is that one of the first class is more than one of the second, a tie being half: the U
/// of Mann and Whitney as a share. At 0.5 neither tells itself from the other.
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

/// A class beside itself, every other round of it: what the same measurement finds where nothing differs.
pub fn halves(class: &[f64]) -> Vec<Pair> {
    let (rounds, _) = class.as_chunks();
    rounds.iter().map(|&[first, second]| (first, second)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACTLY: f64 = 1e-12;

    #[test]
    fn superiority_counts_pairs_and_half_the_ties() {
        let of = |first: [f64; 3], second: [f64; 3]| {
            superiority(&first.into_iter().zip(second).collect::<Vec<_>>())
        };
        for (first, second, expected) in [
            ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], 1.0),
            ([1.0, 2.0, 3.0], [6.0, 4.0, 5.0], 0.0),
            ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], 0.5),
            // 1 over 0 and half of 1; 5 over all; 2 over 0 and 1.
            ([1.0, 5.0, 2.0], [0.0, 1.0, 3.0], (1.5 + 3.0 + 2.0) / 9.0),
        ] {
            assert!((of(first, second) - expected).abs() < EXACTLY, "{first:?} {second:?}");
        }
        assert!(superiority(&[]).is_nan());
    }

    #[test]
    fn the_difference_is_that_of_the_medians() {
        assert!((difference(&[(9.0, 1.0), (3.0, 2.0), (1.0, 700.0)]) - 1.0).abs() < EXACTLY);
    }

    #[test]
    fn an_interval_holds_what_is_so_and_shuts_out_what_is_not() {
        let mut random = fastrand::Rng::with_seed(1);
        // What all share comes and goes, and is far more than what differs.
        let pairs: Vec<Pair> = (0..500)
            .map(|round| {
                let shared = f64::from(round / 100) * 50.0;
                (shared + 10.0 * random.f64() + 2.0, shared + 10.0 * random.f64())
            })
            .collect();
        let later = estimate(&pairs, &mut random, difference);
        assert!(later.low > 0.0 && later.low < 2.0 && later.high > 2.0, "{later:?}");
        let likelier = estimate(&pairs, &mut random, superiority);
        assert!(likelier.low > 0.5 && likelier.high < 0.6, "{likelier:?}");
        assert!(likelier.low < likelier.value && likelier.value < likelier.high, "{likelier:?}");

        let (_, same): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let same = estimate(&halves(&same), &mut random, superiority);
        assert!(same.low < 0.5 && same.high > 0.5, "{same:?}");
    }

    #[test]
    fn the_halves_are_every_other_value() {
        assert_eq!(halves(&[1.0, 2.0, 3.0, 4.0, 5.0]), [(1.0, 2.0), (3.0, 4.0)]);
    }
}
