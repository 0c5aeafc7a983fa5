//! The one source of randomness, so that a test can fix it.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;

/// Where random bytes come from.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);
}

/// The system's randomness, asked directly: the cryptography's own generator takes 30 ms of work to get
/// going, in each thread anew.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system for randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has randomness");
    }
}

/// The same bytes in the same order for the same seed. For tests alone.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededEntropy {
    /// Starts at the beginning of the seed's sequence.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
            let block = digest::digest(
                &digest::SHA256,
                &[self.seed.to_be_bytes(), drawn.to_be_bytes()].concat(),
            );
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}
