//! Signature of a webhook: `sha256=` and the HMAC-SHA256 (RFC 2104) of its raw body in hexadecimal digits.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER_PERMISSIVE;
use secrecy::{ExposeSecret, SecretString};

use crate::platform::vault::{constant_time_eq, sha256};

/// Whether a header is the signature of a body under a secret.
pub fn is_signed(header: Option<&[u8]>, secret: &SecretString, body: &[u8]) -> bool {
    let Some(digits) = header.and_then(|header| header.strip_prefix(b"sha256=")) else {
        return false;
    };
    let Ok(signature) = HEXLOWER_PERMISSIVE.decode(digits) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    // In constant time.
    hmac::verify(&key, body, &signature).is_ok()
}

/// Whether a text is the secret. Takes the same time wherever they differ.
pub fn is_secret(text: &str, secret: &SecretString) -> bool {
    constant_time_eq(&sha256(text.as_bytes()), &sha256(secret.expose_secret().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 2 of RFC 4231, section 4.3.
    const SIGNATURE: &str =
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn verify(header: &str, secret: &str, body: &str) -> bool {
        is_signed(Some(header.as_bytes()), &secret.into(), body.as_bytes())
    }

    #[test]
    fn only_the_signature_of_these_bytes_is_accepted() {
        let body = "what do ya want for nothing?";
        assert!(verify(SIGNATURE, "Jefe", body));
        assert!(verify(&SIGNATURE.replace("5bdc", "5BDC"), "Jefe", body));
        assert!(!verify(SIGNATURE, "jefe", body));
        assert!(!verify(SIGNATURE, "Jefe", "what do ya want for nothing? "));
        for header in ["", "sha256=", "sha1=00", &SIGNATURE[7..], &SIGNATURE[..70], "sha256=zz"] {
            assert!(!verify(header, "Jefe", body), "{header}");
        }
        assert!(!is_signed(None, &"Jefe".into(), body.as_bytes()));
    }

    #[test]
    fn only_the_whole_secret_is_the_secret() {
        assert!(is_secret("Jefe", &"Jefe".into()));
        for other in ["", "Jef", "Jefe ", "jefe"] {
            assert!(!is_secret(other, &"Jefe".into()), "{other}");
        }
    }
}
