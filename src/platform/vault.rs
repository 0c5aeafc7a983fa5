//! Vault: encrypts stored secrets and computes keyed hashes with a ring of keys.
//!
//! The key ring comes from `SECRET_KEYS`. The first key encrypts ("seals") and hashes; every key can open and verify.
//! So a new first key can be added while instances run, and `keys reseal` re-encrypts the rows with it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, digest, hmac};
use data_encoding::BASE64;
use secrecy::{ExposeSecret, SecretString};

use super::entropy::Entropy;
use crate::error::Error;

/// Length of a hash in bytes.
pub const HASH_LEN: usize = digest::SHA256_OUTPUT_LEN;

/// A SHA-256 sized hash.
pub type Hash = [u8; HASH_LEN];

const FORMAT_VERSION: u8 = 1;

/// Domain separation: keyed hashes and derived keys of different purposes are unrelated.
#[derive(Clone, Copy, Debug)]
pub struct KeyPurpose(pub &'static str);

const SEAL: KeyPurpose = KeyPurpose("seal");

/// The key ring.
pub struct Vault {
    keys: Vec<Key>,
}

struct Key {
    id: String,
    root: hmac::Key,
    seal: RandomizedNonceKey,
}

impl Key {
    fn new(id: &str, bytes: &[u8]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let seal_key = derive_key(&root, SEAL);
        let seal = RandomizedNonceKey::new(&AES_256_GCM, seal_key.as_ref())
            .expect("an HMAC-SHA256 is a 256-bit key");
        Self { id: id.to_owned(), root, seal }
    }
}

impl Vault {
    /// Parses a key ring: comma-separated entries of the form `id:base64 of 32 bytes`.
    ///
    /// # Errors
    /// A sentence with the position of the bad entry, without its content.
    pub fn parse(ring: &SecretString) -> Result<Self, String> {
        let entries =
            ring.expose_secret().split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for (index, entry) in entries.enumerate() {
            let bad = |problem| format!("SECRET_KEYS: entry {} {problem}", index + 1);
            let (id, encoded) = entry.split_once(':').ok_or_else(|| bad("is not `id:base64`"))?;
            if id.is_empty()
                || id.len() > 32
                || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            {
                return Err(bad("has an id that is not 1 to 32 letters, digits, `.`, `_` or `-`"));
            }
            let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| bad("is not base64"))?;
            if bytes.len() != 32 {
                return Err(bad("does not hold 32 bytes"));
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(bad("repeats an id"));
            }
            keys.push(Key::new(id, &bytes));
        }
        if keys.is_empty() {
            return Err("SECRET_KEYS holds no key".into());
        }
        Ok(Self { keys })
    }

    /// Generates a key ring of one key, in the format of `SECRET_KEYS`.
    pub fn generate(entropy: &dyn Entropy) -> SecretString {
        let mut bytes = [0; 34];
        entropy.fill(&mut bytes);
        let id = data_encoding::HEXLOWER.encode(&bytes[32..]);
        format!("k{id}:{}", BASE64.encode(&bytes[..32])).into()
    }

    /// Encrypts `plain` with the first key. `aad` names its row ("signing_keys/k1"), so that a value moved to another
    /// row does not open.
    pub fn seal(&self, aad: &str, plain: &[u8]) -> Vec<u8> {
        let key = &self.keys[0];
        let mut sealed = plain.to_vec();
        let nonce = key
            .seal
            .seal_in_place_append_tag(Aad::from(aad.as_bytes()), &mut sealed)
            .expect("a short text can be sealed");
        let mut out =
            vec![FORMAT_VERSION, u8::try_from(key.id.len()).expect("ids have at most 32 bytes")];
        out.extend_from_slice(key.id.as_bytes());
        out.extend_from_slice(nonce.as_ref());
        out.append(&mut sealed);
        out
    }

    /// Decrypts a value that [`Vault::seal`] encrypted with the same `aad`. Fails if the key ring lacks the key, or the
    /// value was altered or moved.
    pub fn open(&self, aad: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let unreadable = |why| Error::internal(format!("cannot open {aad}: {why}"));
        let (id, payload) = split_sealed(sealed).ok_or_else(|| unreadable("not a sealed value"))?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id.as_bytes() == id)
            .ok_or_else(|| unreadable("SECRET_KEYS lacks the key that sealed it"))?;
        let (nonce, ciphertext) =
            payload.split_at_checked(NONCE_LEN).ok_or_else(|| unreadable("cut short"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable("bad nonce"))?;
        let mut plain = ciphertext.to_vec();
        let length = key
            .seal
            .open_in_place(nonce, Aad::from(aad.as_bytes()), &mut plain)
            .map_err(|_| unreadable("altered, moved, or sealed under another key of the same id"))?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Whether a value is encrypted with the first key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        split_sealed(sealed).is_some_and(|(id, _)| id == self.keys[0].id.as_bytes())
    }

    /// The keyed hash of `data` with the first key.
    pub fn keyed_hash(&self, purpose: KeyPurpose, data: &[u8]) -> Hash {
        compute_keyed_hash(&self.keys[0], purpose, data)
    }

    /// The keyed hashes of `data` with every key, in the order of the ring: to verify a hash that an earlier first key
    /// may have computed.
    pub fn keyed_hashes(&self, purpose: KeyPurpose, data: &[u8]) -> impl Iterator<Item = Hash> {
        self.keys.iter().map(move |key| compute_keyed_hash(key, purpose, data))
    }
}

