//! The texts of messages, by language: all of them in `templates.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pattern::Pattern;
use crate::error::Failure;
use crate::platform::text;

/// The most characters of a message. Only those about bonuses come near.
pub const LONGEST_TEXT: usize = 480;
/// What stands in a code's place where the text is shown.
const MASKED_CODE: &str = "••••••";

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(sea_orm::EnumIter))]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// A code that confirms the number.
    VerifyPhone,
    /// A code to log in.
    Login,
    /// A code to change the profile.
    UpdateProfile,
    /// A code to change the password.
    ChangePassword,
    /// A code to set a new password.
    ResetPassword,
    /// A code to turn two-factor login on or off.
    TwoFactor,
    /// A code to delete the account.
    DeleteAccount,
    /// The password was changed.
    PasswordChanged,
    /// Two-factor login was turned on.
    TwoFactorOn,
    /// Two-factor login was turned off.
    TwoFactorOff,
    /// Somebody logged in on a device that was not seen before.
    NewDevice,
    /// Coins that were paid at once.
    BonusPaid,
    /// Coins that wait until the number is confirmed.
    BonusWaiting,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Service,
    Code,
    Minutes,
    Coins,
    Campaign,
}

impl Place {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "service" => Self::Service,
            "code" => Self::Code,
            "minutes" => Self::Minutes,
            "coins" => Self::Coins,
            "campaign" => Self::Campaign,
            _ => return None,
        })
    }
}

/// The texts of one language, for one service.
#[derive(Debug)]
pub struct Templates {
    service: String,
    texts: BTreeMap<Template, Pattern<Place>>,
}

impl Templates {
    /// The texts of a language ("en"), which call the service by this name.
    ///
    /// # Errors
    /// A sentence about SMS_LANGUAGE when there are no texts of this language.
    pub fn new(language: &str, service: &str) -> Result<Self, String> {
        let mut languages = languages();
        let known = languages.keys().cloned().collect::<Vec<_>>().join(", ");
        let texts = languages.remove(language);
        let texts = texts.ok_or_else(|| format!("SMS_LANGUAGE: must be one of {known}"))?;
        Ok(Self { service: service.to_owned(), texts })
    }

    /// The text with a code that works for so many minutes.
    pub fn code(&self, template: Template, code: &str, minutes: u64) -> String {
        self.fill(template, |place| match place {
            Place::Code => Some(code.to_owned()),
            Place::Minutes => Some(minutes.to_string()),
            _ => None,
        })
    }

    /// The same text as it is shown to others than the code's owner.
    pub fn masked_code(&self, template: Template, minutes: u64) -> String {
        self.code(template, MASKED_CODE, minutes)
    }

    /// The text of a notice, which has nothing to fill in but the service's name.
    pub fn notice(&self, template: Template) -> String {
        self.fill(template, |_| None)
    }

    /// The text about a campaign's coins.
    pub fn bonus(&self, template: Template, coins: i64, campaign: &str) -> String {
        self.fill(template, |place| match place {
            Place::Coins => Some(coins.to_string()),
            Place::Campaign => Some(campaign.to_owned()),
            _ => None,
        })
    }

    fn fill(&self, template: Template, value: impl Fn(Place) -> Option<String>) -> String {
        self.texts[&template].fill(|place| match place {
            Place::Service => self.service.clone(),
            place => value(place).unwrap_or_else(|| {
                debug_assert!(false, "{template:?} is filled with values of another kind");
                String::new()
            }),
        })
    }
}

fn languages() -> BTreeMap<String, BTreeMap<Template, Pattern<Place>>> {
    let texts: BTreeMap<String, BTreeMap<Template, String>> =
        toml::from_str(include_str!("templates.toml")).expect("the tests read the same file");
    let read = |text: String| Pattern::parse(&text, Place::of).expect("the tests read each text");
    let read_all = |texts: BTreeMap<Template, String>| {
        texts.into_iter().map(|(template, text)| (template, read(text))).collect()
    };
    texts.into_iter().map(|(language, texts)| (language, read_all(texts))).collect()
}

