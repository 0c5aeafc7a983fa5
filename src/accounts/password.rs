//! Passwords: rules for new ones, and argon2id hashing on a bounded pool of blocking threads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

pub use super::entity::credentials::PasswordHash;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::platform::vault::constant_time_eq;
use crate::platform::{Platform, text};

const MIN_PASSWORD_LEN: usize = 8;
const MAX_PASSWORD_LEN: usize = 128;
/// The most bytes of 128 characters before Unicode composition.
const MAX_INPUT_BYTES: usize = 4 * MAX_PASSWORD_LEN * 4;
/// How many requests may wait for a core: about ten seconds on one core, at 10 ms per hash.
const MAX_QUEUED: usize = 1000;

/// The hash for unknown accounts: comparing with it takes the same time. No password matches it, as salt and output are
/// all zeros.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Common passwords, case-folded, one per line. NOTICE names the source.
static COMMON_PASSWORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// A password in Unicode composition (NFC): the same characters from any device are the same bytes.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// Validates a new password: 8 to 128 characters, not a common one.
    ///
    /// # Errors
    /// BAD_USER_INPUT for its length, WEAK_PASSWORD for a common one.
    pub fn parse_new(text: &str) -> Result<Self, UserError> {
        let password = Self::parse(text)?;
        let plain = password.0.expose_secret();
        if plain.chars().count() < MIN_PASSWORD_LEN {
            return Err(UserError::bad_input(format!(
                "A password has at least {MIN_PASSWORD_LEN} characters."
            )));
        }
        if COMMON_PASSWORDS.contains(text::casefold(plain).as_str()) {
            let message = "This password is among the first that are guessed. Choose another.";
            return Err(UserError::new(ErrorCode::WeakPassword, message));
        }
        Ok(password)
    }

    /// Validates a password that may be an existing one.
    ///
    /// # Errors
    /// BAD_USER_INPUT when it is empty or longer than 128 characters.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        if text.is_empty() {
            return Err(UserError::bad_input("Must not be empty."));
        }
        let too_long = || {
            UserError::bad_input(format!("A password has at most {MAX_PASSWORD_LEN} characters."))
        };
        if text.len() > MAX_INPUT_BYTES {
            return Err(too_long());
        }
        let composed = text::nfc(text);
        if composed.chars().count() > MAX_PASSWORD_LEN {
            return Err(too_long());
        }
        Ok(Self(composed.into()))
    }
}

/// A hash that no password matches, for an account that must set a new one.
pub fn unusable_hash() -> PasswordHash {
    PasswordHash(DUMMY_HASH.to_owned())
}

/// The outcome of comparing a password with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyOutcome {
    /// The password is right.
    Match,
    /// The password is right, but its hash has outdated parameters.
    MatchOutdated,
    /// The password is wrong.
    Mismatch,
}

/// Hashes passwords, one per core at a time.
pub struct Hasher {
    argon2: Argon2<'static>,
    cores: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// Reused working memory, 19 MiB per core.
    memory_pool: Arc<Mutex<Vec<Memory>>>,
    hash_count: AtomicU64,
}

type Memory = Vec<Block>;

impl Default for Hasher {
    /// argon2id with m=19456, t=2, p=1, which OWASP recommends.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            argon2: Argon2::default(),
            cores: Arc::new(Semaphore::new(cores)),
            queue: Arc::new(Semaphore::new(cores + MAX_QUEUED)),
            memory_pool: Arc::default(),
            hash_count: AtomicU64::new(0),
        }
    }
}

impl Hasher {
    /// Hashes a new password.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when too many requests wait.
    pub async fn hash(&self, platform: &Platform, password: &Password) -> Result<PasswordHash> {
        let (argon2, password, salt) =
            (self.argon2.clone(), password.clone(), platform.random::<16>());
        let hash = self.run_blocking(move |memory| {
            let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
            derive_hash(&argon2, &password, &salt, &mut output, memory)?;
            let phc = Phc {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(argon2.params())?,
                salt: Some(Salt::new(&salt)?),
                hash: Some(Output::new(&output)?),
            };
            Ok::<_, argon2::password_hash::Error>(phc.to_string())
        });
        let hash = hash.await?.map_err(|error| Error::internal(error.to_string()))?;
        Ok(PasswordHash(hash))
    }

