//! The formula by which an outcome follows from the seeds. Whoever has them can do the same: product.md's "provably
//! fair", and `docs/src/games.md` for players.

use aws_lc_rs::hmac;

/// The server's part: random, fixed when the round starts, shown when it is over.
pub type Seed = [u8; 32];

/// How an outcome was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Which text had a number that could be taken: the first has 0.
    pub counter: u64,
    /// The HMAC-SHA256 of that text.
    pub digest: Vec<u8>,
    /// The number that was taken of it.
    pub number: u32,
    /// The outcome, counted from 0.
    pub outcome: u32,
}

/// Draws among `outcomes` equally likely ones, of which there is at least one.
///
/// HMAC-SHA256 under the server's seed of "{client seed}:{round}:{counter}", for counter 0, 1, …: the first of its
/// eight big-endian 32-bit numbers that is below the largest multiple of `outcomes`, modulo `outcomes`.
pub fn draw(seed: &Seed, client_seed: &str, round: &str, outcomes: u32) -> Draw {
    let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
    let below = largest_multiple(outcomes);
    let mut counter = 0_u64;
    loop {
        let message = format!("{client_seed}:{round}:{counter}");
        let digest = hmac::sign(&key, message.as_bytes());
        let (numbers, _) = digest.as_ref().as_chunks();
        let numbers = numbers.iter().map(|bytes| u32::from_be_bytes(*bytes));
        if let Some(number) = numbers.into_iter().find(|number| u64::from(*number) < below) {
            let digest = digest.as_ref().to_vec();
            return Draw { counter, digest, number, outcome: number % outcomes };
        }
        counter += 1;
    }
}

/// The largest multiple of a number up to 2^32.
pub fn largest_multiple(of: u32) -> u64 {
    let values = u64::from(u32::MAX) + 1;
    values - values % u64::from(of)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;
    use crate::games::moves::CoinSide;
    use crate::games::{GAMES, Move};
    use crate::platform::vault::sha256;

    fn outcome(seed: &Seed, client_seed: &str, round: &str, outcomes: u32) -> u32 {
        draw(seed, client_seed, round, outcomes).outcome
    }

    fn known() -> Seed {
        let half = HEXLOWER.decode(b"00112233445566778899aabbccddeeff").expect("hex");
        [&half[..], &half[..]].concat().try_into().expect("32 bytes")
    }

    #[test]
    fn the_published_vector() {
        let hash = HEXLOWER.encode(&sha256(&known()));
        assert_eq!(hash, "4773d12e2371bb935b9a0f5439b4a1c3ad3f2414b86980f8418d1cfabdfadfef");
        for (outcomes, expected) in [(2, 1), (100, 75), (10, 5)] {
            assert_eq!(outcome(&known(), "lucky", "rnd_example", outcomes), expected);
        }
    }

    /// Of 2^31 + 1 outcomes every second number is refused. Found by Python's `hmac`.
    #[test]
    fn numbers_that_would_favour_some_outcomes_are_passed_over() {
        let many = (1 << 31) + 1;
        for (client_seed, counter, expected) in [
            ("lucky", 0, 1_347_709_573),
            ("lucky50", 0, 238_124_082),
            ("lucky181", 1, 1_602_797_231),
            ("lucky27767", 2, 1_476_923_953),
        ] {
            let drawn = draw(&known(), client_seed, "rnd_example", many);
            assert_eq!((drawn.counter, drawn.outcome), (counter, expected));
        }
    }

    /// Every move of every game that is allowed.
    fn moves() -> Vec<Move> {
        let dice =
            (-1..=102).flat_map(|target| [true, false].map(|over| Move::Dice { target, over }));
        let numbers = (-1..=12).map(Move::LuckyNumber);
        let sides = [CoinSide::Heads, CoinSide::Tails].map(Move::CoinFlip);
        sides.into_iter().chain(dice).chain(numbers).collect()
    }

    #[test]
    fn a_round_is_worth_the_same_whatever_is_played() {
        let mut allowed = 0;
        for game in GAMES {
            let n = game.outcomes();
            for wins in moves().iter().filter_map(|of| game.wins(of).ok()) {
                allowed += 1;
                let w = u32::try_from(wins.len()).expect("a number");
                assert!(wins.end <= n && (1..=95).contains(&(w * 100 / n)));
                assert_eq!(game.points(w), 10 * n / w);
                let worth = f64::from(w * game.points(w)) / f64::from(n);
                assert!((9.1..=10.0).contains(&worth), "{w} of {n}: {worth}");
            }
        }
        assert_eq!(allowed, 2 + 2 * 95 + 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn each_outcome_comes_as_often(seed: Seed, client_seed in ".{1,64}") {
            for n in [2_u32, 10, 100] {
                let mut counts = vec![0_u32; n as usize];
                for round in 0..100 * n {
                    counts[outcome(&seed, &client_seed, &round.to_string(), n) as usize] += 1;
                }
                // Of 100 expected each, with a deviation of 10: chi-squared over its n - 1 degrees of freedom, which is
                // larger once in 10^8 times.
                let chi: f64 =
                    counts.iter().map(|count| (f64::from(*count) - 100.0).powi(2) / 100.0).sum();
                let largest = match n {
                    2 => 33.0,
                    10 => 58.0,
                    _ => 200.0,
                };
                prop_assert!(chi < largest, "{}: {}", n, chi);
            }
        }
    }

    proptest! {
        #[test]
        fn an_outcome_is_one_of_them_and_always_the_same(
            seed: Seed, client_seed in ".{1,64}", round in "rnd_[a-v0-9]{26}", outcomes in 1_u32..=1_000_000,
        ) {
            let first = outcome(&seed, &client_seed, &round, outcomes);
            prop_assert!(first < outcomes);
            prop_assert_eq!(first, outcome(&seed, &client_seed, &round, outcomes));
        }
    }
}
