//! Text from users: validation, Unicode normalisation, case folding for comparison, and sort keys.

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use icu_properties::props::{
    DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

use crate::error::UserError;

/// Upper bound for one letter with all its combining marks, before composition.
const MAX_BYTES_PER_CHARACTER: usize = 16;
/// Keeps a sort key within an index entry of PostgreSQL, which holds 2,700 bytes. One letter can decompose into 33.
const MAX_SORT_KEY_LEN: usize = 1_200;

/// Canonical composition (Unicode NFC): the same letters get the same bytes.
pub fn nfc(text: &str) -> String {
    ComposingNormalizer::new_nfc().normalize(text).into_owned()
}

/// Composed (NFC) and case folded: the form in which texts are compared.
pub fn casefold(text: &str) -> String {
    nfc(&CaseMapper::new().fold_string(&nfc(text)))
}

/// Unicode's NFKC case folding: like [`casefold`], but also ignores differences of form, such as full width, and
/// invisible characters.
pub fn nfkc_casefold(text: &str) -> String {
    let nfkc = ComposingNormalizer::new_nfkc();
    let fold_once = |text: &str| {
        let normalized = nfkc.normalize(&strip_invisible(text)).into_owned();
        let folded = CaseMapper::new().fold_string(&normalized).into_owned();
        nfkc.normalize(&folded).into_owned()
    };
    // Twice: the normalized result may contain letters that fold again.
    fold_once(&fold_once(text))
}

/// The key by which `text` is sorted and searched: decomposed (NFKD), case folded, without invisible characters, and
/// without accents and vowel signs of Latin, Greek, Cyrillic, Arabic and Hebrew letters. In other scripts a mark
/// makes a different letter, so it stays. Keys are compared by bytes, alike on both databases.
pub fn sort_key(text: &str) -> String {
    let nfkd = DecomposingNormalizer::new_nfkd();
    let fold_once = |text: &str| {
        let folded = CaseMapper::new().fold_string(&nfkd.normalize(text)).into_owned();
        nfkd.normalize(&folded).into_owned()
    };
    // Folded before marks are dropped, as folding may turn a mark into a letter. Twice, as the decomposed result may
    // contain letters that fold again.
    let folded = fold_once(&fold_once(&strip_invisible(text)));
    let mut skips_marks = false;
    let is_kept = |c: &char| {
        if category(*c) == GeneralCategory::NonspacingMark {
            return !skips_marks;
        }
        skips_marks = has_optional_marks(*c);
        true
    };
    let mut key: String = folded.chars().filter(is_kept).collect();
    key.truncate(key.floor_char_boundary(MAX_SORT_KEY_LEN));
    key
}

fn has_optional_marks(c: char) -> bool {
    const SCRIPTS: [Script; 5] =
        [Script::Latin, Script::Greek, Script::Cyrillic, Script::Arabic, Script::Hebrew];
    c.is_alphabetic() && SCRIPTS.contains(&CodePointMapData::<Script>::new().get(c))
}

/// Removes invisible characters, such as direction marks around copied text.
pub fn strip_invisible(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).collect()
}

/// Cleans typed or pasted input: removes invisible and control characters, turns line breaks and tabs into spaces.
pub fn clean_input(text: &str) -> String {
    let is_kept = |c: &char| !is_invisible(*c) && (c.is_whitespace() || !c.is_control());
    let to_space = |c: char| if c.is_whitespace() { ' ' } else { c };
    text.chars().filter(is_kept).map(to_space).collect()
}

/// Parses one line of text: trims and composes it (NFC), and requires 1 to `max_len` characters without control
/// characters, line separators and marks that change the writing direction.
///
/// # Errors
/// BAD_USER_INPUT, without a field.
pub fn parse_line(text: &str, max_len: usize) -> Result<String, UserError> {
    validate(text, max_len, is_forbidden_in_line)
}

