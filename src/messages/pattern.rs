//! Texts with places for values (`{code}`): read once and filled once, so that a value which looks like a
//! place stays as it is.

/// A text with places for values, which `P` names.
#[derive(Debug)]
pub struct Pattern<P>(Vec<Piece<P>>);

#[derive(Debug)]
enum Piece<P> {
    Text(String),
    Place(P),
}

impl<P: Copy> Pattern<P> {
    /// Reads a text. A brace that a letter follows opens a place; any other brace is the text's own, as
    /// JSON has them.
    ///
    /// # Errors
    /// A sentence about a place that `place` does not know, or that is not closed.
    pub fn parse(text: &str, place: impl Fn(&str) -> Option<P>) -> Result<Self, String> {
        let mut parts = text.split('{');
        let mut pieces = vec![Piece::Text(parts.next().unwrap_or_default().to_owned())];
        for part in parts {
            if !part.starts_with(|c: char| c.is_ascii_alphabetic()) {
                pieces.push(Piece::Text(format!("{{{part}")));
                continue;
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = part.find(|c| !is_name(c)).unwrap_or(part.len());
            let (name, after) = part.split_at(end);
            let after = after.strip_prefix('}').ok_or_else(|| format!("{{{name} is not closed"))?;
            let place = place(name).ok_or_else(|| format!("{{{name}}} is no placeholder"))?;
            pieces.extend([Piece::Place(place), Piece::Text(after.to_owned())]);
        }
        Ok(Self(pieces))
    }

    /// The text with these values in its places.
    pub fn fill(&self, value: impl Fn(P) -> String) -> String {
        let fill = |piece: &Piece<P>| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Place(place) => value(*place),
        };
        self.0.iter().map(fill).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Pattern<bool>, String> {
        let place = |name: &str| match name {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        Pattern::parse(text, place)
    }

    #[test]
    fn places_are_filled_and_other_braces_stay() {
        let cases = [
            ("", ""),
            ("a{yes}b{no}c", "a+b-c"),
            ("{yes}{yes}", "++"),
            (r#"{"a": {"b": "{yes}"}}"#, r#"{"a": {"b": "+"}}"#),
            ("{ yes} {} { {1}", "{ yes} {} { {1}"),
            ("{{yes}}", "{+}"),
        ];
        for (text, filled) in cases {
            let value = |yes: bool| if yes { "+" } else { "-" }.to_owned();
            assert_eq!(read(text).expect("good").fill(value), filled, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_place_is_said() {
        for (text, said) in [
            ("{maybe}", "{maybe} is no placeholder"),
            ("{Yes}", "{Yes} is no placeholder"),
            (r#"{"a": "{yes"}"#, "{yes is not closed"),
            ("a {yes", "{yes is not closed"),
            ("{yes no}", "{yes is not closed"),
        ] {
            assert_eq!(read(text).expect_err("bad"), said, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_never_filled_again(value in "[a-z{}]{0,20}|\\{(yes|no)\\}") {
            let pattern = read("<{yes}|{no}>").expect("good");
            prop_assert_eq!(pattern.fill(|_| value.clone()), format!("<{value}|{value}>"));
        }
    }
}
