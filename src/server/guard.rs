//! Bounds on a document's text, checked before anything parses it: async-graphql's parser overflows its
//! stack, and takes the process with it, on a few kilobytes of nested brackets.

use crate::error::{ErrorCode, Failure};

/// The longest document, in bytes.
const MOST_BYTES: usize = 32 * 1024;
/// The deepest nesting of brackets of all kinds.
const DEEPEST: usize = 64;

/// Refuses a document that is too long or nested too deeply.
///
/// # Errors
/// QUERY_TOO_COMPLEX
pub fn check(document: &str) -> Result<(), Failure> {
    let too_complex = |message: String| Failure::new(ErrorCode::QueryTooComplex, message);
    if document.len() > MOST_BYTES {
        return Err(too_complex(format!("The document has more than {MOST_BYTES} bytes.")));
    }
    if nesting(document.as_bytes()) > DEEPEST {
        return Err(too_complex(format!("The document is nested more than {DEEPEST} deep.")));
    }
    Ok(())
}

/// How deeply brackets are nested outside of strings and comments.
fn nesting(text: &[u8]) -> usize {
    let (mut deepest, mut depth, mut at) = (0, 0_usize, 0);
    while let Some(&byte) = text.get(at) {
        at += match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                1
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                1
            }
            b'#' => line_length(&text[at..]),
            b'"' if text[at..].starts_with(br#"""""#) => 3 + block_string_length(&text[at + 3..]),
            b'"' => 1 + string_length(&text[at + 1..]),
            _ => 1,
        };
    }
    deepest
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

/// Up to and with the three closing quotation marks.
fn block_string_length(text: &[u8]) -> usize {
    let mut at = 0;
    while at < text.len() {
        match &text[at..] {
            rest if rest.starts_with(br#"\""""#) => at += 4,
            rest if rest.starts_with(br#"""""#) => return at + 3,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_brackets_that_count_are_counted() {
        for (document, depth) in [
            ("{ me { id } }", 2),
            ("{ a(b: [[1]]) }", 4),
            ("# {{{{\n{ a }", 1),
            (r#"{ a(b: "[[[[ \" [[[[") }"#, 2),
            (r#"{ a(b: """ [[ \""" [[ """) }"#, 2),
            (r#"{ a(b: "") { c } }"#, 2),
            ("\"unfinished [[\n[[", 2),
            ("\"\\", 0),
            ("\"\"\"[[[", 0),
        ] {
            assert_eq!(nesting(document.as_bytes()), depth, "{document}");
        }
    }

    #[test]
    fn long_and_deep_documents_are_refused() {
        let deep = |n: usize| format!("{{ a(b: {}{}) }}", "[".repeat(n), "]".repeat(n));
        assert!(check(&deep(62)).is_ok());
        assert!(check(&deep(63)).is_err());
        assert!(check(&deep(10_000)).is_err());
        assert!(check(&" ".repeat(32 * 1024)).is_ok());
        assert!(check(&" ".repeat(32 * 1024 + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}()\"\\\\#\n a]{0,60}") {
            nesting(text.as_bytes());
        }
    }
}
