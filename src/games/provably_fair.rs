//! The provably fair formula: computes an outcome from both seeds. Players can repeat it, see `docs/src/games.md`.

use aws_lc_rs::hmac;

/// The server's seed: random, fixed when the round starts, revealed when the round ends.
pub type Seed = [u8; 32];

/// A drawn outcome, and how it was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The counter, from 0, of the first message whose digest has a usable number.
    pub counter: u64,
    /// The HMAC-SHA256 of that message.
    pub digest: Vec<u8>,
    /// The digest's first usable number.
    pub number: u32,
    /// The outcome, counted from 0.
    pub outcome: u32,
}

/// Draws one of `outcomes` equally likely outcomes. There must be at least one.
///
/// HMAC-SHA256 under the server's seed of "{client seed}:{round}:{counter}", for counter 0, 1, …: the first of its
/// eight big-endian 32-bit numbers that is below the largest multiple of `outcomes`, modulo `outcomes`.
pub fn draw(seed: &Seed, client_seed: &str, round: &str, outcomes: u32) -> Draw {
    let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
    let limit = largest_multiple(outcomes);
    let mut counter = 0_u64;
    loop {
        let message = format!("{client_seed}:{round}:{counter}");
        let digest = hmac::sign(&key, message.as_bytes());
        let (numbers, _) = digest.as_ref().as_chunks();
        let numbers = numbers.iter().map(|bytes| u32::from_be_bytes(*bytes));
        if let Some(number) = numbers.into_iter().find(|number| u64::from(*number) < limit) {
            let digest = digest.as_ref().to_vec();
            return Draw { counter, digest, number, outcome: number % outcomes };
        }
        counter += 1;
    }
}

/// The largest multiple of a divisor that is at most 2^32.
pub fn largest_multiple(divisor: u32) -> u64 {
    let values = u64::from(u32::MAX) + 1;
    values - values % u64::from(divisor)
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

    fn example_seed() -> Seed {
        let half = HEXLOWER.decode(b"00112233445566778899aabbccddeeff").expect("hex");
        [&half[..], &half[..]].concat().try_into().expect("32 bytes")
    }

    #[test]
    fn the_published_example_is_reproduced() {
        let hash = HEXLOWER.encode(&sha256(&example_seed()));
        assert_eq!(hash, "4773d12e2371bb935b9a0f5439b4a1c3ad3f2414b86980f8418d1cfabdfadfef");
        for (outcomes, expected) in [(2, 1), (100, 75), (10, 5)] {
            assert_eq!(outcome(&example_seed(), "lucky", "rnd_example", outcomes), expected);
        }
    }

    /// With 2^31 + 1 outcomes every second number is unusable. Expected values computed with Python's `hmac`.
    #[test]
    fn biased_numbers_are_skipped() {
        let outcomes = (1 << 31) + 1;
        for (client_seed, counter, expected) in [
            ("lucky", 0, 1_347_709_573),
            ("lucky50", 0, 238_124_082),
            ("lucky181", 1, 1_602_797_231),
            ("lucky27767", 2, 1_476_923_953),
        ] {
            let drawn = draw(&example_seed(), client_seed, "rnd_example", outcomes);
            assert_eq!((drawn.counter, drawn.outcome), (counter, expected));
        }
    }

    /// Moves of all games, valid ones and some just out of range.
    fn candidate_moves() -> Vec<Move> {
        let dice =
            (-1..=102).flat_map(|target| [true, false].map(|over| Move::Dice { target, over }));
        let numbers = (-1..=12).map(Move::LuckyNumber);
        let sides = [CoinSide::Heads, CoinSide::Tails].map(Move::CoinFlip);
        sides.into_iter().chain(dice).chain(numbers).collect()
    }

    #[test]
    fn every_move_has_nearly_the_same_expected_points() {
        let mut valid_moves = 0;
        for game in GAMES {
            let n = game.outcomes();
            for winning in candidate_moves()
                .iter()
                .filter_map(|candidate| game.winning_outcomes(candidate).ok())
            {
                valid_moves += 1;
                let w = u32::try_from(winning.len()).expect("a number");
                assert!(winning.end <= n && (1..=95).contains(&(w * 100 / n)));
                assert_eq!(game.points(w), 10 * n / w);
                let expected = f64::from(w * game.points(w)) / f64::from(n);
                assert!((9.1..=10.0).contains(&expected), "{w} of {n}: {expected}");
            }
        }
        assert_eq!(valid_moves, 2 + 2 * 95 + 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn outcomes_are_equally_likely(seed: Seed, client_seed in ".{1,64}") {
            for n in [2_u32, 10, 100] {
                let mut counts = vec![0_u32; n as usize];
                for round in 0..100 * n {
                    counts[outcome(&seed, &client_seed, &round.to_string(), n) as usize] += 1;
                }
                // Chi-squared test with n - 1 degrees of freedom, 100 draws expected per outcome. The limits are
                // exceeded once in 10^8 runs.
                let chi: f64 =
                    counts.iter().map(|count| (f64::from(*count) - 100.0).powi(2) / 100.0).sum();
                let limit = match n {
                    2 => 33.0,
                    10 => 58.0,
                    _ => 200.0,
                };
                prop_assert!(chi < limit, "{}: {}", n, chi);
            }
        }
    }

    proptest! {
        #[test]
        fn draws_are_in_range_and_repeatable(
            seed: Seed, client_seed in ".{1,64}", round in "rnd_[a-v0-9]{26}", outcomes in 1_u32..=1_000_000,
        ) {
            let first = outcome(&seed, &client_seed, &round, outcomes);
            prop_assert!(first < outcomes);
            prop_assert_eq!(first, outcome(&seed, &client_seed, &round, outcomes));
        }
    }
}
