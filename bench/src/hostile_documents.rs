//! Hostile documents: small ones that overflow the stack, exhaust the memory or block the CPU of an unprotected server.

use std::fmt::Write;

use crate::transports::Operation;

/// The longest document that Switchboard accepts.
const MAX_DOCUMENT_LEN: usize = 32 * 1024;

/// Returns every document with a descriptive name.
pub fn all() -> Vec<(&'static str, Operation)> {
    [nested(), fragment_bombs(), repeated(), token_floods(), variables()].concat()
}

/// Concatenates the texts for the numbers from 0.
fn concat_numbered(times: usize, text: impl Fn(usize) -> String) -> String {
    (0..times).map(text).collect::<Vec<_>>().concat()
}

fn nested() -> Vec<(&'static str, Operation)> {
    let argument = |open: &str, times: usize, close: &str| {
        Operation::new(format!(
            "{{ me(a: {}1{}) {{ id }} }}",
            open.repeat(times),
            close.repeat(times)
        ))
    };
    let owners = |levels: usize| {
        let inner = "{ id }".to_owned();
        let level = |inner, _| format!("{{ contacts(first: 1) {{ nodes {{ owner {inner} }} }} }}");
        Operation::new(format!("{{ me {} }}", (0..levels).fold(inner, level)))
    };
    let types =
        (0..9).fold("{ name }".to_owned(), |inner, _| format!("{{ fields {{ type {inner} }} }}"));
    vec![
        ("2,000 nested `[`", argument("[", 2_000, "]")),
        ("10,000 nested `[`", argument("[", 10_000, "]")),
        ("10,000 `[`, none closed", argument("[", 10_000, "")),
        ("2,000 nested `{a:`", argument("{a:", 2_000, "}")),
        ("10,000 nested `{a:`", argument("{a:", 10_000, "}")),
        ("10,000 nested selections", Operation::new("{a".repeat(10_000) + &"}".repeat(10_000))),
        ("a variable's type in 10,000 `[`", {
            let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
            Operation::new(format!("query ($a: {open}Int{close}) {{ __typename }}"))
        }),
        ("contacts' owners' contacts, 15 levels", owners(15)),
        ("contacts' owners' contacts, 600 levels", owners(600)),
        ("fields' types' fields of the schema", {
            Operation::new(format!("{{ __schema {{ types {types} }} }}"))
        }),
    ]
}

fn fragment_bombs() -> Vec<(&'static str, Operation)> {
    // Each fragment spreads the next one repeatedly.
    let bomb = |levels: usize, times: usize, type_name: &str, leaf: &str| {
        let mut text = String::new();
        for level in 0..levels {
            let spread = format!("...F{} ", level + 1).repeat(times);
            let _ = write!(text, "fragment F{level} on {type_name} {{ {spread}}} ");
        }
        let _ = write!(text, "fragment F{levels} on {type_name} {{ {leaf} }}");
        text
    };
    let list_bomb = (0..6).fold(String::new(), |mut text, level| {
        let next = level + 1;
        let _ = write!(text, "fragment F{level} on User {{ contacts(first: 100) {{ nodes {{ owner {{ ...F{next} ...F{next} }} }} }} }} ");
        text
    }) + "fragment F6 on User { id }";
    let doubling_bomb = bomb(28, 2, "Query", "__typename");
    let chain = bomb(600, 1, "Query", "__typename");
    vec![
        (
            "fragment bomb, doubling 28 times",
            Operation::new(format!("{{ ...F0 }} {doubling_bomb}")),
        ),
        ("fragment bomb, tenfold 9 times", {
            Operation::new(format!("{{ ...F0 }} {}", bomb(9, 10, "Query", "__typename")))
        }),
        ("fragment bomb of aliases", {
            let leaf = concat_numbered(40, |n| format!("a{n}: __typename "));
            Operation::new(format!("{{ ...F0 }} {}", bomb(24, 2, "Query", &leaf)))
        }),
        ("fragment bomb, its leaf spreads an unknown one", {
            Operation::new(format!("{{ ...F0 }} {}", bomb(28, 2, "Query", "...Nowhere")))
        }),
        ("fragment bomb, its leaf spreads its root", {
            Operation::new(format!("{{ ...F0 }} {}", bomb(28, 2, "Query", "...F0")))
        }),
        (
            "fragment bomb in the operation that is not named",
            Operation {
                name: Some("Good"),
                ..Operation::new(format!(
                    "query Good {{ __typename }} query Bad {{ ...F0 }} {doubling_bomb}"
                ))
            },
        ),
        ("fragment bomb that nothing spreads", {
            Operation::new(format!("{{ __typename }} {doubling_bomb}"))
        }),
        ("fragment bomb through lists of 100", {
            Operation::new(format!("{{ me {{ ...F0 }} }} {list_bomb}"))
        }),
        ("fragment bomb on unknown types", {
            Operation::new(format!("{{ ...F0 }} {}", bomb(28, 2, "Nothing", "nothing")))
        }),
        ("600 fragments in a chain", Operation::new(format!("{{ ...F0 }} {chain}"))),
        ("two fragments that spread each other", {
            Operation::new("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")
        }),
        ("a fragment that spreads itself 2,000 times", {
            Operation::new(format!(
                "{{ ...A }} fragment A on Query {{ {} }}",
                "...A ".repeat(2_000)
            ))
        }),
        ("1,200 inline fragments", {
            Operation::new(format!("{{ {} }}", "... { __typename } ".repeat(1_200)))
        }),
    ]
}

