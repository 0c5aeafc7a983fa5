//! Text that people type: one line, normalised, and folded where it is compared.

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use icu_properties::props::{
    DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

use crate::error::Failure;

/// A letter with all the marks that a language puts on it, before they are composed.
const MOST_BYTES_A_CHARACTER: usize = 16;
/// An entry of an index of PostgreSQL has room for 2,700 bytes, and one letter can be decomposed into 33.
const MAX_SORT_KEY_BYTES: usize = 1_200;

/// Unicode's canonical composition (NFC), so that the same letters are the same bytes.
pub fn nfc(text: &str) -> String {
    ComposingNormalizer::new_nfc().normalize(text).into_owned()
}

/// What `text` is compared by: composed, case folded, composed again.
pub fn fold(text: &str) -> String {
    nfc(&CaseMapper::new().fold_string(&nfc(text)))
}

/// The same without differences of form (NFKC), such as full width, and without invisible characters: Unicode's
/// NFKC case folding.
pub fn fold_form(text: &str) -> String {
    let nfkc = ComposingNormalizer::new_nfkc();
    let fold = |text: &str| {
        let folded = CaseMapper::new().fold_string(&nfkc.normalize(&visible(text))).into_owned();
        nfkc.normalize(&folded).into_owned()
    };
    // Folding can bring forth another form, and that one a letter to fold.
    fold(&fold(text))
}

/// What `text` is sorted and searched by: decomposed (NFKD), without the accents and vowel signs of Latin, Greek,
/// Cyrillic, Arabic and Hebrew letters, without invisible characters, and case folded. In other scripts a mark
/// makes another letter. It is compared byte by byte, alike on every database.
pub fn sort_key(text: &str) -> String {
    let decomposed = DecomposingNormalizer::new_nfkd();
    let mut drops_marks = false;
    let bare = |c: &char| {
        if category(*c) == GeneralCategory::NonspacingMark {
            return !drops_marks;
        }
        drops_marks = has_optional_marks(*c);
        true
    };
    let text: String = decomposed.normalize(&visible(text)).chars().filter(bare).collect();
    let mut key = decomposed.normalize(&CaseMapper::new().fold_string(&text)).into_owned();
    key.truncate(key.floor_char_boundary(MAX_SORT_KEY_BYTES));
    key
}

fn has_optional_marks(c: char) -> bool {
    const SCRIPTS: [Script; 5] =
        [Script::Latin, Script::Greek, Script::Cyrillic, Script::Arabic, Script::Hebrew];
    c.is_alphabetic() && SCRIPTS.contains(&CodePointMapData::<Script>::new().get(c))
}

/// The text without what nobody sees of it, such as the marks of direction around what was copied.
pub fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).collect()
}

/// What somebody meant who typed or pasted it: without what nobody sees, line breaks and tabs as spaces.
pub fn typed(text: &str) -> String {
    let is_kept = |c: &char| !is_invisible(*c) && (c.is_whitespace() || !c.is_control());
    let plain = |c: char| if c.is_whitespace() { ' ' } else { c };
    text.chars().filter(is_kept).map(plain).collect()
}

/// One line of text for people: trimmed, composed (NFC), 1 to `longest` characters, without control
/// characters, line separators and marks that turn the writing direction around.
///
/// # Errors
/// BAD_USER_INPUT; name the field with `at`.
pub fn line(text: &str, longest: usize) -> Result<String, Failure> {
    checked(text, longest, breaks_a_line)
}

/// The same with line feeds in it; a carriage return before one is dropped.
///
/// # Errors
/// BAD_USER_INPUT; name the field with `at`.
pub fn lines(text: &str, longest: usize) -> Result<String, Failure> {
    checked(&text.replace("\r\n", "\n"), longest, |c| c != '\n' && breaks_a_line(c))
}

fn checked(text: &str, longest: usize, is_bad: fn(char) -> bool) -> Result<String, Failure> {
    let too_long = || Failure::bad_input(format!("Must have at most {longest} characters."));
    // Composing takes time, so that what is much too long is refused before.
    if text.len() > longest * MOST_BYTES_A_CHARACTER {
        return Err(too_long());
    }
    let text = nfc(text.trim());
    if text.chars().nth(longest).is_some() {
        return Err(too_long());
    }
    if text.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
        return Err(Failure::bad_input("Must not be empty."));
    }
    if text.chars().any(is_bad) {
        return Err(Failure::bad_input("Must not have control characters."));
    }
    Ok(text)
}

