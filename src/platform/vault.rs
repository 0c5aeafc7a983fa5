//! Secrets at rest: a ring of keys that seals rows, keys hashes and derives tokens.
//!
//! The ring comes from `SECRET_KEYS`. The first key seals and hashes; all of them open and check, so a
//! new first key can be added while everything runs, and `keys reseal` moves the rows over.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, digest, hmac};
use data_encoding::BASE64;
use secrecy::{ExposeSecret, SecretString};

use super::entropy::Entropy;
use crate::error::Error;

/// How long a hash is, in bytes.
pub const HASH_LEN: usize = digest::SHA256_OUTPUT_LEN;

/// A SHA-256 sized hash.
pub type Hash = [u8; HASH_LEN];

const FORMAT: u8 = 1;

/// What a keyed hash or derived key is for, so that one purpose's output is useless for another's.
#[derive(Clone, Copy, Debug)]
pub struct Purpose(pub &'static str);

const SEAL: Purpose = Purpose("seal");

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
        let sealing = derive(&root, SEAL);
        let seal = RandomizedNonceKey::new(&AES_256_GCM, sealing.as_ref())
            .expect("an HMAC-SHA256 is a 256-bit key");
        Self { id: id.to_owned(), root, seal }
    }
}

impl Vault {
    /// Reads a ring written as `id:base64 of 32 bytes`, comma-separated.
    ///
    /// # Errors
    /// A sentence that names the bad entry by its place, never its content.
    pub fn parse(ring: &SecretString) -> Result<Self, String> {
        let entries =
            ring.expose_secret().split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for (place, entry) in entries.enumerate() {
            let bad = |what| format!("SECRET_KEYS: entry {} {what}", place + 1);
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

    /// A ring of one new key, as `SECRET_KEYS` takes it.
    pub fn generate(entropy: &dyn Entropy) -> SecretString {
        let mut bytes = [0; 34];
        entropy.fill(&mut bytes);
        let id = data_encoding::HEXLOWER.encode(&bytes[32..]);
        format!("k{id}:{}", BASE64.encode(&bytes[..32])).into()
    }

    /// Seals `plain` for the row named by `place` ("signing_keys/k1"); it opens there and nowhere else.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Vec<u8> {
        let key = &self.keys[0];
        let mut sealed = plain.to_vec();
        let nonce = key
            .seal
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .expect("a short text can be sealed");
        let mut out = vec![FORMAT, u8::try_from(key.id.len()).expect("ids have at most 32 bytes")];
        out.extend_from_slice(key.id.as_bytes());
        out.extend_from_slice(nonce.as_ref());
        out.append(&mut sealed);
        out
    }

    /// Opens what [`Vault::seal`] sealed for the same place.
    ///
    /// # Errors
    /// Internal: the ring lacks the key, or the row was altered or moved.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let unreadable = |why| Error::internal(format!("cannot open {place}: {why}"));
        let (id, rest) = split(sealed).ok_or_else(|| unreadable("not a sealed value"))?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id.as_bytes() == id)
            .ok_or_else(|| unreadable("SECRET_KEYS lacks the key that sealed it"))?;
        let (nonce, ciphertext) =
            rest.split_at_checked(NONCE_LEN).ok_or_else(|| unreadable("cut short"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable("bad nonce"))?;
        let mut plain = ciphertext.to_vec();
        let length = key
            .seal
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut plain)
            .map_err(|_| unreadable("altered, moved, or sealed under another key of the same id"))?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Whether it is sealed under the first key already.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        split(sealed).is_some_and(|(id, _)| id == self.keys[0].id.as_bytes())
    }

    /// A keyed hash of `data` under the first key.
    pub fn keyed_hash(&self, purpose: Purpose, data: &[u8]) -> Hash {
        keyed(&self.keys[0], purpose, data)
    }

    /// The keyed hashes of `data` under every key of the ring, the first key's first: to check what an
    /// earlier first key may have made.
    pub fn keyed_hashes(&self, purpose: Purpose, data: &[u8]) -> impl Iterator<Item = Hash> {
        self.keys.iter().map(move |key| keyed(key, purpose, data))
    }
}

fn split(sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[format, length], rest) = sealed.split_first_chunk()?;
    (format == FORMAT).then_some(())?;
    rest.split_at_checked(length.into())
}

fn derive(root: &hmac::Key, purpose: Purpose) -> hmac::Tag {
    hmac::sign(root, purpose.0.as_bytes())
}

fn keyed(key: &Key, purpose: Purpose, data: &[u8]) -> Hash {
    let derived = hmac::Key::new(hmac::HMAC_SHA256, derive(&key.root, purpose).as_ref());
    hmac::sign(&derived, data).as_ref().try_into().expect("an HMAC-SHA256 has 32 bytes")
}

/// The SHA-256 of `data`: enough for what is random already, such as tokens.
pub fn sha256(data: &[u8]) -> Hash {
    digest::digest(&digest::SHA256, data).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

/// Compares in a time that does not depend on where two values differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::entropy::SystemEntropy;

    fn ring(keys: &[&SecretString]) -> Vault {
        let ring = keys.iter().map(|key| key.expose_secret()).collect::<Vec<_>>().join(",");
        Vault::parse(&ring.into()).expect("a good ring")
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let key = Vault::generate(&SystemEntropy);
        let vault = ring(&[&key]);
        let sealed = vault.seal("rows/1", b"secret");
        assert_eq!(vault.open("rows/1", &sealed).expect("opens"), b"secret");
        assert!(vault.open("rows/2", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert!(vault.open("rows/1", &altered).is_err(), "byte {place}");
            assert!(vault.open("rows/1", &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_new_first_key_still_opens_the_old_rows() {
        let (old, new) = (Vault::generate(&SystemEntropy), Vault::generate(&SystemEntropy));
        let sealed = ring(&[&old]).seal("rows/1", b"secret");
        let both = ring(&[&new, &old]);
        assert!(!both.is_current(&sealed));
        let again = both.seal("rows/1", &both.open("rows/1", &sealed).expect("opens"));
        assert!(both.is_current(&again));
        assert_eq!(ring(&[&new]).open("rows/1", &again).expect("opens"), b"secret");
        assert!(ring(&[&new]).open("rows/1", &sealed).is_err());
    }

    #[test]
    fn purposes_do_not_mix() {
        let vault = ring(&[&Vault::generate(&SystemEntropy)]);
        assert_ne!(vault.keyed_hash(Purpose("a"), b"x"), vault.keyed_hash(Purpose("b"), b"x"));
        assert_eq!(vault.keyed_hash(Purpose("a"), b"x"), vault.keyed_hash(Purpose("a"), b"x"));
    }

    #[test]
    fn a_bad_ring_is_refused_without_repeating_it() {
        for bad in [
            "",
            "no-colon",
            "a:###",
            "a:c2hvcnQ=",
            ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "a b:x",
        ] {
            let said = Vault::parse(&bad.into()).err().expect("refused");
            assert!(said.starts_with("SECRET_KEYS"), "{said}");
            assert!(bad.is_empty() || !said.contains(bad), "{said}");
        }
    }
}
