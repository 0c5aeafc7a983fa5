//! Codes as people type and paste them.

use std::fmt::Debug;

use crate::error::{At, Failure};
use crate::platform::text;

/// How many digits a code has.
pub const CODE_LEN: usize = 6;

/// A code that can be one of ours: six ASCII digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(..)")
    }
}

impl Code {
    /// Reads six digits of any script. Spaces, hyphens and invisible characters between them do not count.
    ///
    /// # Errors
    /// BAD_USER_INPUT
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let is_separator =
            |c: char| c.is_whitespace() || text::is_hyphen(c) || text::is_invisible(c);
        let counted = text.chars().filter(|c| !is_separator(*c));
        // One more than there may be shows that there are too many.
        let digits: Option<String> = counted.take(CODE_LEN + 1).map(text::ascii_digit).collect();
        let code = digits.filter(|digits| digits.len() == CODE_LEN);
        code.map(Self).ok_or_else(|| Failure::bad_input("A code has six digits."))
    }

    /// The six digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What somebody gives back, as it was typed.
#[derive(Clone)]
pub struct Verification {
    /// The challenge's id.
    pub challenge_id: String,
    /// The code.
    pub code: String,
}

impl Verification {
    /// Reads the code. Nothing is counted against its challenge before it has the form of one.
    ///
    /// # Errors
    /// BAD_USER_INPUT at `field`.
    pub fn read(&self, field: &'static str) -> Result<EnteredCode, Failure> {
        let code = Code::parse(&self.code).at(field)?;
        Ok(EnteredCode { challenge_id: self.challenge_id.clone(), code })
    }
}

/// A code that has the form of one, and the id of the challenge that it is to answer.
#[derive(Clone, Debug)]
pub struct EnteredCode {
    /// The challenge's id, which may name none.
    pub challenge_id: String,
    /// The code.
    pub code: Code,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        Code::parse(text).ok().map(|code| code.as_str().to_owned())
    }

    #[test]
    fn many_ways_of_writing_are_one_code() {
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
            assert_eq!(read(text).as_deref(), Some("123456"), "{text:?}");
        }
    }

    #[test]
    fn what_has_not_six_digits_is_no_code() {
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
            assert_eq!(read(text), None, "{:?}", text.get(..20));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_six_digits(text in "\\PC{0,12}|[0-9\u{660}-\u{669}\u{ff10}-\u{ff19} \u{200e}-]{6,10}") {
            if let Some(code) = read(&text) {
                prop_assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert_eq!(read(&code), Some(code));
            }
        }
    }
}
