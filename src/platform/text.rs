//! Text that people type: one line, normalised, and folded where it is compared.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

use crate::error::Failure;

/// A letter with all the marks that a language puts on it, before they are composed.
const MOST_BYTES_A_CHARACTER: usize = 16;

/// Unicode's canonical composition (NFC), so that the same letters are the same bytes.
pub fn nfc(text: &str) -> String {
    ComposingNormalizer::new_nfc().normalize(text).into_owned()
}

/// What `text` is compared by: composed, case folded, composed again.
pub fn fold(text: &str) -> String {
    nfc(&CaseMapper::new().fold_string(&nfc(text)))
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
    GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
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
    fn folding_joins_what_people_read_as_the_same() {
        assert_eq!(fold("STRASSE"), fold("straße"));
        assert_eq!(fold("ZOE\u{308}"), fold("zo\u{eb}"));
        assert_ne!(fold("ann"), fold("anne"));
    }

    proptest! {
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
