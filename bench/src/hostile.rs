//! Documents made to hurt: each is small, and costs a naive server its stack, its memory or minutes of CPU.

use std::fmt::Write;

use crate::transports::Operation;

/// The longest document that the product takes.
const LONGEST: usize = 32 * 1024;

/// Every document, by a name that says what it does.
pub fn all() -> Vec<(&'static str, Operation)> {
    [nested(), bombs(), many(), tokens(), variables()].concat()
}

/// Texts in a row, each by its number.
fn each(times: usize, text: impl Fn(usize) -> String) -> String {
    (0..times).map(text).collect::<Vec<_>>().concat()
}

fn nested() -> Vec<(&'static str, Operation)> {
    let argument = |open: &str, times: usize, close: &str| {
        Operation::of(format!(
            "{{ me(a: {}1{}) {{ id }} }}",
            open.repeat(times),
            close.repeat(times)
        ))
    };
    let owners = |levels: usize| {
        let inner = "{ id }".to_owned();
        let level = |inner, _| format!("{{ contacts(first: 1) {{ nodes {{ owner {inner} }} }} }}");
        Operation::of(format!("{{ me {} }}", (0..levels).fold(inner, level)))
    };
    let types =
        (0..9).fold("{ name }".to_owned(), |inner, _| format!("{{ fields {{ type {inner} }} }}"));
    vec![
        ("2,000 nested `[`", argument("[", 2_000, "]")),
        ("10,000 nested `[`", argument("[", 10_000, "]")),
        ("10,000 `[`, none closed", argument("[", 10_000, "")),
        ("2,000 nested `{a:`", argument("{a:", 2_000, "}")),
        ("10,000 nested `{a:`", argument("{a:", 10_000, "}")),
        ("10,000 nested selections", Operation::of("{a".repeat(10_000) + &"}".repeat(10_000))),
        ("a variable's type in 10,000 `[`", {
            let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
            Operation::of(format!("query ($a: {open}Int{close}) {{ __typename }}"))
        }),
        ("contacts' owners' contacts, 15 levels", owners(15)),
        ("contacts' owners' contacts, 600 levels", owners(600)),
        ("fields' types' fields of the schema", {
            Operation::of(format!("{{ __schema {{ types {types} }} }}"))
        }),
    ]
}

fn bombs() -> Vec<(&'static str, Operation)> {
    // Each fragment spreads the next so many times.
    let bomb = |levels: usize, times: usize, on: &str, leaf: &str| {
        let mut text = String::new();
        for level in 0..levels {
            let spread = format!("...F{} ", level + 1).repeat(times);
            let _ = write!(text, "fragment F{level} on {on} {{ {spread}}} ");
        }
        let _ = write!(text, "fragment F{levels} on {on} {{ {leaf} }}");
        text
    };
    let through_contacts = (0..6).fold(String::new(), |mut text, level| {
        let next = level + 1;
        let _ = write!(text, "fragment F{level} on User {{ contacts(first: 100) {{ nodes {{ owner {{ ...F{next} ...F{next} }} }} }} }} ");
        text
    }) + "fragment F6 on User { id }";
    let twice = bomb(28, 2, "Query", "__typename");
    let chain = bomb(600, 1, "Query", "__typename");
    vec![
        ("fragment bomb, doubling 28 times", Operation::of(format!("{{ ...F0 }} {twice}"))),
        ("fragment bomb, tenfold 9 times", {
            Operation::of(format!("{{ ...F0 }} {}", bomb(9, 10, "Query", "__typename")))
        }),
        ("fragment bomb of aliases", {
            let leaf = each(40, |n| format!("a{n}: __typename "));
            Operation::of(format!("{{ ...F0 }} {}", bomb(24, 2, "Query", &leaf)))
        }),
        ("fragment bomb, its leaf spreads an unknown one", {
            Operation::of(format!("{{ ...F0 }} {}", bomb(28, 2, "Query", "...Nowhere")))
        }),
        ("fragment bomb, its leaf spreads its root", {
            Operation::of(format!("{{ ...F0 }} {}", bomb(28, 2, "Query", "...F0")))
        }),
        (
            "fragment bomb in the operation that is not named",
            Operation {
                chosen: Some("Good"),
                ..Operation::of(format!(
                    "query Good {{ __typename }} query Bad {{ ...F0 }} {twice}"
                ))
            },
        ),
        ("fragment bomb that nothing spreads", {
            Operation::of(format!("{{ __typename }} {twice}"))
        }),
        ("fragment bomb through lists of 100", {
            Operation::of(format!("{{ me {{ ...F0 }} }} {through_contacts}"))
        }),
        ("fragment bomb on unknown types", {
            Operation::of(format!("{{ ...F0 }} {}", bomb(28, 2, "Nothing", "nothing")))
        }),
        ("600 fragments in a chain", Operation::of(format!("{{ ...F0 }} {chain}"))),
        ("two fragments that spread each other", {
            Operation::of("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")
        }),
        ("a fragment that spreads itself 2,000 times", {
            Operation::of(format!("{{ ...A }} fragment A on Query {{ {} }}", "...A ".repeat(2_000)))
        }),
        ("1,200 inline fragments", {
            Operation::of(format!("{{ {} }}", "... { __typename } ".repeat(1_200)))
        }),
    ]
}

