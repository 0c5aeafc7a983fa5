//! Identifiers and names of people: validation, and folding for comparison.

use email_address::{EmailAddress, Options};
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

use crate::error::UserError;
use crate::platform::phone::{PhoneKey, PhoneNumber, Region};
use crate::platform::text;

const MIN_NICKNAME_LEN: usize = 3;
const MAX_NICKNAME_LEN: usize = 32;
const MAX_EMAIL_LEN: usize = 254;
const MAX_NAME_LEN: usize = 100;

/// A nickname: 3 to 32 letters of one writing system, digits, `.`, `_` and `-`, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname {
    /// The text as entered, in composed form.
    pub display: String,
    /// The folded text, for comparison.
    pub key: String,
}

impl Nickname {
    /// Validates and folds a nickname.
    ///
    /// # Errors
    /// BAD_USER_INPUT, also for look-alike letters of several alphabets (UTS 39, "highly restrictive").
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let display = text::strip_invisible(&text::parse_line(text, MAX_NICKNAME_LEN)?);
        if display.chars().count() < MIN_NICKNAME_LEN {
            return Err(UserError::bad_input("A nickname has at least 3 characters."));
        }
        // The folded form is validated, so that another spelling of a taken nickname is taken too.
        let key = nickname_key(&display);
        if !key.starts_with(char::is_alphabetic) {
            return Err(UserError::bad_input("A nickname starts with a letter."));
        }
        let is_allowed = |c: char| match c {
            '.' | '_' | '-' | '0'..='9' => true,
            letter => {
                (letter.is_alphabetic() || text::is_mark(letter)) && !text::is_invisible(letter)
            }
        };
        if !key.chars().all(is_allowed) {
            return Err(UserError::bad_input(
                "A nickname has letters, digits, '.', '_' and '-' only.",
            ));
        }
        if !key.check_restriction_level(RestrictionLevel::HighlyRestrictive) {
            return Err(UserError::bad_input(
                "A nickname has letters of one writing system that is in use today.",
            ));
        }
        Ok(Self { display, key })
    }
}

fn nickname_key(text: &str) -> String {
    text::nfkc_casefold(text)
}

/// An e-mail address of at most 254 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The text as entered, in composed form.
    pub display: String,
    /// The folded text, for comparison.
    pub key: String,
}

impl Email {
    /// Validates and folds an e-mail address.
    ///
    /// # Errors
    /// BAD_USER_INPUT
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let display = text::parse_line(&text::strip_invisible(text), MAX_EMAIL_LEN)?;
        let strict_options =
            Options::default().with_required_tld().without_display_text().without_domain_literal();
        match EmailAddress::parse_with_options(&display, strict_options) {
            Ok(_) if !display.contains(char::is_whitespace) => {
                Ok(Self { key: text::casefold(&display), display })
            }
            _ => Err(UserError::bad_input("This is not an e-mail address.")),
        }
    }
}

/// Validates and composes the name of a person or contact: 1 to 100 characters, without control characters.
///
/// # Errors
/// BAD_USER_INPUT
pub fn parse_person_name(text: &str) -> Result<String, UserError> {
    text::parse_line(text, MAX_NAME_LEN)
}

/// An identifier that a person logs in with, folded as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identifier {
    /// A folded nickname.
    Nickname(String),
    /// A folded e-mail address.
    Email(String),
    /// A canonical phone number.
    Phone(PhoneKey),
}

/// The folded text: equal identifiers have equal texts.
impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nickname(key) | Self::Email(key) => f.write_str(key),
            Self::Phone(key) => f.write_str(key.as_str()),
        }
    }
}

impl Identifier {
    /// Validates and classifies user input.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a text that cannot be an identifier.
    pub fn parse_input(text: &str, default_region: Option<&Region>) -> Result<Self, UserError> {
        // No identifier is longer than an e-mail address.
        let line = text::parse_line(&text::clean_input(text), MAX_EMAIL_LEN)?;
        Ok(Self::classify(&line, default_region))
    }

    /// Classifies a text: an e-mail address if it contains an @; else a phone number if it parses as one, also after a
    /// plus is added; else a nickname.
    pub fn classify(text: &str, default_region: Option<&Region>) -> Self {
        let text = text::clean_input(text);
        let text = text.trim();
        if text.contains('@') {
            return Self::Email(text::casefold(text));
        }
        let as_written = PhoneNumber::parse(text, default_region).ok();
        let phone = match as_written {
            Some(phone) if phone.info().is_valid => Some(phone),
            phone => PhoneNumber::parse_without_plus(text).or(phone),
        };
        match phone {
            Some(phone) => Self::Phone(phone.key()),
            None => Self::Nickname(nickname_key(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicknames_are_validated_and_compared_folded() {
        for good in ["ann", "Ann_1", "a.b-c", "Zoë", "Łukasz", "हिन्दी", &"x".repeat(32)]
        {
            assert!(Nickname::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "an",
            "1ann",
            "_ann",
            "an n",
            "ann@home",
            "ann!",
            "ann\u{202e}x",
            "\u{3164}\u{3164}\u{3164}",
            &"x".repeat(33),
        ] {
            assert!(Nickname::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Nickname::parse("ZOE\u{308}").expect("good").key,
            Nickname::parse("zoë").expect("good").key
        );
    }

    #[test]
    fn emails_are_validated_and_compared_folded() {
        for good in ["ann@example.org", "Ann.Lee+games@Example.ORG", "ann@bücher.example"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "x".repeat(250));
        for bad in [
            "",
            "ann",
            "ann@",
            "@example.org",
            "ann@localhost",
            "ann@@example.org",
            "a b@example.org",
            "Ann <ann@example.org>",
            &long,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Email::parse("ANN@Example.org").expect("good").key, "ann@example.org");
    }

    #[test]
    fn identifiers_are_classified_by_their_form() {
        let (nl, us) =
            (Region::parse("NL").expect("a region"), Region::parse("US").expect("a region"));
        let phone =
            |text, region| matches!(Identifier::classify(text, region), Identifier::Phone(_));
        assert!(phone("+31 6 12345678", None));
        assert!(phone("0612345678", Some(&nl)));
        assert!(!phone("0612345678", None));
        assert_eq!(
            Identifier::classify(" ANN@example.org ", None),
            Identifier::Email("ann@example.org".into())
        );
        assert_eq!(
            Identifier::classify("Callme1234", Some(&us)),
            Identifier::Nickname("callme1234".into())
        );
    }
}
