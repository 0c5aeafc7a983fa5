//! Texts of messages in several languages, from `templates.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::text_template::TextTemplate;
use crate::error::UserError;
use crate::platform::text;

/// In characters. The texts about bonuses are the longest.
pub const MAX_TEXT_LEN: usize = 480;
/// Replaces the code in texts that operators can read.
const MASKED_CODE: &str = "••••••";

/// A kind of text.
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
    /// There was a login on a new device.
    NewDevice,
    /// A campaign's coins were added to the account.
    BonusPaid,
}

/// The placeholders in the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Placeholder {
    Service,
    Code,
    Minutes,
    Coins,
    Campaign,
}

impl Placeholder {
    /// The placeholders of operators' own texts.
    fn parse_in_campaign_text(name: &str) -> Option<Self> {
        Self::parse(name).filter(|placeholder| {
            matches!(placeholder, Self::Service | Self::Coins | Self::Campaign)
        })
    }

    fn parse(name: &str) -> Option<Self> {
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
    texts: BTreeMap<Template, TextTemplate<Placeholder>>,
}

impl Templates {
    /// The texts of a language ("en"), for a service of this name.
    ///
    /// # Errors
    /// A sentence about SMS_LANGUAGE if there are no texts in this language.
    pub fn new(language: &str, service: &str) -> Result<Self, String> {
        let mut languages = languages();
        let available = languages.keys().cloned().collect::<Vec<_>>().join(", ");
        let texts = languages.remove(language);
        let texts = texts.ok_or_else(|| format!("SMS_LANGUAGE: must be one of {available}"))?;
        Ok(Self { service: service.to_owned(), texts })
    }

    /// The text with a code, which is valid for `minutes`.
    pub fn render_code(&self, template: Template, code: &str, minutes: u64) -> String {
        self.render(template, |placeholder| match placeholder {
            Placeholder::Code => Some(code.to_owned()),
            Placeholder::Minutes => Some(minutes.to_string()),
            _ => None,
        })
    }

    /// The same text with the code masked.
    pub fn render_masked_code(&self, template: Template, minutes: u64) -> String {
        self.render_code(template, MASKED_CODE, minutes)
    }

    /// The name of this service in the texts.
    pub fn service_name(&self) -> &str {
        &self.service
    }

    /// The text of a notice. Its only placeholder is the service's name.
    pub fn render_notice(&self, template: Template) -> String {
        self.render(template, |_| None)
    }

    /// The text about coins from a campaign.
    pub fn render_bonus(&self, coins: i64, campaign: &str) -> String {
        self.render(Template::BonusPaid, |placeholder| match placeholder {
            Placeholder::Coins => Some(coins.to_string()),
            Placeholder::Campaign => Some(campaign.to_owned()),
            _ => None,
        })
    }

    /// An operator's own text about coins from a campaign. It was parsed by [`parse_campaign_text`].
    pub fn render_campaign_text(&self, text: &str, coins: i64, campaign: &str) -> String {
        let Ok(template) = TextTemplate::parse(text, Placeholder::parse_in_campaign_text) else {
            return text.to_owned();
        };
        template.render(|placeholder| match placeholder {
            Placeholder::Service => self.service.clone(),
            Placeholder::Coins => coins.to_string(),
            _ => campaign.to_owned(),
        })
    }