fn many() -> Vec<(&'static str, Operation)> {
    let query = |selection: String| Operation::of(format!("{{ {selection} }}"));
    vec![
        ("50,000 `__typename`", query("__typename ".repeat(50_000))),
        ("2,900 `__typename`", query("__typename ".repeat(2_900))),
        ("30,000 aliases", query(each(30_000, |n| format!("a{n}: __typename ")))),
        ("1,500 aliases", query(each(1_500, |n| format!("a{n}: __typename ")))),
        (
            "1,900 directives on a field",
            query("__typename ".to_owned() + &"@skip(if:false) ".repeat(1_900)),
        ),
        ("10,000 unknown directives", query("__typename ".to_owned() + &"@a ".repeat(10_000))),
        ("900 fields of one name with other arguments", {
            let fields =
                each(900, |n| format!("contacts(first: {n}) {{ pageInfo {{ hasNextPage }} }} "));
            query(format!("me {{ {} }}", &fields[..fields.len().min(LONGEST - 60)]))
        }),
        ("1,100 fields of one name with other searches", {
            query(format!(
                "me {{ {} }}",
                each(1_100, |n| format!("contacts(search:\"{n}\") {{ n }} "))
            ))
        }),
        ("700 objects of one name to merge", {
            query(each(700, |n| format!("me {{ contacts {{ nodes {{ a{n}: id }} }} }} ")))
        }),
        (
            "3,000 arguments",
            query(format!("me({}) {{ id }}", each(3_000, |n| format!("a{n}: 1 ")))),
        ),
        ("3,000 fields of an input", {
            let fields = each(3_000, |n| format!("a{n}: 1 "));
            Operation::of(format!("mutation {{ login(input: {{ {fields} }}) {{ __typename }} }}"))
        }),
        ("a list of 14,000", query(format!("me(a: [{}]) {{ id }}", "1 ".repeat(14_000)))),
        ("600 unused fragments", {
            let fragments = each(600, |n| format!("fragment F{n} on Query {{ __typename }} "));
            Operation::of(format!("{{ __typename }} {fragments}"))
        }),
        (
            "1,000 operations",
            Operation {
                chosen: Some("Q0"),
                ..Operation::of(each(1_000, |n| format!("query Q{n} {{ __typename }} ")))
            },
        ),
        ("50 logins", {
            let login = |n| {
                format!(
                    r#"a{n}: login(input: {{ identifier: "person{n}", password: "wrong" }}) {{ __typename }} "#
                )
            };
            Operation::of(format!("mutation {{ {} }}", each(50, login)))
        }),
    ]
}

fn tokens() -> Vec<(&'static str, Operation)> {
    let filled = |before: &str, token: &str, after: &str| {
        let times = (LONGEST - before.len() - after.len()) / token.len();
        Operation::of(format!("{before}{}{after}", token.repeat(times)))
    };
    vec![
        ("32 KiB of names", filled("{", "a ", "}")),
        ("32 KiB of `!`", filled("", "!", "")),
        ("32 KiB of `...`", filled("{", "...", "}")),
        ("32 KiB of `[]`", filled("{ me(a: ", "[]", ") { id } }")),
        ("32 KiB of `{}`", filled("", "{}", "")),
        ("32 KiB of empty strings", filled("{ me(a: [", "\"\" ", "]) { id } }")),
        ("32 KiB of digits", filled("{ me(a: ", "9", ") { id } }")),
        ("32 KiB of block strings", filled("{ me(a: [", "\"\"\"\"\"\" ", "]) { id } }")),
        ("32 KiB of escapes", filled("{ me(a: \"", "\\u0000", "\") { id } }")),
        ("32 KiB of backslashes in an open string", filled("{ me(a: \"", "\\\\", "")),
        ("32 KiB of comments", filled("{ nowhere ", "#\n", "}")),
        ("32 KiB of commas", filled("{ nowhere ", ",", "}")),
        ("one name of 32 KiB", filled("{ ", "a", " }")),
        ("32 KiB of byte order marks", filled("{ nowhere ", "\u{feff}", "}")),
        ("1 MB of spaces", Operation::of(" ".repeat(1_000_000) + "{ __typename }")),
    ]
}

fn variables() -> Vec<(&'static str, Operation)> {
    const LOGIN: &str = "mutation ($input: LoginInput!) { login(input: $input) { __typename } }";
    let deep = |open: &str, times: usize, close: &str| {
        format!(r#"{{"input":{}1{}}}"#, open.repeat(times), close.repeat(times))
    };
    let given = |query: &str, variables: String| Operation {
        variables: Some(variables),
        ..Operation::of(query)
    };
    let definitions = each(2_300, |n| format!("$a{n}: Int "));
    let fields = each(40_000, |n| format!(r#""a{n}":1,"#));
    vec![
        ("2,300 variables", Operation::of(format!("query ({definitions}) {{ __typename }}"))),
        ("2,300 required variables, none given", {
            let definitions = definitions.replace("Int ", "Int!");
            Operation::of(format!("query ({definitions}) {{ __typename }}"))
        }),
        ("variables: 100 nested `[`", given(LOGIN, deep("[", 100, "]"))),
        ("variables: 10,000 nested `[`", given(LOGIN, deep("[", 10_000, "]"))),
        ("variables: 100,000 nested `[`", given(LOGIN, deep("[", 100_000, "]"))),
        ("variables: 10,000 nested `{\"a\":`", given(LOGIN, deep(r#"{"a":"#, 10_000, "}"))),
        ("variables: 40,000 unknown fields", {
            given(LOGIN, format!(r#"{{"input":{{{fields}"a":1}}}}"#))
        }),
        ("variables: a list of 300,000", {
            given(LOGIN, format!(r#"{{"input":[{}1]}}"#, "1,".repeat(300_000)))
        }),
        ("variables: a text of 900 kB", {
            let text = "a".repeat(900_000);
            given(LOGIN, format!(r#"{{"input":{{"identifier":"{text}","password":"wrong"}}}}"#))
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
