//! The secret of a connection: 256 random bits, shown once and stored as a hash. It needs no slow hash, as nobody can
//! guess it.

use data_encoding::BASE32_DNSSEC;
use secrecy::{ExposeSecret, SecretString};

use crate::platform::Platform;
use crate::platform::vault::{HASH_LEN, Hash, constant_time_eq, sha256};

/// What secrets begin with, so that scanners for leaked secrets can find them.
const PREFIX: &str = "cxs_";
const SECRET_LEN: usize = 32;
/// Stands for the hash of a connection that does not exist. No secret with this hash is known.
const NO_HASH: Hash = [0; HASH_LEN];

/// The secret of a connection. It does not print.
#[derive(Clone, Debug)]
pub struct ConnectionSecret(SecretString);

impl ConnectionSecret {
    /// Makes a secret.
    pub fn generate(platform: &Platform) -> Self {
        let secret = BASE32_DNSSEC.encode(&platform.random::<SECRET_LEN>());
        Self(format!("{PREFIX}{secret}").into())
    }

    /// The hash that is stored.
    pub fn hash(&self) -> Hash {
        sha256(self.0.expose_secret().as_bytes())
    }

    /// The text, to be shown once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Whether the secret that a caller gave is the one of a connection. Does the same work if there is no connection or
/// no secret.
pub fn is_secret_of(stored_hash: Option<&[u8]>, given: Option<&SecretString>) -> bool {
    let text = given.map(ExposeSecret::expose_secret).unwrap_or_default();
    let is_equal = constant_time_eq(stored_hash.unwrap_or(&NO_HASH), &sha256(text.as_bytes()));
    is_equal && stored_hash.is_some() && given.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_matches() {
        let secret = ConnectionSecret(SecretString::from("cxs_a"));
        let hash = secret.hash();
        for (stored, given, expected) in [
            (Some(&hash[..]), Some("cxs_a"), true),
            (Some(&hash), Some("cxs_b"), false),
            (Some(&hash), Some(""), false),
            (Some(&hash), None, false),
            (None, Some("cxs_a"), false),
            (None, None, false),
            (Some(&sha256(b"")), None, false),
        ] {
            let given = given.map(SecretString::from);
            assert_eq!(is_secret_of(stored, given.as_ref()), expected);
        }
        assert!(!format!("{secret:?}").contains("cxs_a"));
    }
}