fn repeated() -> Vec<(&'static str, Operation)> {
    let query = |selection: String| Operation::new(format!("{{ {selection} }}"));
    vec![
        ("50,000 `__typename`", query("__typename ".repeat(50_000))),
        ("2,900 `__typename`", query("__typename ".repeat(2_900))),
        ("30,000 aliases", query(concat_numbered(30_000, |n| format!("a{n}: __typename ")))),
        ("1,500 aliases", query(concat_numbered(1_500, |n| format!("a{n}: __typename ")))),
        (
            "1,900 directives on a field",
            query("__typename ".to_owned() + &"@skip(if:false) ".repeat(1_900)),
        ),
        ("10,000 unknown directives", query("__typename ".to_owned() + &"@a ".repeat(10_000))),
        ("900 fields of one name with other arguments", {
            let fields = concat_numbered(900, |n| {
                format!("contacts(first: {n}) {{ pageInfo {{ hasNextPage }} }} ")
            });
            query(format!("me {{ {} }}", &fields[..fields.len().min(MAX_DOCUMENT_LEN - 60)]))
        }),
        ("1,100 fields of one name with other searches", {
            query(format!(
                "me {{ {} }}",
                concat_numbered(1_100, |n| format!("contacts(search:\"{n}\") {{ n }} "))
            ))
        }),
        ("700 objects of one name to merge", {
            query(concat_numbered(700, |n| {
                format!("me {{ contacts {{ nodes {{ a{n}: id }} }} }} ")
            }))
        }),
        (
            "3,000 arguments",
            query(format!("me({}) {{ id }}", concat_numbered(3_000, |n| format!("a{n}: 1 ")))),
        ),
        ("3,000 fields of an input", {
            let fields = concat_numbered(3_000, |n| format!("a{n}: 1 "));
            Operation::new(format!("mutation {{ login(input: {{ {fields} }}) {{ __typename }} }}"))
        }),
        ("a list of 14,000", query(format!("me(a: [{}]) {{ id }}", "1 ".repeat(14_000)))),
        ("600 unused fragments", {
            let fragments =
                concat_numbered(600, |n| format!("fragment F{n} on Query {{ __typename }} "));
            Operation::new(format!("{{ __typename }} {fragments}"))
        }),
        (
            "1,000 operations",
            Operation {
                name: Some("Q0"),
                ..Operation::new(concat_numbered(1_000, |n| {
                    format!("query Q{n} {{ __typename }} ")
                }))
            },
        ),
        ("50 logins", {
            let login = |n| {
                format!(
                    r#"a{n}: login(input: {{ identifier: "person{n}", password: "wrong" }}) {{ __typename }} "#
                )
            };
            Operation::new(format!("mutation {{ {} }}", concat_numbered(50, login)))
        }),
    ]
}

