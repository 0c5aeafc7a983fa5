//! Cells of reports: masked values, and text that spreadsheets do not take for formulas.

/// Characters that are shown of each end of a value.
const SHOWN: usize = 2;
/// The most dots of a masked value.
const MAX_DOTS: usize = 12;

/// Shows the first two and the last two characters of a value ("+3••••••••78"), or none if it has no others.
/// Characters that do not print are dots, too.
pub fn mask_value(value: &str) -> String {
    let chars: Vec<char> = value.chars().map(|c| if c.is_control() { '•' } else { c }).collect();
    let Some(hidden) = chars.len().checked_sub(2 * SHOWN).filter(|hidden| *hidden > 0) else {
        return "•".repeat(chars.len());
    };
    let (first, last) = (&chars[..SHOWN], &chars[chars.len() - SHOWN..]);
    let dots = vec!['•'; hidden.min(MAX_DOTS)];
    first.iter().chain(&dots).chain(last).collect()
}

/// Text as a cell of a spreadsheet, which would run what begins like a formula: an apostrophe makes it text.
pub fn report_cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_but_for_their_ends() {
        for (value, masked) in [
            ("+31612345678", "+3••••••••78"),
            ("hello", "he•lo"),
            ("1234", "••••"),
            ("", ""),
            ("\0\u{7}12345678\n", "•••••••••8•"),
            ("é€😀漢字", "é€•漢字"),
        ] {
            assert_eq!(mask_value(value), masked, "{value:?}");
        }
        assert_eq!(mask_value(&"7".repeat(1000)).chars().count(), 2 * SHOWN + MAX_DOTS);
    }

    #[test]
    fn formulas_become_text() {
        for text in ["=1+1", "+31612345678", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(report_cell(text), format!("'{text}"));
        }
        for text in ["", "0612345678", "'=1", "a=1"] {
            assert_eq!(report_cell(text), text);
        }
    }
}