/// Checks an operator's own message: trimmed, composed (NFC), 1 to [`LONGEST_TEXT`] characters, with line
/// feeds and without other control characters.
///
/// # Errors
/// BAD_USER_INPUT; name the field with `at`.
pub fn campaign_text(text: &str) -> Result<String, Failure> {
    text::lines(text, LONGEST_TEXT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sea_orm::Iterable;

    use super::super::segments::{Characters, Size, size_of};
    use super::*;

    /// Each language with how its texts with a code end.
    const LANGUAGES: [(&str, &str); 5] = [
        ("de", " Gib ihn an niemanden weiter."),
        ("en", " Never pass it on to anyone."),
        ("es", " No la compartas con nadie."),
        ("fr", " Ne le donnez à personne."),
        ("nl", " Geef hem aan niemand door."),
    ];
    /// The longest that the configuration takes.
    const SERVICE: &str = "Ångström & Söhne, Game Parlour";
    const LONGEST_CAMPAIGN: usize = 64;

    fn is_bonus(template: Template) -> bool {
        matches!(template, Template::BonusPaid | Template::BonusWaiting)
    }

    fn is_notice(template: Template) -> bool {
        matches!(
            template,
            Template::PasswordChanged
                | Template::TwoFactorOn
                | Template::TwoFactorOff
                | Template::NewDevice
        )
    }

    fn codes() -> impl Iterator<Item = Template> {
        Template::iter().filter(|template| !is_bonus(*template) && !is_notice(*template))
    }

    fn all() -> impl Iterator<Item = (Templates, &'static str)> {
        LANGUAGES.into_iter().map(|(language, warning)| {
            (Templates::new(language, SERVICE).expect("a language"), warning)
        })
    }

    /// The runs of digits in `text`.
    fn numbers(text: &str) -> Vec<&str> {
        text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).collect()
    }

    #[test]
    fn another_language_is_refused_and_the_known_ones_are_named() {
        for language in ["", "EN", "it", "de-DE"] {
            let said = Templates::new(language, SERVICE).expect_err("unknown");
            assert_eq!(said, "SMS_LANGUAGE: must be one of de, en, es, fr, nl");
        }
    }

    #[test]
    fn every_language_has_every_text_with_its_places() {
        assert!(languages().keys().map(String::as_str).eq(LANGUAGES.map(|(name, _)| name)));
        for (language, texts) in languages() {
            assert!(texts.keys().copied().eq(Template::iter()), "{language}");
            for (template, text) in texts {
                let mut places = std::cell::RefCell::new(Vec::new());
                let filled = text.fill(|place| {
                    places.borrow_mut().push(place);
                    String::new()
                });
                assert!(!filled.contains(['{', '}']), "{language}: {filled}");
                places.get_mut().sort_unstable();
                let expected: &[Place] = match template {
                    it if is_bonus(it) => &[Place::Service, Place::Coins, Place::Campaign],
                    it if is_notice(it) => &[Place::Service],
                    _ => &[Place::Service, Place::Code, Place::Minutes],
                };
                assert_eq!(*places.get_mut(), expected, "{language}, {template:?}");
            }
        }
    }

    #[test]
    fn a_code_is_one_sms_and_warns_not_to_pass_it_on() {
        assert_eq!(SERVICE.chars().count(), 30);
        for (templates, warning) in all() {
            for template in codes() {
                let text = templates.code(template, "123456", 99);
                assert!(text.ends_with(warning), "{text}");
                assert!(text.starts_with(SERVICE), "{text}");
                assert_eq!(
                    size_of(&text),
                    Size { characters: Characters::Gsm7, segments: 1 },
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn no_two_purposes_sound_the_same() {
        for (templates, _) in all() {
            let mut texts: Vec<_> = codes().map(|t| templates.code(t, "123456", 5)).collect();
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts.len(), codes().count());
        }
    }

    #[test]
    fn a_notice_is_one_sms_without_a_number_in_it() {
        for (templates, _) in all() {
            for template in Template::iter().filter(|template| is_notice(*template)) {
                let text = templates.notice(template);
                assert!(text.starts_with(SERVICE) && numbers(&text).is_empty(), "{text}");
                assert_eq!(
                    size_of(&text),
                    Size { characters: Characters::Gsm7, segments: 1 },
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn the_longest_bonus_fits() {
        for (templates, _) in all() {
            for template in Template::iter().filter(|template| is_bonus(*template)) {
                let text = templates.bonus(template, i64::MAX, &"m".repeat(LONGEST_CAMPAIGN));
                assert!(text.chars().count() <= LONGEST_TEXT, "{text}");
                assert!(text.contains(&i64::MAX.to_string()), "{text}");
                assert_eq!(size_of(&text).characters, Characters::Gsm7, "{text}");
            }
        }
    }

    #[test]
    fn a_value_that_looks_like_a_place_stays_as_it_is() {
        let templates = Templates::new("en", "{code}").expect("a language");
        assert_eq!(
            templates.bonus(Template::BonusPaid, 5, "{coins} {service}"),
            "{code}: a bonus from {coins} {service}! Coins added to your account: 5."
        );
        assert!(templates.code(Template::Login, "123456", 5).starts_with("{code}: 123456 is"));
    }

    #[test]
    fn an_operators_message_is_bounded_and_may_have_lines() {
        assert_eq!(campaign_text(" Hi!\r\nBye ").expect("good"), "Hi!\nBye");
        assert!(campaign_text(&"ü".repeat(LONGEST_TEXT)).is_ok());
        for bad in ["", " \n", "a\u{0}", "a\tb", &"ü".repeat(LONGEST_TEXT + 1)] {
            assert!(campaign_text(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_the_one_thing_that_looks_like_one(code in "[0-9]{6}", minutes in 1_u64..=1440) {
            for (templates, _) in all() {
                for template in codes() {
                    let text = templates.code(template, &code, minutes);
                    let six: Vec<_> = numbers(&text).into_iter().filter(|run| run.len() == 6).collect();
                    prop_assert_eq!(six, [&code]);
                    let masked = templates.masked_code(template, minutes);
                    prop_assert_eq!(numbers(&masked), [minutes.to_string()]);
                    prop_assert_eq!(masked.replace(MASKED_CODE, &code), text);
                }
            }
        }
    }
}
