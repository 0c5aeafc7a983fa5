//! Passwords: what may be one, and argon2id on a bounded pool off the async threads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

pub use super::entity::credentials::PasswordHash;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::platform::vault::same;
use crate::platform::{Platform, text};

const SHORTEST: usize = 8;
const LONGEST: usize = 128;
/// What 128 characters can take before they are composed.
const MOST_BYTES: usize = 4 * LONGEST * 4;
/// How many may wait for a hash: at 10 ms a hash, about ten seconds of waiting on one core.
const MOST_WAITING: usize = 1000;

/// The hash that an unknown account's password is compared with, so that it takes the same time. No
/// password has it: its salt and its output are all zeros.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The passwords that are guessed first, folded, one a line. Its source stands in NOTICE.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// A password, composed, so that the same one typed on another device is the same bytes.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// A password that somebody wants to have from now on: 8 to 128 characters, not a common one.
    ///
    /// # Errors
    /// BAD_USER_INPUT for its length, WEAK_PASSWORD for a common one; both before anything is hashed.
    pub fn choose(text: &str) -> Result<Self, Failure> {
        let password = Self::given(text)?;
        let chosen = password.0.expose_secret();
        if chosen.chars().count() < SHORTEST {
            return Err(Failure::bad_input(format!(
                "A password has at least {SHORTEST} characters."
            )));
        }
        if COMMON.contains(text::fold(chosen).as_str()) {
            let message = "This password is among the first that are guessed. Choose another.";
            return Err(Failure::new(ErrorCode::WeakPassword, message));
        }
        Ok(password)
    }

    /// A password that somebody claims to have.
    ///
    /// # Errors
    /// BAD_USER_INPUT when nobody can have it: empty, or over 128 characters.
    pub fn given(text: &str) -> Result<Self, Failure> {
        if text.is_empty() {
            return Err(Failure::bad_input("Must not be empty."));
        }
        let too_long =
            || Failure::bad_input(format!("A password has at most {LONGEST} characters."));
        if text.len() > MOST_BYTES {
            return Err(too_long());
        }
        let composed = text::nfc(text);
        if composed.chars().count() > LONGEST {
            return Err(too_long());
        }
        Ok(Self(composed.into()))
    }
}

/// The hash of no password at all, for an account that waits for a new one.
pub fn no_password() -> PasswordHash {
    PasswordHash(NOBODYS.to_owned())
}

/// What comparing a password with a hash showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Right,
    /// It is the one, and its hash was made with parameters of another time.
    RightButOld,
    /// It is not.
    Wrong,
}

/// Hashes passwords, as many at once as there are cores.
pub struct Hasher {
    argon2: Argon2<'static>,
    free: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// The 19 MiB that each hash works in, used again: as many as there are cores, however many threads.
    memory: Arc<Mutex<Vec<Memory>>>,
    done: AtomicU64,
}

type Memory = Vec<Block>;

impl Default for Hasher {
    /// argon2id with m=19456, t=2, p=1, which OWASP recommends.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            argon2: Argon2::default(),
            free: Arc::new(Semaphore::new(cores)),
            queue: Arc::new(Semaphore::new(cores + MOST_WAITING)),
            memory: Arc::default(),
            done: AtomicU64::new(0),
        }
    }
}

impl Hasher {
    /// Hashes a new password.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when too many are waiting.
    pub async fn hash(&self, platform: &Platform, password: &Password) -> Result<PasswordHash> {
        let (argon2, password, salt) =
            (self.argon2.clone(), password.clone(), platform.random::<16>());
        let hash = self.work(move |memory| {
            let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
            derive(&argon2, &password, &salt, &mut output, memory)?;
            let written = Phc {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(argon2.params())?,
                salt: Some(Salt::new(&salt)?),
                hash: Some(Output::new(&output)?),
            };
            Ok::<_, argon2::password_hash::Error>(written.to_string())
        });
        let hash = hash.await?.map_err(|error| Error::internal(error.to_string()))?;
        Ok(PasswordHash(hash))
    }

