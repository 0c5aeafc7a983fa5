//! Lexer for the checks of a document's text (GraphQL specification, section 2.1.6). It is simpler than the
//! specification's: a number with a sign, a point or an exponent may be several tokens.

/// A block string without closing quotation marks.
#[derive(Debug, PartialEq, Eq)]
pub struct UnterminatedString;

/// The tokens and their byte offsets: punctuation, names, numbers and strings. White space, commas and comments are
/// skipped.
pub fn tokens(text: &[u8]) -> impl Iterator<Item = Result<(usize, &[u8]), UnterminatedString>> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = text.get(offset) {
            let remaining = &text[offset..];
            let (length, is_token) = match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => (1, false),
                b'#' => (line_length(remaining), false),
                b'"' if remaining.starts_with(br#"""""#) => {
                    match block_string_length(&remaining[3..]) {
                        Some(length) => (3 + length, true),
                        None => {
                            offset = text.len();
                            return Some(Err(UnterminatedString));
                        }
                    }
                }
                b'"' => (1 + string_length(&remaining[1..]), true),
                byte if is_word(byte) => {
                    (remaining.iter().take_while(|byte| is_word(**byte)).count(), true)
                }
                _ => (1, true),
            };
            let start = offset;
            offset += length;
            if is_token {
                return Some(Ok((start, &text[start..offset.min(text.len())])));
            }
        }
        None
    })
}

/// Whether a byte belongs to a name or a number.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_length(text: &[u8]) -> usize {
    text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len())
}

/// Length up to and including the closing quotation mark. A string ends at the end of its line.
fn string_length(text: &[u8]) -> usize {
    let mut offset = 0;
    while let Some(byte) = text.get(offset) {
        match byte {
            b'\\' => offset += 2,
            b'"' | b'\n' | b'\r' => return offset + 1,
            _ => offset += 1,
        }
    }
    text.len()
}

/// Length up to and including the three closing quotation marks, if there are any.
fn block_string_length(text: &[u8]) -> Option<usize> {
    let mut offset = 0;
    while offset < text.len() {
        match &text[offset..] {
            remaining if remaining.starts_with(br#"\""""#) => offset += 4,
            remaining if remaining.starts_with(br#"""""#) => return Some(offset + 3),
            _ => offset += 1,
        }
    }
    None
}