fn token_floods() -> Vec<(&'static str, Operation)> {
    let fill = |before: &str, token: &str, after: &str| {
        let times = (MAX_DOCUMENT_LEN - before.len() - after.len()) / token.len();
        Operation::new(format!("{before}{}{after}", token.repeat(times)))
    };
    vec![
        ("32 KiB of names", fill("{", "a ", "}")),
        ("32 KiB of `!`", fill("", "!", "")),
        ("32 KiB of `...`", fill("{", "...", "}")),
        ("32 KiB of `[]`", fill("{ me(a: ", "[]", ") { id } }")),
        ("32 KiB of `{}`", fill("", "{}", "")),
        ("32 KiB of empty strings", fill("{ me(a: [", "\"\" ", "]) { id } }")),
        ("32 KiB of digits", fill("{ me(a: ", "9", ") { id } }")),
        ("32 KiB of block strings", fill("{ me(a: [", "\"\"\"\"\"\" ", "]) { id } }")),
        ("32 KiB of escapes", fill("{ me(a: \"", "\\u0000", "\") { id } }")),
        ("32 KiB of backslashes in an open string", fill("{ me(a: \"", "\\\\", "")),
        ("32 KiB of comments", fill("{ nowhere ", "#\n", "}")),
        ("32 KiB of commas", fill("{ nowhere ", ",", "}")),
        ("one name of 32 KiB", fill("{ ", "a", " }")),
        ("32 KiB of byte order marks", fill("{ nowhere ", "\u{feff}", "}")),
        ("1 MB of spaces", Operation::new(" ".repeat(1_000_000) + "{ __typename }")),
    ]
}

fn variables() -> Vec<(&'static str, Operation)> {
    const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) { __typename } }";
    let nested_input = |open: &str, times: usize, close: &str| {
        format!(r#"{{"input":{}1{}}}"#, open.repeat(times), close.repeat(times))
    };
    let with_variables = |query: &str, variables: String| Operation {
        variables: Some(variables),
        ..Operation::new(query)
    };
    let definitions = concat_numbered(2_300, |n| format!("$a{n}: Int "));
    let fields = concat_numbered(40_000, |n| format!(r#""a{n}":1,"#));
    vec![
        ("2,300 variables", Operation::new(format!("query ({definitions}) {{ __typename }}"))),
        ("2,300 required variables, none given", {
            let definitions = definitions.replace("Int ", "Int!");
            Operation::new(format!("query ({definitions}) {{ __typename }}"))
        }),
        ("variables: 100 nested `[`", with_variables(LOGIN, nested_input("[", 100, "]"))),
        ("variables: 10,000 nested `[`", with_variables(LOGIN, nested_input("[", 10_000, "]"))),
        ("variables: 100,000 nested `[`", with_variables(LOGIN, nested_input("[", 100_000, "]"))),
        (
            "variables: 10,000 nested `{\"a\":`",
            with_variables(LOGIN, nested_input(r#"{"a":"#, 10_000, "}")),
        ),
        ("variables: 40,000 unknown fields", {
            with_variables(LOGIN, format!(r#"{{"input":{{{fields}"a":1}}}}"#))
        }),
        ("variables: a list of 300,000", {
            with_variables(LOGIN, format!(r#"{{"input":[{}1]}}"#, "1,".repeat(300_000)))
        }),
        ("variables: a text of 900 kB", {
            let text = "a".repeat(900_000);
            with_variables(
                LOGIN,
                format!(r#"{{"input":{{"identifier":"{text}","password":"wrong"}}}}"#),
            )
        }),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_document_has_a_name_of_its_own_and_fits_into_a_body() {
        let names: BTreeSet<_> = all().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), all().len());
        for (name, operation) in all() {
            let variables = operation.variables.as_deref().unwrap_or_default();
            assert!(operation.query.len() + variables.len() < 1_040_000, "{name}");
        }
    }
}
