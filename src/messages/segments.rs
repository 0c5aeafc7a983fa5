//! Size of a text in SMS segments, which is what it costs. Character encodings are in 3GPP TS 23.038, the segments of a
//! long text in TS 23.040.

use sea_orm::entity::prelude::*;

/// The default alphabet (TS 23.038, 6.2.1) without the escape. Each character takes one septet.
const GSM_7: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table (6.2.1.1). Each character takes two septets, the first is the escape.
const GSM_7_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The encoding of an SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Encoding {
    /// The 7-bit default alphabet: Latin letters, some accented and some Greek letters.
    #[sea_orm(string_value = "GSM_7")]
    Gsm7,
    /// 16-bit units, for all other characters.
    #[sea_orm(string_value = "UCS_2")]
    Ucs2,
}

impl Encoding {
    /// How many units fit into a single SMS, and into each segment of a longer text, where a header takes space
    /// (TS 23.040, 9.2.3.24.1).
    fn capacity(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }
}

/// The size of a text as SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmsSize {
    /// A single character outside of the 7-bit alphabet makes the whole text UCS-2.
    pub encoding: Encoding,
    /// At least 1, also for an empty text.
    pub segments: i16,
}

/// Computes the size of a text.
pub fn sms_size(text: &str) -> SmsSize {
    let (encoding, widths) = match text.chars().map(septet_count).collect::<Option<Vec<_>>>() {
        Some(septets) => (Encoding::Gsm7, septets),
        None => (Encoding::Ucs2, text.chars().map(char::len_utf16).collect()),
    };
    SmsSize { encoding, segments: count_segments(&widths, encoding) }
}

/// How many septets a character takes. None if neither table has it.
fn septet_count(c: char) -> Option<usize> {
    match () {
        // Most characters, without a search.
        () if c.is_ascii_alphanumeric() || c == ' ' => Some(1),
        () if GSM_7.contains(c) => Some(1),
        () if GSM_7_EXTENSION.contains(c) => Some(2),
        () => None,
    }
}