/// Whether nothing is seen of it, by itself (Unicode's Default_Ignorable_Code_Point).
pub fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether it is put on the letter before it, as vowel signs are (Unicode's General_Category M).
pub fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// Whether it is a hyphen or a dash of any length (Unicode's General_Category Pd), or a minus.
pub fn is_hyphen(c: char) -> bool {
    c == '\u{2212}' || category(c) == GeneralCategory::DashPunctuation
}

/// The ASCII digit of the same value, for a decimal digit of any script (Unicode's General_Category Nd).
pub fn ascii_digit(c: char) -> Option<char> {
    let is_digit = |c: char| category(c) == GeneralCategory::DecimalNumber;
    if c.is_ascii() || !is_digit(c) {
        return Some(c).filter(char::is_ascii_digit);
    }
    // Each script's digits stand in a row of ten, from zero to nine; some rows follow each other.
    let before = ('\0'..c).rev().take_while(|c| is_digit(*c)).count();
    char::from_digit(u32::try_from(before % 10).ok()?, 10)
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nobody_sees_is_empty() {
        for invisible in ["\u{200b}", "\u{3164}\u{3164}", "\u{115f} \u{ad}"] {
            assert!(line(invisible, 100).is_err(), "{invisible:?}");
        }
        assert!(line("\u{1f469}\u{200d}\u{1f680}", 100).is_ok(), "joined emoji are seen");
    }

    #[test]
    fn lines_are_trimmed_composed_and_bounded() {
        assert_eq!(line("  Zoe\u{308} ", 100).expect("good"), "Zo\u{eb}");
        assert_eq!(line(&"x".repeat(100), 100).expect("good").len(), 100);
        for bad in ["", " \t ", "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2028}b", &"x".repeat(101)] {
            assert!(line(bad, 100).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lines_may_be_several() {
        assert_eq!(lines(" Zoe\u{308}\r\n\nb\n", 100).expect("good"), "Zo\u{eb}\n\nb");
        for bad in ["", "\n \n", "a\rb", "a\r\r\nb", "a\tb", "a\u{2028}b", &"x\n".repeat(51)] {
            assert!(lines(bad, 100).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digits_of_every_script_have_their_value() {
        let all = ('\0'..=char::MAX).filter(|c| category(*c) == GeneralCategory::DecimalNumber);
        let (mut count, util) = (0, &rlibphonenumber::PHONE_NUMBER_UTIL);
        for digit in all {
            let known = util.normalize_digits_only(digit.to_string());
            // Scripts that one of the two does not know yet are not compared.
            if !known.is_empty() {
                assert_eq!(ascii_digit(digit), known.chars().next(), "{digit}");
                count += 1;
            }
        }
        assert!(count > 600, "{count}");
        for no_digit in ['a', '\u{b2}', '\u{bd}', '\u{2460}', '\u{4e00}', ' '] {
            assert_eq!(ascii_digit(no_digit), None, "{no_digit}");
        }
    }

    #[test]
    fn folding_joins_what_people_read_as_the_same() {
        assert_eq!(fold("STRASSE"), fold("straße"));
        assert_eq!(fold("ZOE\u{308}"), fold("zo\u{eb}"));
        assert_ne!(fold("ann"), fold("anne"));
    }

    #[test]
    fn folding_forms_joins_what_only_looks_wider() {
        for (text, folded) in [
            ("\u{ff32}\u{ff4f}\u{ff42}\u{ff45}\u{ff52}\u{ff54}", "robert"),
            ("\u{1d42b}ob\u{fe0f}er\u{200d}t", "robert"),
            ("\u{fb01}n", "fin"),
            ("STRASSE", &fold_form("stra\u{df}e")),
        ] {
            assert_eq!(fold_form(text), folded, "{text}");
        }
        assert_ne!(fold_form("r\u{43e}bert"), "robert", "another alphabet's letter is another");
    }

    #[test]
    fn sort_keys_drop_accents_where_they_make_no_other_letter() {
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
        assert_ne!(sort_key("1\u{308}"), sort_key("1"), "not after letters");
        assert!(sort_key(&"\u{fdfa}".repeat(100)).len() <= MAX_SORT_KEY_BYTES);
    }

    proptest! {
        #[test]
        fn folding_forms_twice_is_folding_them_once(text in "\\PC{0,40}") {
            prop_assert_eq!(fold_form(&fold_form(&text)), fold_form(&text));
        }

        #[test]
        fn the_sort_key_of_a_sort_key_is_itself(text in "\\PC{0,40}") {
            prop_assert_eq!(sort_key(&sort_key(&text)), sort_key(&text));
        }

        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }

        #[test]
        fn a_good_line_is_good_again_and_unchanged(text in "\\PC{0,40}") {
            if let Ok(once) = line(&text, 100) {
                prop_assert_eq!(line(&once, 100).expect("still good"), once);
            }
        }

        #[test]
        fn good_lines_are_good_again_and_unchanged(text in "(\\PC|\r?\n){0,40}") {
            if let Ok(once) = lines(&text, 100) {
                prop_assert_eq!(lines(&once, 100).expect("still good"), once);
            }
        }
    }
}