/// Splits a sealed value into the id of its key and the encrypted payload.
fn split_sealed(sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[format, length], rest) = sealed.split_first_chunk()?;
    (format == FORMAT_VERSION).then_some(())?;
    rest.split_at_checked(length.into())
}

fn derive_key(root: &hmac::Key, purpose: KeyPurpose) -> hmac::Tag {
    hmac::sign(root, purpose.0.as_bytes())
}

fn compute_keyed_hash(key: &Key, purpose: KeyPurpose, data: &[u8]) -> Hash {
    let derived = hmac::Key::new(hmac::HMAC_SHA256, derive_key(&key.root, purpose).as_ref());
    hmac::sign(&derived, data).as_ref().try_into().expect("an HMAC-SHA256 has 32 bytes")
}

/// The SHA-256 of `data`, for random input such as tokens, which needs no key.
pub fn sha256(data: &[u8]) -> Hash {
    digest::digest(&digest::SHA256, data).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

/// A SHA-256 of data that arrives in pieces.
pub struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256 {
    /// Adds the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> Hash {
        self.0.finish().as_ref().try_into().expect("a SHA-256 has 32 bytes")
    }
}

/// Compares two values in constant time.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::entropy::SystemEntropy;

    fn key_ring(keys: &[&SecretString]) -> Vault {
        let ring = keys.iter().map(|key| key.expose_secret()).collect::<Vec<_>>().join(",");
        Vault::parse(&ring.into()).expect("a valid key ring")
    }

    #[test]
    fn sealed_values_open_only_unaltered_and_in_their_row() {
        let key = Vault::generate(&SystemEntropy);
        let vault = key_ring(&[&key]);
        let sealed = vault.seal("rows/1", b"secret");
        assert_eq!(vault.open("rows/1", &sealed).expect("opens"), b"secret");
        assert!(vault.open("rows/2", &sealed).is_err());
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(vault.open("rows/1", &altered).is_err(), "byte {index}");
            assert!(vault.open("rows/1", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn values_of_an_older_key_open_and_can_be_resealed() {
        let (old, new) = (Vault::generate(&SystemEntropy), Vault::generate(&SystemEntropy));
        let sealed = key_ring(&[&old]).seal("rows/1", b"secret");
        let both = key_ring(&[&new, &old]);
        assert!(!both.is_current(&sealed));
        let resealed = both.seal("rows/1", &both.open("rows/1", &sealed).expect("opens"));
        assert!(both.is_current(&resealed));
        assert_eq!(key_ring(&[&new]).open("rows/1", &resealed).expect("opens"), b"secret");
        assert!(key_ring(&[&new]).open("rows/1", &sealed).is_err());
    }

    #[test]
    fn purposes_have_unrelated_hashes() {
        let vault = key_ring(&[&Vault::generate(&SystemEntropy)]);
        assert_ne!(
            vault.keyed_hash(KeyPurpose("a"), b"x"),
            vault.keyed_hash(KeyPurpose("b"), b"x")
        );
        assert_eq!(
            vault.keyed_hash(KeyPurpose("a"), b"x"),
            vault.keyed_hash(KeyPurpose("a"), b"x")
        );
    }

    #[test]
    fn errors_about_a_bad_key_ring_do_not_reveal_it() {
        for bad in [
            "",
            "no-colon",
            "a:###",
            "a:c2hvcnQ=",
            ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "a b:x",
        ] {
            let error = Vault::parse(&bad.into()).err().expect("refused");
            assert!(error.starts_with("SECRET_KEYS"), "{error}");
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }
}