    /// Compares a password with an account's hash. Without an account it takes the same time.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when too many requests wait.
    pub async fn verify(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<VerifyOutcome> {
        let (current, password) = (self.argon2.clone(), password.clone());
        let stored = hash.map_or(DUMMY_HASH, |hash| hash.0.as_str()).to_owned();
        self.run_blocking(move |memory| {
            compare(&current, &password, &stored, memory).unwrap_or(VerifyOutcome::Mismatch)
        })
        .await
    }

    /// How many passwords were hashed or compared since the start.
    pub fn hash_count(&self) -> u64 {
        self.hash_count.load(Ordering::Relaxed)
    }

    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T> {
        let too_busy = |cause: tokio::sync::TryAcquireError| {
            Error::with_cause(
                ErrorCode::ServiceUnavailable,
                "Too many are logging in. Try again.",
                cause,
            )
        };
        let _queue_permit = self.queue.clone().try_acquire_owned().map_err(too_busy)?;
        self.hash_count.fetch_add(1, Ordering::Relaxed);
        let core_permit = self.cores.clone().acquire_owned().await.map_err(Error::internal)?;
        let memory_pool = self.memory_pool.clone();
        // The task holds the permit: a cancelled request must not free a core that is still hashing.
        let task = tokio::task::spawn_blocking(move || {
            let mut memory = memory_pool.lock().pop().unwrap_or_default();
            let outcome = work(&mut memory);
            memory_pool.lock().push(memory);
            drop(core_permit);
            outcome
        });
        task.await.map_err(Error::internal)
    }
}

/// Computes the argon2 hash of a password in reused memory.
fn derive_hash(
    argon2: &Argon2<'_>,
    password: &Password,
    salt: &[u8],
    output: &mut [u8],
    memory: &mut Memory,
) -> argon2::Result<()> {
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    argon2.hash_password_into_with_memory(
        password.0.expose_secret().as_bytes(),
        salt,
        output,
        &mut memory[..blocks],
    )
}

/// Hashes the password with the parameters of the stored hash, and compares. `None` when the hash has another format.
fn compare(
    current: &Argon2<'_>,
    password: &Password,
    stored: &str,
    memory: &mut Memory,
) -> Option<VerifyOutcome> {
    let stored = Phc::new(stored).ok()?;
    let params = Params::try_from(&stored)
        .ok()
        .filter(|_| stored.algorithm == Algorithm::Argon2id.ident())?;
    let is_current =
        ParamsString::try_from(current.params()).is_ok_and(|params| stored.params == params);
    let (salt, expected) = (stored.salt?, stored.hash?);
    let mut output = vec![0; expected.as_ref().len()];
    derive_hash(&params.into(), password, &salt, &mut output, memory).ok()?;
    Some(match (constant_time_eq(&output, expected.as_ref()), is_current) {
        (false, _) => VerifyOutcome::Mismatch,
        (true, true) => VerifyOutcome::Match,
        (true, false) => VerifyOutcome::MatchOutdated,
    })
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    fn error_code(text: &str) -> ErrorCode {
        Password::parse_new(text).expect_err(text).code
    }

    #[test]
    fn short_long_and_common_passwords_are_rejected() {
        assert!(Password::parse_new("correct horse").is_ok());
        assert!(Password::parse_new(&"ä".repeat(128)).is_ok());
        for invalid in ["", "1234567", &"x".repeat(129), &"x".repeat(1_000_000)] {
            assert_eq!(error_code(invalid), ErrorCode::BadUserInput);
        }
        for common in ["password", "Password", "12345678", "iloveyou", "QWERTYUIOP"] {
            assert_eq!(error_code(common), ErrorCode::WeakPassword, "{common}");
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        assert!(
            !format!("{:?}", Password::parse_new("correct horse").expect("valid"))
                .contains("horse")
        );
    }

    #[tokio::test]
    async fn only_the_right_password_matches_and_outdated_parameters_are_detected() {
        let hasher = Hasher::default();
        let right = Password::parse("correct horse").expect("valid");
        let wrong = Password::parse("correct horsf").expect("valid");
        let hash = |argon2: Argon2<'_>| {
            let phc = argon2.hash_password_with_salt(b"correct horse", &[7; 16]).expect("hashes");
            PasswordHash(phc.to_string())
        };
        let current = hash(Argon2::default());
        let old = hash(Params::new(8, 1, 1, None).expect("valid").into());
        for (password, hash, outcome) in [
            (&right, Some(&current), VerifyOutcome::Match),
            (&right, Some(&old), VerifyOutcome::MatchOutdated),
            (&wrong, Some(&current), VerifyOutcome::Mismatch),
            (&right, None, VerifyOutcome::Mismatch),
        ] {
            assert_eq!(hasher.verify(password, hash).await.expect("works"), outcome);
        }
    }
}
