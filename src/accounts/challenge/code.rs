//! Six-digit codes: generated, hashed and compared here, and parsed in the many forms that people type and paste.

use std::fmt::Debug;

use uuid::Uuid;

use super::public_id;
use crate::accounts::entity::challenges::Model;
use crate::error::{ForField, UserError};
use crate::platform::vault::{self, Hash, constant_time_eq};
use crate::platform::{Platform, text};

const CODE_PURPOSE: vault::KeyPurpose = vault::KeyPurpose("challenge code");

/// The number of digits of a code.
pub const CODE_LEN: usize = 6;

/// A well-formed code: six ASCII digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(..)")
    }
}

impl Code {
    /// Reads six digits of any script. Spaces, hyphens and invisible characters are ignored.
    ///
    /// # Errors
    /// BAD_USER_INPUT
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let is_separator =
            |c: char| c.is_whitespace() || text::is_hyphen(c) || text::is_invisible(c);
        let characters = text.chars().filter(|c| !is_separator(*c));
        // One character too many is enough to reject the text: do not read a long one.
        let digits: Option<String> =
            characters.take(CODE_LEN + 1).map(text::to_ascii_digit).collect();
        let code = digits.filter(|digits| digits.len() == CODE_LEN);
        code.map(Self).ok_or_else(|| UserError::bad_input("A code has six digits."))
    }

    /// The six digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A challenge id and a code, as a client sent them.
#[derive(Clone)]
pub struct Verification {
    /// The challenge's id.
    pub challenge_id: String,
    /// The code.
    pub code: String,
}

impl Verification {
    /// Checks the form of the code. A malformed code does not count as an attempt.
    ///
    /// # Errors
    /// BAD_USER_INPUT at `field`.
    pub fn parse(&self, field: &'static str) -> Result<EnteredCode, UserError> {
        let code = Code::parse(&self.code).for_field(field)?;
        Ok(EnteredCode { challenge_id: self.challenge_id.clone(), code })
    }
}

/// A well-formed code, and the id of its challenge.
#[derive(Clone, Debug)]
pub struct EnteredCode {
    /// The challenge's id, not yet looked up.
    pub challenge_id: String,
    /// The code.
    pub code: Code,
}

/// A random code. All codes are equally likely.
pub fn generate_code(platform: &Platform) -> String {
    const CODE_COUNT: u32 = 1_000_000;
    loop {
        let random = u32::from_be_bytes(platform.random());
        // Above the last whole million, draw again: otherwise low codes would be likelier.
        if random < u32::MAX / CODE_COUNT * CODE_COUNT {
            return format!("{:06}", random % CODE_COUNT);
        }
    }
}

/// A code that is not sent by SMS: the public id of its challenge, the code, and its hash.
pub fn recovery_code(platform: &Platform, id: Uuid) -> (String, String, Vec<u8>) {
    let code = generate_code(platform);
    let hash = hash_code(platform, id, &code).to_vec();
    (public_id::encode(platform, id), code, hash)
}

/// The keyed hash of a challenge's code.
pub fn hash_code(platform: &Platform, id: Uuid, code: &str) -> Hash {
    platform.vault.keyed_hash(CODE_PURPOSE, &[id.as_bytes(), code.as_bytes()].concat())
}

/// Whether a code is the right one for a challenge.
pub fn matches_code(platform: &Platform, challenge: &Model, code: &Code) -> bool {
    let plain = [challenge.id.as_bytes(), code.as_str().as_bytes()].concat();
    let expected = challenge.code_hash.as_deref().unwrap_or(&[0; 32]);
    let mut hashes = platform.vault.keyed_hashes(CODE_PURPOSE, &plain);
    hashes.any(|hash| constant_time_eq(&hash, expected))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<String> {
        Code::parse(text).ok().map(|code| code.as_str().to_owned())
    }

    #[test]
    fn codes_are_read_in_any_spacing_and_script() {
        for text in [
            "123456",
            " 123456 ",
            "123 456",
            "123-456",
            "12 34 56\n",
            "123\u{a0}456",
            "123\u{2007}456",
            "\u{3000}123\u{3000}456",
            "123\u{2011}456",
            "123\u{2013}456",
            "123\u{2212}456",
            "123\u{ff0d}456",
            "\u{200e}123456\u{200f}",
            "\u{2066}123456\u{2069}",
            "\u{202a}123\u{ad}456\u{202c}",
            "\u{feff}123\u{200b}456",
            "1\u{fe0f}23456",
            "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}",
            "\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}\u{6f6}",
            "\u{967}\u{968}\u{969}\u{96a}\u{96b}\u{96c}",
            "\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}",
            "\u{1d7cf}\u{1d7da}\u{1d7e5}\u{1d7f0}\u{1d7fb}6",
        ] {
            assert_eq!(parse(text).as_deref(), Some("123456"), "{text:?}");
        }
    }

    #[test]
    fn codes_other_than_six_digits_are_rejected() {
        for text in [
            "",
            " - ",
            "12345",
            "1234567",
            "123456x",
            "12345O",
            "12345\u{b2}",
            "12345\u{bd}",
            "123.456",
            "+123456",
            "123456\u{0}",
            "\u{4e00}23456",
            &"1".repeat(1_000_000),
        ] {
            assert_eq!(parse(text), None, "{:?}", text.get(..20));
        }
    }

    proptest! {
        #[test]
        fn parsed_codes_have_six_ascii_digits(text in "\\PC{0,12}|[0-9\u{660}-\u{669}\u{ff10}-\u{ff19} \u{200e}-]{6,10}") {
            if let Some(code) = parse(&text) {
                prop_assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert_eq!(parse(&code), Some(code));
            }
        }
    }
}
