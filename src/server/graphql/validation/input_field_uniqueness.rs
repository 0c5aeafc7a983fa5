//! Input field uniqueness: async-graphql's parser silently keeps the last of two fields with the same name, so the text
//! is checked.

use std::collections::HashSet;

use async_graphql::Pos;

use super::lexer::tokens;
use super::request_error::RequestError;
use crate::error::{ErrorCode, UserError};

/// Rejects an input object that has a field twice (GraphQL specification, section 5.6.3). The text must be parsable.
///
/// # Errors
/// GRAPHQL_VALIDATION_FAILED
pub fn check_input_field_uniqueness(text: &str) -> Result<(), RequestError> {
    // Inside parentheses, braces are input objects; outside, they are selection sets.
    let mut parentheses = 0_usize;
    let mut objects: Vec<HashSet<&[u8]>> = Vec::new();
    let mut previous: Option<(usize, &[u8])> = None;
    for (offset, token) in tokens(text.as_bytes()).map_while(Result::ok) {
        match token {
            b"(" => parentheses += 1,
            b")" => parentheses = parentheses.saturating_sub(1),
            b"{" if parentheses > 0 => objects.push(HashSet::new()),
            b"}" if parentheses > 0 => drop(objects.pop()),
            b":" => {
                if let (Some((offset, name)), Some(object)) = (previous, objects.last_mut())
                    && !object.insert(name)
                {
                    return Err(duplicate_field(text, offset, name));
                }
            }
            _ => {}
        }
        previous = Some((offset, token));
    }
    Ok(())
}

fn duplicate_field(text: &str, offset: usize, name: &[u8]) -> RequestError {
    let message = format!("The field \"{}\" is given twice.", String::from_utf8_lossy(name));
    let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + text[..offset].matches('\n').count();
    let column = 1 + text[line_start..offset].chars().count();
    let error = UserError::new(ErrorCode::GraphqlValidationFailed, message);
    RequestError::at(error, Pos { line, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_objects_have_each_field_once() {
        for good in [
            "{ a b: a c { a a } }",
            "{ a(b: { c: 1, d: { c: 1 } }, e: { c: 1 }) b: a(b: { c: 1 }) }",
            "{ a(b: [{ c: X }, { c: X }]) { a a } }",
            "query ($a: A = { b: 1, c: { b: 1 } }, $b: A) { a(b: $b, c: $b) }",
            r#"{ a(b: { c: "d: 1", d: 1 }) }"#,
        ] {
            assert!(check_input_field_uniqueness(good).is_ok(), "{good}");
        }
        for (bad, line, column) in [
            ("{ a(b: { c: 1, c: 1 }) }", 1, 16),
            ("{ a(b: { c: 1,\n  c: 2 }) }", 2, 3),
            ("{ a(b: [{ c: { d: 1 }, e: 1, c: 1 }]) }", 1, 30),
            ("query ($a: A = { b: 1, b: 1 }) { a }", 1, 24),
            (r#"{ a(b: { c: "é", c: 1 }) }"#, 1, 18),
            ("{ a @b(c: { d: 1 d: 1 }) }", 1, 18),
        ] {
            let error = check_input_field_uniqueness(bad).expect_err(bad);
            assert_eq!(error.user_error.code, ErrorCode::GraphqlValidationFailed);
            assert_eq!(error.position, Some(Pos { line, column }), "{bad}");
        }
    }
}
