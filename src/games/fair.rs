//! The formula by which an outcome follows from the seeds. Whoever has them can do the same: product.md's "provably
//! fair", and `docs/src/games.md` for players.

use aws_lc_rs::hmac;

/// The server's part: random, fixed when the round starts, shown when it is over.
pub type Seed = [u8; 32];

/// The outcome among `outcomes` equally likely ones, counted from 0.
///
/// HMAC-SHA256 under the server's seed of "{client seed}:{round}:{counter}", for counter 0, 1, …: the first of its
/// eight big-endian 32-bit numbers that is below the largest multiple of `outcomes`, modulo `outcomes`.
pub fn outcome(seed: &Seed, client_seed: &str, round: &str, outcomes: u32) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
    let values = u64::from(u32::MAX) + 1;
    let fair = values - values % u64::from(outcomes);
    let mut counter = 0_u64;
    loop {
        let message = format!("{client_seed}:{round}:{counter}");
        let digest = hmac::sign(&key, message.as_bytes());
        let (numbers, _) = digest.as_ref().as_chunks();
        let drawn = numbers.iter().map(|bytes| u32::from_be_bytes(*bytes));
        if let Some(number) = drawn.into_iter().find(|number| u64::from(*number) < fair) {
            return number % outcomes;
        }
        counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;
    use crate::games::moves::CoinSide;
    use crate::games::{GAMES, Move};
    use crate::platform::vault::sha256;

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
        for (client_seed, expected) in [
            ("lucky", 1_347_709_573),
            ("lucky50", 238_124_082),
            ("lucky181", 1_602_797_231),
            ("lucky27767", 1_476_923_953),
        ] {
            assert_eq!(outcome(&known(), client_seed, "rnd_example", many), expected);
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