/// Like [`parse_line`], for text of several lines. CRLF becomes LF.
///
/// # Errors
/// BAD_USER_INPUT, without a field.
pub fn parse_multiline(text: &str, max_len: usize) -> Result<String, UserError> {
    validate(&text.replace("\r\n", "\n"), max_len, |c| c != '\n' && is_forbidden_in_line(c))
}

fn validate(
    text: &str,
    max_len: usize,
    is_forbidden: fn(char) -> bool,
) -> Result<String, UserError> {
    let too_long = || UserError::bad_input(format!("Must have at most {max_len} characters."));
    // Before composing, which takes long for a huge text.
    if text.len() > max_len * MAX_BYTES_PER_CHARACTER {
        return Err(too_long());
    }
    let text = nfc(text.trim());
    if text.chars().nth(max_len).is_some() {
        return Err(too_long());
    }
    if text.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
        return Err(UserError::bad_input("Must not be empty."));
    }
    if text.chars().any(is_forbidden) {
        return Err(UserError::bad_input("Must not have control characters."));
    }
    Ok(text)
}

/// Whether a character is invisible on its own (Unicode's Default_Ignorable_Code_Point).
pub fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a character is a combining mark on the letter before it, such as a vowel sign (Unicode's General_Category
/// M).
pub fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// Whether a character is a hyphen, a dash (Unicode's General_Category Pd) or a minus sign.
pub fn is_hyphen(c: char) -> bool {
    c == '\u{2212}' || category(c) == GeneralCategory::DashPunctuation
}

/// The ASCII digit with the value of a decimal digit of any script (Unicode's General_Category Nd).
pub fn to_ascii_digit(c: char) -> Option<char> {
    let is_digit = |c: char| category(c) == GeneralCategory::DecimalNumber;
    if c.is_ascii() || !is_digit(c) {
        return Some(c).filter(char::is_ascii_digit);
    }
    // Each script has its ten digits in a row, from zero to nine. Some rows are adjacent.
    let preceding = ('\0'..c).rev().take_while(|c| is_digit(*c)).count();
    char::from_digit(u32::try_from(preceding % 10).ok()?, 10)
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_forbidden_in_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invisible_text_counts_as_empty() {
        for invisible in ["\u{200b}", "\u{3164}\u{3164}", "\u{115f} \u{ad}"] {
            assert!(parse_line(invisible, 100).is_err(), "{invisible:?}");
        }
        assert!(parse_line("\u{1f469}\u{200d}\u{1f680}", 100).is_ok(), "joined emoji are visible");
    }

    #[test]
    fn a_line_is_trimmed_composed_and_limited_in_length() {
        assert_eq!(parse_line("  Zoe\u{308} ", 100).expect("good"), "Zo\u{eb}");
        assert_eq!(parse_line(&"x".repeat(100), 100).expect("good").len(), 100);
        for bad in ["", " \t ", "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2028}b", &"x".repeat(101)] {
            assert!(parse_line(bad, 100).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn text_may_have_several_lines() {
        assert_eq!(parse_multiline(" Zoe\u{308}\r\n\nb\n", 100).expect("good"), "Zo\u{eb}\n\nb");
        for bad in ["", "\n \n", "a\rb", "a\r\r\nb", "a\tb", "a\u{2028}b", &"x\n".repeat(51)] {
            assert!(parse_multiline(bad, 100).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digits_of_every_script_are_converted() {
        let all = ('\0'..=char::MAX).filter(|c| category(*c) == GeneralCategory::DecimalNumber);
        let (mut count, util) = (0, &rlibphonenumber::PHONE_NUMBER_UTIL);
        for digit in all {
            let expected = util.normalize_digits_only(digit.to_string());
            // Empty for a script that the phone number library does not know yet.
            if !expected.is_empty() {
                assert_eq!(to_ascii_digit(digit), expected.chars().next(), "{digit}");
                count += 1;
            }
        }
        assert!(count > 600, "{count}");
        for no_digit in ['a', '\u{b2}', '\u{bd}', '\u{2460}', '\u{4e00}', ' '] {
            assert_eq!(to_ascii_digit(no_digit), None, "{no_digit}");
        }
    }

    #[test]
    fn case_folding_ignores_case_and_composition() {
        assert_eq!(casefold("STRASSE"), casefold("straße"));
        assert_eq!(casefold("ZOE\u{308}"), casefold("zo\u{eb}"));
        assert_ne!(casefold("ann"), casefold("anne"));
    }

    #[test]
    fn nfkc_case_folding_ignores_form_but_not_script() {
        for (text, folded) in [
            ("\u{ff32}\u{ff4f}\u{ff42}\u{ff45}\u{ff52}\u{ff54}", "robert"),
            ("\u{1d42b}ob\u{fe0f}er\u{200d}t", "robert"),
            ("\u{fb01}n", "fin"),
            ("STRASSE", &nfkc_casefold("stra\u{df}e")),
        ] {
            assert_eq!(nfkc_casefold(text), folded, "{text}");
        }
        assert_ne!(nfkc_casefold("r\u{43e}bert"), "robert", "a letter of another script differs");
    }

    #[test]
    fn sort_keys_drop_accents_that_do_not_make_another_letter() {
        for (text, key) in [
            ("\u{c4}rne", "arne"),
            ("Zo\u{eb}", "zoe"),
            ("ZOE\u{308}", "zoe"),
            ("Stra\u{df}er", "strasser"),
            ("\u{1ec6}", "e"),
            ("\u{130}zmir", "izmir"),
            (
                "\u{39f}\u{3b4}\u{3cd}\u{3c3}\u{3c3}\u{3b5}\u{3b9}\u{3b1}",
                "\u{3bf}\u{3b4}\u{3c5}\u{3c3}\u{3c3}\u{3b5}\u{3b9}\u{3b1}",
            ),
            ("\u{419}", "\u{438}"),
            (
                "\u{645}\u{64f}\u{62d}\u{64e}\u{645}\u{651}\u{64e}\u{62f}",
                "\u{645}\u{62d}\u{645}\u{62f}",
            ),
            ("\u{5e9}\u{5b8}\u{5c1}", "\u{5e9}"),
            ("\u{ff32}\u{ff4f}\u{ff42}", "rob"),
            ("\u{200e}Ann\u{200f}", "ann"),
        ] {
            assert_eq!(sort_key(text), key, "{text}");
        }
        assert_ne!(sort_key("\u{304c}"), sort_key("\u{304b}"), "a voiced kana");
        assert_ne!(sort_key("\u{915}\u{941}"), sort_key("\u{915}"), "a vowel of Devanagari");
        assert_ne!(
            sort_key("1\u{308}"),
            sort_key("1"),
            "marks stay on characters that are not letters"
        );
        assert_eq!(sort_key("\u{37a}\u{f99}"), " \u{3b9}", "a mark that folds to a letter");
        assert!(sort_key(&"\u{fdfa}".repeat(100)).len() <= MAX_SORT_KEY_LEN);
    }

    proptest! {
        #[test]
        fn nfkc_case_folding_is_idempotent(text in "\\PC{0,40}") {
            prop_assert_eq!(nfkc_casefold(&nfkc_casefold(&text)), nfkc_casefold(&text));
        }

        #[test]
        fn sort_keys_are_idempotent(text in "\\PC{0,40}") {
            prop_assert_eq!(sort_key(&sort_key(&text)), sort_key(&text));
        }

        #[test]
        fn case_folding_is_idempotent(text in "\\PC{0,40}") {
            prop_assert_eq!(casefold(&casefold(&text)), casefold(&text));
        }

        #[test]
        fn a_parsed_line_parses_unchanged(text in "\\PC{0,40}") {
            if let Ok(once) = parse_line(&text, 100) {
                prop_assert_eq!(parse_line(&once, 100).expect("still good"), once);
            }
        }

        #[test]
        fn parsed_multiline_text_parses_unchanged(text in "(\\PC|\r?\n){0,40}") {
            if let Ok(once) = parse_multiline(&text, 100) {
                prop_assert_eq!(parse_multiline(&once, 100).expect("still good"), once);
            }
        }
    }
}