    /// Compares a password with an account's hash. Without an account it takes the same time.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when too many are waiting.
    pub async fn verify(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verdict> {
        let (current, password) = (self.argon2.clone(), password.clone());
        let known = hash.map_or(NOBODYS, |hash| hash.0.as_str()).to_owned();
        self.work(move |memory| {
            verdict(&current, &password, &known, memory).unwrap_or(Verdict::Wrong)
        })
        .await
    }

    /// How many were hashed or compared so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T> {
        let busy = |cause: tokio::sync::TryAcquireError| {
            Error::ours(ErrorCode::ServiceUnavailable, "Too many are logging in. Try again.", cause)
        };
        let _place = self.queue.clone().try_acquire_owned().map_err(busy)?;
        self.done.fetch_add(1, Ordering::Relaxed);
        let turn = self.free.clone().acquire_owned().await.map_err(Error::internal)?;
        let memories = self.memory.clone();
        // The turn goes along: a caller who leaves does not free a core that is still hashing.
        let done = tokio::task::spawn_blocking(move || {
            let mut memory = memories.lock().pop().unwrap_or_default();
            let outcome = work(&mut memory);
            memories.lock().push(memory);
            drop(turn);
            outcome
        });
        done.await.map_err(Error::internal)
    }
}

fn derive(
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

/// Compares by the parameters that the hash was made with. `None` when it is no hash that we make.
fn verdict(
    current: &Argon2<'_>,
    password: &Password,
    known: &str,
    memory: &mut Memory,
) -> Option<Verdict> {
    let known = Phc::new(known).ok()?;
    let params =
        Params::try_from(&known).ok().filter(|_| known.algorithm == Algorithm::Argon2id.ident())?;
    let is_current =
        ParamsString::try_from(current.params()).is_ok_and(|params| known.params == params);
    let (salt, expected) = (known.salt?, known.hash?);
    let mut output = vec![0; expected.as_ref().len()];
    derive(&params.into(), password, &salt, &mut output, memory).ok()?;
    Some(match (same(&output, expected.as_ref()), is_current) {
        (false, _) => Verdict::Wrong,
        (true, true) => Verdict::Right,
        (true, false) => Verdict::RightButOld,
    })
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    fn refused(text: &str) -> ErrorCode {
        Password::choose(text).expect_err(text).code
    }

    #[test]
    fn length_and_commonness_are_judged_without_hashing() {
        assert!(Password::choose("correct horse").is_ok());
        assert!(Password::choose(&"ä".repeat(128)).is_ok());
        for bad in ["", "1234567", &"x".repeat(129), &"x".repeat(1_000_000)] {
            assert_eq!(refused(bad), ErrorCode::BadUserInput);
        }
        for common in ["password", "Password", "12345678", "iloveyou", "QWERTYUIOP"] {
            assert_eq!(refused(common), ErrorCode::WeakPassword, "{common}");
        }
    }

    #[test]
    fn a_password_does_not_print() {
        assert!(
            !format!("{:?}", Password::choose("correct horse").expect("good")).contains("horse")
        );
    }

    #[tokio::test]
    async fn a_hash_is_matched_by_its_password_alone_and_old_parameters_are_seen() {
        let hasher = Hasher::default();
        let right = Password::given("correct horse").expect("good");
        let wrong = Password::given("correct horsf").expect("good");
        let hash = |argon2: Argon2<'_>| {
            let made = argon2.hash_password_with_salt(b"correct horse", &[7; 16]).expect("hashes");
            PasswordHash(made.to_string())
        };
        let current = hash(Argon2::default());
        let old = hash(Params::new(8, 1, 1, None).expect("good").into());
        for (password, hash, verdict) in [
            (&right, Some(&current), Verdict::Right),
            (&right, Some(&old), Verdict::RightButOld),
            (&wrong, Some(&current), Verdict::Wrong),
            (&right, None, Verdict::Wrong),
        ] {
            assert_eq!(hasher.verify(password, hash).await.expect("works"), verdict);
        }
    }
}
