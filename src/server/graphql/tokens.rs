//! The tokens of a document's text (GraphQL specification, section 2.1.6), as far as they are needed before it is
//! parsed. A number with a sign, a point or an exponent may be several.

/// A block string that is not closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Unclosed;

/// Where each token begins, and the token: punctuation, a name, a number or a string, without white space, commas
/// and comments.
pub fn tokens(text: &[u8]) -> impl Iterator<Item = Result<(usize, &[u8]), Unclosed>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = text.get(at) {
            let rest = &text[at..];
            let (length, is_token) = match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => (1, false),
                b'#' => (line_length(rest), false),
                b'"' if rest.starts_with(br#"""""#) => match block_string_length(&rest[3..]) {
                    Some(length) => (3 + length, true),
                    None => {
                        at = text.len();
                        return Some(Err(Unclosed));
                    }
                },
                b'"' => (1 + string_length(&rest[1..]), true),
                byte if is_word(byte) => {
                    (rest.iter().take_while(|byte| is_word(**byte)).count(), true)
                }
                _ => (1, true),
            };
            let from = at;
            at += length;
            if is_token {
                return Some(Ok((from, &text[from..at.min(text.len())])));
            }
        }
        None
    })
}

/// Of a name or a number.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_length(text: &[u8]) -> usize {
    text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len())
}

/// Up to and with the closing quotation mark. A string does not go over the end of its line.
fn string_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' | b'\n' | b'\r' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Up to and with the three closing quotation marks, if they are there.
fn block_string_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        match &text[at..] {
            rest if rest.starts_with(br#"\""""#) => at += 4,
            rest if rest.starts_with(br#"""""#) => return Some(at + 3),
            _ => at += 1,
        }
    }
    None
}
