//! How many SMS a text takes, which is what it costs: its characters by 3GPP TS 23.038, how a long text
//! is cut by TS 23.040.

use sea_orm::entity::prelude::*;

/// The default alphabet (TS 23.038, 6.2.1), a septet each. Its escape is no character.
const GSM_7: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its extension table (6.2.1.1): an escape and a septet each.
const GSM_7_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// What the characters of an SMS are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Characters {
    /// The default alphabet of seven bits: Latin capitals and small letters, some accents, some Greek.
    #[sea_orm(string_value = "GSM_7")]
    Gsm7,
    /// Sixteen bits, for everything else.
    #[sea_orm(string_value = "UCS_2")]
    Ucs2,
}

impl Characters {
    /// How many units one SMS holds, and how many each part of a text that takes several: the header that
    /// joins the parts takes room (TS 23.040, 9.2.3.24.1).
    fn room(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }
}

/// How large a text is as SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What its characters are written in: one that seven bits do not have makes all of them wider.
    pub characters: Characters,
    /// How many SMS it takes, at least 1: an empty text is one too.
    pub segments: i16,
}

/// How large `text` is as SMS.
pub fn size_of(text: &str) -> Size {
    let (characters, widths) = match text.chars().map(septets).collect::<Option<Vec<_>>>() {
        Some(septets) => (Characters::Gsm7, septets),
        None => (Characters::Ucs2, text.chars().map(char::len_utf16).collect()),
    };
    Size { characters, segments: segments(&widths, characters) }
}

/// How many septets a character takes, if the default alphabet or its extension has it.
fn septets(c: char) -> Option<usize> {
    match () {
        () if GSM_7.contains(c) => Some(1),
        () if GSM_7_EXTENSION.contains(c) => Some(2),
        () => None,
    }
}

/// How many SMS hold characters of these widths. None of them is split.
fn segments(widths: &[usize], characters: Characters) -> i16 {
    let (alone, part) = characters.room();
    if widths.iter().sum::<usize>() <= alone {
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

    fn size(characters: Characters, segments: i16) -> Size {
        Size { characters, segments }
    }

    #[test]
    fn the_alphabet_has_every_septet_once() {
        // Of 128 septets one is the escape.
        assert_eq!(GSM_7.chars().count(), 127);
        assert_eq!(GSM_7_EXTENSION.chars().count(), 10);
        let mut all: Vec<char> = GSM_7.chars().chain(GSM_7_EXTENSION.chars()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 137);
    }

    #[test]
    fn texts_are_cut_where_the_standard_cuts_them() {
        use Characters::{Gsm7, Ucs2};
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
            // An odd septet stays free at the end of each part.
            ("€".repeat(81), size(Gsm7, 2)),
            ("€".repeat(76 * 2), size(Gsm7, 2)),
            ("€".repeat(76 * 2 + 1), size(Gsm7, 3)),
            ("a".repeat(152) + "€" + &"a".repeat(151), size(Gsm7, 2)),
            ("a".repeat(152) + "€" + &"a".repeat(152), size(Gsm7, 3)),
            // These look as if they were in it.
            ("ç".into(), size(Ucs2, 1)),
            ("`".into(), size(Ucs2, 1)),
            ("\t".into(), size(Ucs2, 1)),
            ("\u{1b}".into(), size(Ucs2, 1)),
            ("я".repeat(70), size(Ucs2, 1)),
            ("я".repeat(71), size(Ucs2, 2)),
            ("я".repeat(67 * 2), size(Ucs2, 2)),
            ("я".repeat(67 * 2 + 1), size(Ucs2, 3)),
            // One wide character makes all of them wide, and € is narrow there.
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
            assert_eq!(size_of(&text), expected, "{text}");
        }
    }

    #[test]
    fn more_than_can_be_counted_is_the_most() {
        assert_eq!(segments(&vec![1; 153 * 32_768], Characters::Gsm7), i16::MAX);
    }

    #[test]
    fn the_names_of_alphabets_are_the_databases() {
        assert_eq!(Characters::Gsm7.to_value(), "GSM_7");
        assert_eq!(Characters::Ucs2.to_value(), "UCS_2");
    }

    /// Cuts `text` into as many SMS as it takes, each with its units, as a phone would.
    fn parts(text: &str) -> Vec<usize> {
        let Size { characters, .. } = size_of(text);
        let width = |c: char| match characters {
            Characters::Gsm7 => septets(c).expect("in the alphabet"),
            Characters::Ucs2 => c.len_utf16(),
        };
        let (alone, part) = characters.room();
        let whole = text.chars().map(width).sum::<usize>();
        if whole <= alone {
            return vec![whole];
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
        fn no_part_is_too_large_and_none_could_be_spared(
            text in prop_oneof!["[a-z€\\[~]{0,800}", "[a-zя😀]{0,400}", "\\PC{0,400}"],
        ) {
            let Size { characters, segments } = size_of(&text);
            let parts = parts(&text);
            prop_assert_eq!(parts.len(), usize::try_from(segments).expect("positive"));
            let (alone, part) = characters.room();
            let room = if parts.len() == 1 { alone } else { part };
            prop_assert!(parts.iter().all(|units| *units <= room));
            // A part is left with room only for less than the two units that the next character takes.
            let full = &parts[..parts.len() - 1];
            prop_assert!(full.iter().all(|units| units + 2 > room));
        }

        #[test]
        fn a_longer_text_never_takes_fewer(a in "\\PC{0,200}", b in "[a-zя€😀]{0,200}") {
            let (whole, start) = (size_of(&format!("{a}{b}")), size_of(&a));
            prop_assert!(whole.segments >= start.segments);
        }

        #[test]
        fn seven_bits_are_used_where_they_can(text in "\\PC{0,100}") {
            let fits = text.chars().all(|c| GSM_7.contains(c) || GSM_7_EXTENSION.contains(c));
            prop_assert_eq!(size_of(&text).characters == Characters::Gsm7, fits);
        }
    }
}
