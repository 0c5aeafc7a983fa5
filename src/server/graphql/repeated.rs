//! Fields that an object gives twice, of which the parser keeps the last one without a word.

use std::collections::HashSet;

use async_graphql::Pos;

use super::engine::Fault;
use super::tokens::tokens;
use crate::error::{ErrorCode, Failure};

/// Refuses a field that an input object has twice (GraphQL specification, section 5.6.3), in a text that can be parsed.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED
pub fn check(text: &str) -> Result<(), Fault> {
    // Objects stand among arguments and variables only, and selections never do.
    let mut parentheses = 0_usize;
    let mut objects: Vec<HashSet<&[u8]>> = Vec::new();
    let mut before: Option<(usize, &[u8])> = None;
    for (at, token) in tokens(text.as_bytes()).map_while(Result::ok) {
        match token {
            b"(" => parentheses += 1,
            b")" => parentheses = parentheses.saturating_sub(1),
            b"{" if parentheses > 0 => objects.push(HashSet::new()),
            b"}" if parentheses > 0 => drop(objects.pop()),
            b":" => {
                if let (Some((at, name)), Some(object)) = (before, objects.last_mut())
                    && !object.insert(name)
                {
                    return Err(twice(text, at, name));
                }
            }
            _ => {}
        }
        before = Some((at, token));
    }
    Ok(())
}

fn twice(text: &str, at: usize, name: &[u8]) -> Fault {
    let message = format!("The field \"{}\" is given twice.", String::from_utf8_lossy(name));
    let line_begins = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + text[..at].matches('\n').count();
    let column = 1 + text[line_begins..at].chars().count();
    (Failure::new(ErrorCode::GraphqlValidationFailed, message), Some(Pos { line, column }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_given_once_to_an_object() {
        for good in [
            "{ a b: a c { a a } }",
            "{ a(b: { c: 1, d: { c: 1 } }, e: { c: 1 }) b: a(b: { c: 1 }) }",
            "{ a(b: [{ c: X }, { c: X }]) { a a } }",
            "query ($a: A = { b: 1, c: { b: 1 } }, $b: A) { a(b: $b, c: $b) }",
            r#"{ a(b: { c: "d: 1", d: 1 }) }"#,
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for (bad, line, column) in [
            ("{ a(b: { c: 1, c: 1 }) }", 1, 16),
            ("{ a(b: { c: 1,\n  c: 2 }) }", 2, 3),
            ("{ a(b: [{ c: { d: 1 }, e: 1, c: 1 }]) }", 1, 30),
            ("query ($a: A = { b: 1, b: 1 }) { a }", 1, 24),
            (r#"{ a(b: { c: "é", c: 1 }) }"#, 1, 18),
            ("{ a @b(c: { d: 1 d: 1 }) }", 1, 18),
        ] {
            let (failure, at) = check(bad).expect_err(bad);
            assert_eq!(failure.code, ErrorCode::GraphqlValidationFailed);
            assert_eq!(at, Some(Pos { line, column }), "{bad}");
        }
    }
}
