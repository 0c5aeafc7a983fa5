//! Text templates with placeholders (`{code}`). Placeholders are replaced in one pass, so that braces in a value stay.

/// A parsed template. `P` is the type of its placeholders.
#[derive(Debug)]
pub struct TextTemplate<P>(Vec<Part<P>>);

#[derive(Debug)]
enum Part<P> {
    Text(String),
    Placeholder(P),
}

impl<P: Copy> TextTemplate<P> {
    /// Parses a template. A brace that is followed by a letter opens a placeholder; other braces, as in JSON, belong to
    /// the text.
    ///
    /// # Errors
    /// A sentence about a placeholder that `parse_name` does not know, or that is not closed.
    pub fn parse(text: &str, parse_name: impl Fn(&str) -> Option<P>) -> Result<Self, String> {
        let mut pieces = text.split('{');
        let mut parts = vec![Part::Text(pieces.next().unwrap_or_default().to_owned())];
        for piece in pieces {
            if !piece.starts_with(|c: char| c.is_ascii_alphabetic()) {
                parts.push(Part::Text(format!("{{{piece}")));
                continue;
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = piece.find(|c| !is_name(c)).unwrap_or(piece.len());
            let (name, after) = piece.split_at(end);
            let after = after.strip_prefix('}').ok_or_else(|| format!("{{{name} is not closed"))?;
            let placeholder =
                parse_name(name).ok_or_else(|| format!("{{{name}}} is no placeholder"))?;
            parts.extend([Part::Placeholder(placeholder), Part::Text(after.to_owned())]);
        }
        Ok(Self(parts))
    }

    /// The text with the values of its placeholders.
    pub fn render(&self, value: impl Fn(P) -> String) -> String {
        let render_part = |part: &Part<P>| match part {
            Part::Text(text) => text.clone(),
            Part::Placeholder(placeholder) => value(*placeholder),
        };
        self.0.iter().map(render_part).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<TextTemplate<bool>, String> {
        let parse_name = |name: &str| match name {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        TextTemplate::parse(text, parse_name)
    }

    #[test]
    fn placeholders_are_replaced_and_other_braces_stay() {
        let cases = [
            ("", ""),
            ("a{yes}b{no}c", "a+b-c"),
            ("{yes}{yes}", "++"),
            (r#"{"a": {"b": "{yes}"}}"#, r#"{"a": {"b": "+"}}"#),
            ("{ yes} {} { {1}", "{ yes} {} { {1}"),
            ("{{yes}}", "{+}"),
        ];
        for (text, expected) in cases {
            let value = |yes: bool| if yes { "+" } else { "-" }.to_owned();
            assert_eq!(parse(text).expect("good").render(value), expected, "{text}");
        }
    }

    #[test]
    fn invalid_placeholders_are_rejected() {
        for (text, error) in [
            ("{maybe}", "{maybe} is no placeholder"),
            ("{Yes}", "{Yes} is no placeholder"),
            (r#"{"a": "{yes"}"#, "{yes is not closed"),
            ("a {yes", "{yes is not closed"),
            ("{yes no}", "{yes is not closed"),
        ] {
            assert_eq!(parse(text).expect_err("bad"), error, "{text}");
        }
    }

    proptest! {
        #[test]
        fn placeholders_in_values_are_not_replaced(value in "[a-z{}]{0,20}|\\{(yes|no)\\}") {
            let template = parse("<{yes}|{no}>").expect("good");
            prop_assert_eq!(template.render(|_| value.clone()), format!("<{value}|{value}>"));
        }
    }
}
