//! Bounds on a document's text, checked in one pass before anything parses it: async-graphql's parser
//! overflows its stack, and takes the process with it, on a few kilobytes of nested brackets.

use super::tokens::{Unclosed, tokens};
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, Failure};

/// Refuses a document that is too long, has too many tokens or is nested too deeply.
///
/// # Errors
/// QUERY_TOO_COMPLEX
pub fn check(document: &str, limits: &DocumentLimits) -> Result<(), Failure> {
    let too_complex = |message: String| Failure::new(ErrorCode::QueryTooComplex, message);
    if document.len() > limits.bytes {
        return Err(too_complex(format!("The document has more than {} bytes.", limits.bytes)));
    }
    let measured = measure(document.as_bytes()).map_err(|Unclosed| {
        // The parser would read it as an empty string, and go on behind it.
        let message = "Cannot be parsed: a block string is not closed.";
        Failure::new(ErrorCode::GraphqlParseFailed, message)
    })?;
    if measured.deepest > limits.nesting {
        return Err(too_complex(format!(
            "The document is nested more than {} deep.",
            limits.nesting
        )));
    }
    if measured.tokens > limits.tokens {
        return Err(too_complex(format!("The document has more than {} tokens.", limits.tokens)));
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Measured {
    /// How deeply brackets are nested outside of strings and comments.
    deepest: usize,
    /// How many there are.
    tokens: usize,
}

fn measure(text: &[u8]) -> Result<Measured, Unclosed> {
    let (mut measured, mut depth) = (Measured::default(), 0_usize);
    for token in tokens(text) {
        match token?.1 {
            b"(" | b"[" | b"{" => depth += 1,
            b")" | b"]" | b"}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        measured.deepest = measured.deepest.max(depth);
        measured.tokens += 1;
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;

    fn checked(document: &str) -> Result<(), Failure> {
        let config = Config::from_values([].into()).expect("the defaults are good");
        check(document, &config.graphql.documents)
    }

    #[test]
    fn only_what_counts_is_counted() {
        for (document, deepest, tokens) in [
            ("{ me { id } }", 2, 6),
            ("{ a(b: [[1]]) }", 4, 12),
            ("# {{{{\n{ a }", 1, 3),
            (r#"{ a(b: "[[[[ \" [[[[") }"#, 2, 8),
            (r#"{ a(b: """ [[ \""" [[ """) }"#, 2, 8),
            (r#"{ a(b: "") { c } }"#, 2, 11),
            ("\"unfinished [[\n[[", 2, 3),
            ("\"\\", 0, 1),
            ("query Q($a:Int=-1.5e3){a,b,,c}", 1, 18),
        ] {
            assert_eq!(
                measure(document.as_bytes()),
                Ok(Measured { deepest, tokens }),
                "{document}"
            );
        }
    }

    #[test]
    fn a_block_string_without_an_end_hides_nothing() {
        let hidden = format!("{{ a(b: [\"\"\"x\" {}", "[".repeat(10_000));
        assert_eq!(measure(hidden.as_bytes()), Err(Unclosed));
        assert_eq!(measure(br#"{ a(b: """x\""") }"#), Err(Unclosed));
        assert!(checked("{ a(b: \"\"\"x\"\"\") }").is_ok());
    }

    #[test]
    fn long_deep_and_wordy_documents_are_refused() {
        let deep = |n: usize| format!("{{ a(b: {}{}) }}", "[".repeat(n), "]".repeat(n));
        assert!(checked(&deep(62)).is_ok());
        assert!(checked(&deep(63)).is_err());
        assert!(checked(&deep(10_000)).is_err());
        assert!(checked(&" ".repeat(32 * 1024)).is_ok());
        assert!(checked(&" ".repeat(32 * 1024 + 1)).is_err());
        assert!(checked(&"a ".repeat(4_000)).is_ok());
        assert!(checked(&"a ".repeat(4_001)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}()\"\\\\#\n a]{0,60}") {
            let _ = measure(text.as_bytes());
        }
    }
}
