//! What people are called and found by: nicknames, e-mail addresses, phone numbers, names.

use email_address::{EmailAddress, Options};
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

use crate::error::Failure;
use crate::platform::phone::{PhoneKey, PhoneNumber, Region};
use crate::platform::text;

const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 100;

/// A nickname: 3 to 32 letters of one writing system, digits, `.`, `_` and `-`, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname {
    /// As it was given, composed.
    pub shown: String,
    /// What it is compared by.
    pub key: String,
}

impl Nickname {
    /// Checks and folds one.
    ///
    /// # Errors
    /// BAD_USER_INPUT, also for letters of several alphabets, which look alike: UTS 39, "highly restrictive".
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let shown = text::visible(&text::line(text, 32)?);
        if shown.chars().count() < 3 {
            return Err(Failure::bad_input("A nickname has at least 3 characters."));
        }
        // Judged as it is compared, so that another way to write a nickname that is taken is taken too.
        let key = nickname_key(&shown);
        if !key.starts_with(char::is_alphabetic) {
            return Err(Failure::bad_input("A nickname starts with a letter."));
        }
        let fits = |c: char| match c {
            '.' | '_' | '-' | '0'..='9' => true,
            letter => {
                (letter.is_alphabetic() || text::is_mark(letter)) && !text::is_invisible(letter)
            }
        };
        if !key.chars().all(fits) {
            return Err(Failure::bad_input(
                "A nickname has letters, digits, '.', '_' and '-' only.",
            ));
        }
        if !key.check_restriction_level(RestrictionLevel::HighlyRestrictive) {
            return Err(Failure::bad_input(
                "A nickname has letters of one writing system that is in use today.",
            ));
        }
        Ok(Self { shown, key })
    }
}

fn nickname_key(text: &str) -> String {
    text::fold_form(text)
}

/// An e-mail address of at most 254 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// As it was given, composed.
    pub shown: String,
    /// What it is compared by.
    pub key: String,
}

impl Email {
    /// Checks and folds one.
    ///
    /// # Errors
    /// BAD_USER_INPUT
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let shown = text::line(&text::visible(text), LONGEST_EMAIL)?;
        let strict =
            Options::default().with_required_tld().without_display_text().without_domain_literal();
        match EmailAddress::parse_with_options(&shown, strict) {
            Ok(_) if !shown.contains(char::is_whitespace) => {
                Ok(Self { key: text::fold(&shown), shown })
            }
            _ => Err(Failure::bad_input("This is not an e-mail address.")),
        }
    }
}

/// A person's or contact's name: 1 to 100 characters, composed, without control characters.
///
/// # Errors
/// BAD_USER_INPUT
pub fn person_name(text: &str) -> Result<String, Failure> {
    text::line(text, LONGEST_NAME)
}

/// What somebody logs in by, folded as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identifier {
    /// A folded nickname.
    Nickname(String),
    /// A folded e-mail address.
    Email(String),
    /// What a phone number is compared by.
    Phone(PhoneKey),
}

/// As one text: what two mean the same have the same.
impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nickname(key) | Self::Email(key) => f.write_str(key),
            Self::Phone(key) => f.write_str(key.as_str()),
        }
    }
}

impl Identifier {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// BAD_USER_INPUT for what nobody can have.
    pub fn read(text: &str, default_region: Option<&Region>) -> Result<Self, Failure> {
        // No identifier is longer than an e-mail address.
        let line = text::line(&text::typed(text), LONGEST_EMAIL)?;
        Ok(Self::parse(&line, default_region))
    }

    /// With an @ an e-mail address; else a phone number, if it parses as one, also once a plus stands before it;
    /// else a nickname.
    pub fn parse(text: &str, default_region: Option<&Region>) -> Self {
        let text = text::typed(text);
        let text = text.trim();
        if text.contains('@') {
            return Self::Email(text::fold(text));
        }
        let as_written = PhoneNumber::parse(text, default_region).ok();
        let phone = match as_written {
            Some(phone) if phone.facts().valid => Some(phone),
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
    fn nicknames_are_bounded_and_compared_folded() {
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
    fn emails_are_bounded_and_compared_folded() {
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
    fn an_identifier_is_told_by_its_form() {
        let (nl, us) =
            (Region::parse("NL").expect("a region"), Region::parse("US").expect("a region"));
        let phone = |text, region| matches!(Identifier::parse(text, region), Identifier::Phone(_));
        assert!(phone("+31 6 12345678", None));
        assert!(phone("0612345678", Some(&nl)));
        assert!(!phone("0612345678", None));
        assert_eq!(
            Identifier::parse(" ANN@example.org ", None),
            Identifier::Email("ann@example.org".into())
        );
        assert_eq!(
            Identifier::parse("Callme1234", Some(&us)),
            Identifier::Nickname("callme1234".into())
        );
    }
}