/// How many segments characters of these widths take. No character is split.
fn count_segments(widths: &[usize], encoding: Encoding) -> i16 {
    let (single, part) = encoding.capacity();
    if widths.iter().sum::<usize>() <= single {
        return 1;
    }
    let mut segments: i16 = 1;
    let mut used = 0;
    for width in widths {
        used += width;
        if used > part {
            segments = segments.saturating_add(1);
            used = *width;
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sea_orm::ActiveEnum;

    use super::*;

    fn size(encoding: Encoding, segments: i16) -> SmsSize {
        SmsSize { encoding, segments }
    }

    #[test]
    fn alphabets_have_no_duplicates() {
        // 128 septets without the escape.
        assert_eq!(GSM_7.chars().count(), 127);
        assert_eq!(GSM_7_EXTENSION.chars().count(), 10);
        let mut all: Vec<char> = GSM_7.chars().chain(GSM_7_EXTENSION.chars()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 137);
    }

    #[test]
    fn texts_are_split_as_in_the_standard() {
        use Encoding::{Gsm7, Ucs2};
        let cases = [
            (String::new(), size(Gsm7, 1)),
            ("a".repeat(160), size(Gsm7, 1)),
            ("a".repeat(161), size(Gsm7, 2)),
            ("a".repeat(153 * 2), size(Gsm7, 2)),
            ("a".repeat(153 * 2 + 1), size(Gsm7, 3)),
            ("\r\n@ΔÅ".into(), size(Gsm7, 1)),
            // Two septets each.
            ("€".repeat(80), size(Gsm7, 1)),
            ("a".repeat(159) + "€", size(Gsm7, 2)),
            // One septet stays free at the end of each part.
            ("€".repeat(81), size(Gsm7, 2)),
            ("€".repeat(76 * 2), size(Gsm7, 2)),
            ("€".repeat(76 * 2 + 1), size(Gsm7, 3)),
            ("a".repeat(152) + "€" + &"a".repeat(151), size(Gsm7, 2)),
            ("a".repeat(152) + "€" + &"a".repeat(152), size(Gsm7, 3)),
            // Not in the alphabet, though similar characters are.
            ("ç".into(), size(Ucs2, 1)),
            ("`".into(), size(Ucs2, 1)),
            ("\t".into(), size(Ucs2, 1)),
            ("\u{1b}".into(), size(Ucs2, 1)),
            ("я".repeat(70), size(Ucs2, 1)),
            ("я".repeat(71), size(Ucs2, 2)),
            ("я".repeat(67 * 2), size(Ucs2, 2)),
            ("я".repeat(67 * 2 + 1), size(Ucs2, 3)),
            // One UCS-2 character makes the whole text UCS-2, where € takes one unit.
            ("a".repeat(69) + "я", size(Ucs2, 1)),
            ("€".repeat(69) + "я", size(Ucs2, 1)),
            // Two units each.
            ("😀".repeat(35), size(Ucs2, 1)),
            ("😀".repeat(36), size(Ucs2, 2)),
            ("😀".repeat(33 * 2), size(Ucs2, 2)),
            ("😀".repeat(33 * 2 + 1), size(Ucs2, 3)),
            ("я".repeat(66) + "😀" + &"я".repeat(65), size(Ucs2, 2)),
            ("я".repeat(66) + "😀" + &"я".repeat(66), size(Ucs2, 3)),
        ];
        for (text, expected) in cases {
            assert_eq!(sms_size(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_count_saturates() {
        assert_eq!(count_segments(&vec![1; 153 * 32_768], Encoding::Gsm7), i16::MAX);
    }

    #[test]
    fn encodings_are_stored_by_their_names() {
        assert_eq!(Encoding::Gsm7.to_value(), "GSM_7");
        assert_eq!(Encoding::Ucs2.to_value(), "UCS_2");
    }

    /// Splits a text like a phone. Returns the units of each part.
    fn parts(text: &str) -> Vec<usize> {
        let SmsSize { encoding, .. } = sms_size(text);
        let width = |c: char| match encoding {
            Encoding::Gsm7 => septet_count(c).expect("in the alphabet"),
            Encoding::Ucs2 => c.len_utf16(),
        };
        let (single, part) = encoding.capacity();
        let total = text.chars().map(width).sum::<usize>();
        if total <= single {
            return vec![total];
        }
        let mut parts = vec![0];
        for c in text.chars() {
            match parts.last_mut() {
                Some(last) if *last + width(c) <= part => *last += width(c),
                _ => parts.push(width(c)),
            }
        }
        parts
    }

    proptest! {
        #[test]
        fn parts_fit_and_are_as_few_as_possible(
            text in prop_oneof!["[a-z€\\[~]{0,800}", "[a-zя😀]{0,400}", "\\PC{0,400}"],
        ) {
            let SmsSize { encoding, segments } = sms_size(&text);
            let parts = parts(&text);
            prop_assert_eq!(parts.len(), usize::try_from(segments).expect("positive"));
            let (single, part) = encoding.capacity();
            let capacity = if parts.len() == 1 { single } else { part };
            prop_assert!(parts.iter().all(|units| *units <= capacity));
            // A part may only have one unit left, if the next character takes two.
            let full = &parts[..parts.len() - 1];
            prop_assert!(full.iter().all(|units| units + 2 > capacity));
        }

        #[test]
        fn a_longer_text_never_takes_fewer_segments(a in "\\PC{0,200}", b in "[a-zя€😀]{0,200}") {
            let (longer, shorter) = (sms_size(&format!("{a}{b}")), sms_size(&a));
            prop_assert!(longer.segments >= shorter.segments);
        }

        #[test]
        fn gsm7_is_used_if_possible(text in "\\PC{0,100}") {
            let fits = text.chars().all(|c| GSM_7.contains(c) || GSM_7_EXTENSION.contains(c));
            prop_assert_eq!(sms_size(&text).encoding == Encoding::Gsm7, fits);
        }
    }
}
