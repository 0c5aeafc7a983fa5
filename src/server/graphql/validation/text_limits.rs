//! Limits on the text of a document, checked in one pass before parsing: async-graphql's parser overflows its stack and
//! aborts the process on a few kilobytes of nested brackets.

use super::lexer::{UnterminatedString, tokens};
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, UserError};

/// Rejects a text that is too long, has too many tokens, is nested too deeply, or has an unterminated block string.
///
/// # Errors
/// QUERY_TOO_COMPLEX, GRAPHQL_PARSE_FAILED
pub fn check_text_limits(text: &str, limits: &DocumentLimits) -> Result<(), UserError> {
    let too_complex = |message: String| UserError::new(ErrorCode::QueryTooComplex, message);
    if text.len() > limits.max_bytes {
        return Err(too_complex(format!("The document has more than {} bytes.", limits.max_bytes)));
    }
    let size = measure(text.as_bytes()).map_err(|UnterminatedString| {
        // The parser would take it as an empty string and continue after it.
        let message = "Cannot be parsed: a block string is not closed.";
        UserError::new(ErrorCode::GraphqlParseFailed, message)
    })?;
    if size.max_nesting > limits.max_nesting {
        return Err(too_complex(format!(
            "The document is nested more than {} deep.",
            limits.max_nesting
        )));
    }
    if size.tokens > limits.max_tokens {
        return Err(too_complex(format!(
            "The document has more than {} tokens.",
            limits.max_tokens
        )));
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct TextSize {
    /// The deepest nesting of brackets, outside of strings and comments.
    max_nesting: usize,
    tokens: usize,
}

fn measure(text: &[u8]) -> Result<TextSize, UnterminatedString> {
    let (mut size, mut nesting) = (TextSize::default(), 0_usize);
    for token in tokens(text) {
        match token?.1 {
            b"(" | b"[" | b"{" => nesting += 1,
            b")" | b"]" | b"}" => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        size.max_nesting = size.max_nesting.max(nesting);
        size.tokens += 1;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;

    fn check(document: &str) -> Result<(), UserError> {
        let config = Config::from_values([].into()).expect("the defaults are good");
        check_text_limits(document, &config.graphql.document_limits)
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        for (document, max_nesting, tokens) in [
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
                Ok(TextSize { max_nesting, tokens }),
                "{document}"
            );
        }
    }

    #[test]
    fn unterminated_block_strings_are_rejected() {
        let hidden = format!("{{ a(b: [\"\"\"x\" {}", "[".repeat(10_000));
        assert_eq!(measure(hidden.as_bytes()), Err(UnterminatedString));
        assert_eq!(measure(br#"{ a(b: """x\""") }"#), Err(UnterminatedString));
        assert!(check("{ a(b: \"\"\"x\"\"\") }").is_ok());
    }

    #[test]
    fn documents_beyond_a_limit_are_rejected() {
        let deep = |n: usize| format!("{{ a(b: {}{}) }}", "[".repeat(n), "]".repeat(n));
        assert!(check(&deep(62)).is_ok());
        assert!(check(&deep(63)).is_err());
        assert!(check(&deep(10_000)).is_err());
        assert!(check(&" ".repeat(32 * 1024)).is_ok());
        assert!(check(&" ".repeat(32 * 1024 + 1)).is_err());
        assert!(check(&"a ".repeat(4_000)).is_ok());
        assert!(check(&"a ".repeat(4_001)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}()\"\\\\#\n a]{0,60}") {
            let _ = measure(text.as_bytes());
        }
    }
}