    fn render(&self, template: Template, value: impl Fn(Placeholder) -> Option<String>) -> String {
        self.texts[&template].render(|placeholder| match placeholder {
            Placeholder::Service => self.service.clone(),
            placeholder => value(placeholder).unwrap_or_else(|| {
                debug_assert!(false, "{template:?} is filled with values of another kind");
                String::new()
            }),
        })
    }
}

fn languages() -> BTreeMap<String, BTreeMap<Template, TextTemplate<Placeholder>>> {
    let texts: BTreeMap<String, BTreeMap<Template, String>> =
        toml::from_str(include_str!("templates.toml")).expect("the tests read the same file");
    let parse = |text: String| {
        TextTemplate::parse(&text, Placeholder::parse).expect("the tests read each text")
    };
    let parse_all = |texts: BTreeMap<Template, String>| {
        texts.into_iter().map(|(template, text)| (template, parse(text))).collect()
    };
    texts.into_iter().map(|(language, texts)| (language, parse_all(texts))).collect()
}

/// Parses an operator's own text: trimmed, composed (NFC), 1 to [`MAX_TEXT_LEN`] characters, with line feeds but no
/// other control characters, and with {coins}, {campaign} and {service} as its only placeholders.
///
/// # Errors
/// BAD_USER_INPUT; name the field with `for_field`.
pub fn parse_campaign_text(text: &str) -> Result<String, UserError> {
    let text = text::parse_multiline(text, MAX_TEXT_LEN)?;
    match TextTemplate::parse(&text, Placeholder::parse_in_campaign_text) {
        Ok(_) => Ok(text),
        Err(problem) => Err(UserError::bad_input(format!(
            "A text may hold {{coins}}, {{campaign}} and {{service}}: {problem}."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sea_orm::Iterable;

    use super::super::segments::{Encoding, SmsSize, sms_size};
    use super::*;

    /// Each language with the last sentence of its texts with codes.
    const LANGUAGES: [(&str, &str); 5] = [
        ("de", " Gib ihn an niemanden weiter."),
        ("en", " Never pass it on to anyone."),
        ("es", " No la compartas con nadie."),
        ("fr", " Ne le donnez à personne."),
        ("nl", " Geef hem aan niemand door."),
    ];
    /// As long as the configuration allows.
    const SERVICE: &str = "Ångström & Söhne, Game Parlour";
    const MAX_CAMPAIGN_LEN: usize = 64;

    fn is_notice(template: Template) -> bool {
        matches!(
            template,
            Template::PasswordChanged
                | Template::TwoFactorOn
                | Template::TwoFactorOff
                | Template::NewDevice
        )
    }

    fn code_templates() -> impl Iterator<Item = Template> {
        Template::iter()
            .filter(|template| *template != Template::BonusPaid && !is_notice(*template))
    }

    fn all_languages() -> impl Iterator<Item = (Templates, &'static str)> {
        LANGUAGES.into_iter().map(|(language, warning)| {
            (Templates::new(language, SERVICE).expect("a language"), warning)
        })
    }

    /// The runs of digits in `text`.
    fn numbers(text: &str) -> Vec<&str> {
        text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).collect()
    }

    #[test]
    fn unknown_languages_are_rejected_with_a_list() {
        for language in ["", "EN", "it", "de-DE"] {
            let error = Templates::new(language, SERVICE).expect_err("unknown");
            assert_eq!(error, "SMS_LANGUAGE: must be one of de, en, es, fr, nl");
        }
    }

    #[test]
    fn every_language_has_every_text_with_its_placeholders() {
        assert!(languages().keys().map(String::as_str).eq(LANGUAGES.map(|(name, _)| name)));
        for (language, texts) in languages() {
            assert!(texts.keys().copied().eq(Template::iter()), "{language}");
            for (template, text) in texts {
                let mut placeholders = std::cell::RefCell::new(Vec::new());
                let rendered = text.render(|placeholder| {
                    placeholders.borrow_mut().push(placeholder);
                    String::new()
                });
                assert!(!rendered.contains(['{', '}']), "{language}: {rendered}");
                placeholders.get_mut().sort_unstable();
                let expected: &[Placeholder] = match template {
                    Template::BonusPaid => {
                        &[Placeholder::Service, Placeholder::Coins, Placeholder::Campaign]
                    }
                    template if is_notice(template) => &[Placeholder::Service],
                    _ => &[Placeholder::Service, Placeholder::Code, Placeholder::Minutes],
                };
                assert_eq!(*placeholders.get_mut(), expected, "{language}, {template:?}");
            }
        }
    }

    #[test]
    fn codes_fit_in_one_sms_and_end_with_the_warning() {
        assert_eq!(SERVICE.chars().count(), 30);
        for (templates, warning) in all_languages() {
            for template in code_templates() {
                let text = templates.render_code(template, "123456", 99);
                assert!(text.ends_with(warning), "{text}");
                assert!(text.starts_with(SERVICE), "{text}");
                assert_eq!(
                    sms_size(&text),
                    SmsSize { encoding: Encoding::Gsm7, segments: 1 },
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn texts_differ_by_purpose() {
        for (templates, _) in all_languages() {
            let mut texts: Vec<_> =
                code_templates().map(|t| templates.render_code(t, "123456", 5)).collect();
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts.len(), code_templates().count());
        }
    }

    #[test]
    fn notices_fit_in_one_sms_and_have_no_numbers() {
        for (templates, _) in all_languages() {
            for template in Template::iter().filter(|template| is_notice(*template)) {
                let text = templates.render_notice(template);
                assert!(text.starts_with(SERVICE) && numbers(&text).is_empty(), "{text}");
                assert_eq!(
                    sms_size(&text),
                    SmsSize { encoding: Encoding::Gsm7, segments: 1 },
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn the_longest_bonus_text_is_short_enough() {
        for (templates, _) in all_languages() {
            let text = templates.render_bonus(i64::MAX, &"m".repeat(MAX_CAMPAIGN_LEN));
            assert!(text.chars().count() <= MAX_TEXT_LEN, "{text}");
            assert!(text.contains(&i64::MAX.to_string()), "{text}");
            assert_eq!(sms_size(&text).encoding, Encoding::Gsm7, "{text}");
        }
    }

    #[test]
    fn placeholders_in_values_are_not_replaced() {
        let templates = Templates::new("en", "{code}").expect("a language");
        assert_eq!(
            templates.render_bonus(5, "{coins} {service}"),
            "{code}: a bonus from {coins} {service}! Coins added to your account: 5."
        );
        assert!(
            templates.render_code(Template::Login, "123456", 5).starts_with("{code}: 123456 is")
        );
    }

    #[test]
    fn campaign_texts_are_bounded_and_may_have_line_feeds() {
        assert_eq!(parse_campaign_text(" Hi!\r\nBye ").expect("good"), "Hi!\nBye");
        assert!(parse_campaign_text(&"ü".repeat(MAX_TEXT_LEN)).is_ok());
        for bad in ["", " \n", "a\u{0}", "a\tb", &"ü".repeat(MAX_TEXT_LEN + 1)] {
            assert!(parse_campaign_text(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_code_is_the_only_six_digit_number(code in "[0-9]{6}", minutes in 1_u64..=1440) {
            for (templates, _) in all_languages() {
                for template in code_templates() {
                    let text = templates.render_code(template, &code, minutes);
                    let six_digits: Vec<_> = numbers(&text).into_iter().filter(|run| run.len() == 6).collect();
                    prop_assert_eq!(six_digits, [&code]);
                    let masked = templates.render_masked_code(template, minutes);
                    prop_assert_eq!(numbers(&masked), [minutes.to_string()]);
                    prop_assert_eq!(masked.replace(MASKED_CODE, &code), text);
                }
            }
        }
    }
}
