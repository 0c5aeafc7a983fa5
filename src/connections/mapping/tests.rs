//! Tests of expressions: what they select, and what they are limited to.

use std::fmt::Write;

use jmespath::{Rcvar, Runtime, Variable};
use proptest::prelude::*;

use super::budget::{Budget, LimitExceeded};
use super::expression::Expression;

const DATA: &str = r#"{
    "name": "Ann", "n": null, "i": 3, "f": -2.5, "t": true, "empty": [], "text": "", "one": {"a": {"b": "c"}},
    "list": [{"a": 1, "b": "x", "c": [1, 2]}, {"a": 3, "b": "y"}, {"a": 2, "b": null, "c": [3, [4]]}],
    "numbers": [3, 1, 2, 10], "words": ["b", "a", "c"], "nested": [[1, [2]], 3, []], "map": {"k": 1, "l": {"m": [5]}}
}"#;

/// Expressions of every kind, one a line.
const EXPRESSIONS: &str = r#"
    @
    name
    missing
    missing.a.b[0]
    one.a.b
    "name"
    list[0]
    list[-1].a
    list[9]
    list[-9]
    list[*].a
    list[].c
    list[].c[]
    nested[]
    nested[][]
    *
    map.*
    map.*.m[]
    list[*].c[0]
    list[?a > `1`].b
    list[?b == 'x'] | [0].a
    list[?c]
    list[?!c]
    list[?a >= `2` && b].a
    list[?a < `2` || a == `3`].a
    numbers[1:3]
    numbers[::-1]
    numbers[::2]
    numbers[-2:]
    numbers[5:1:-1]
    words[0:0]
    name[0:1]
    [name, i]
    {n: name, l: list[*].{x: a, y: c[0]}}
    n.[a]
    list[*].[a, b]
    missing.{a: a}
    `{"a": [1]}`.a[0]
    'raw'
    name || 'x'
    text || 'x'
    text && 'x'
    !text
    i == `3`
    i != `3`
    f < i
    name < 'z'
    list == list
    list[0] == `{}`
    length(name)
    length(list)
    length(map)
    keys(map)
    values(map)
    type(n)
    type(f)
    contains(words, 'a')
    contains(name, 'nn')
    contains(list, list[0])
    starts_with(name, 'A')
    ends_with(name, 'A')
    join('-', words)
    join('', empty)
    reverse(words)
    reverse(name)
    sort(words)
    sort(numbers)
    max(numbers)
    min(words)
    max(empty)
    not_null(n, missing, name)
    merge(map, one)
    to_array(i)
    to_array(empty)
    to_string(map)
    to_string(name)
    to_string(n)
    to_number('1.5')
    to_number('x')
    sort_by(list, &a)[*].a
    max_by(list, &a).b
    min_by(list, &a).b
    map(&a, list)
    map(&not_null(c, `0`), list)
    sort_by(empty, &a)
    max_by(empty, &a)
    avg(numbers)
    list | [0] | a
    (name)
    ((list)[*].a)[0]
    list[*].a | sum(@)
    nested[*][0]
    list[1:].a
    @.name
"#;

fn data() -> Rcvar {
    Rcvar::new(Variable::from_json(DATA).expect("JSON"))
}

fn evaluated(expression: &str) -> Result<String, String> {
    let expression = Expression::compile(expression)?;
    let value = expression.evaluate(&data(), &mut Budget::new());
    value.map(|value| value.to_string()).map_err(|limit| format!("{limit:?}"))
}

#[test]
fn expressions_select_as_the_crate_does() {
    let mut runtime = Runtime::new();
    runtime.register_builtin_functions();
    for expression in EXPRESSIONS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let crates =
            runtime.compile(expression).expect("an expression").search(data()).expect("a value");
        let crates = crates.to_string().replace(".0", "");
        assert_eq!(evaluated(expression).as_deref(), Ok(crates.as_str()), "{expression}");
    }
}

#[test]
fn what_cannot_be_computed_is_null_and_integers_stay_integers() {
    for (expression, expected) in [
        ("length(missing)", "null"),
        ("join('-', list)", "null"),
        ("sum(words)", "null"),
        ("avg(empty)", "null"),
        ("sort_by(list, &b)", "null"),
        ("max_by(list, &c)", "null"),
        ("map(&a, name)", "null"),
        ("sort(list)", "null"),
        ("to_number('[1]')", "null"),
        ("to_number('{}')", "null"),
        ("to_number(list)", "null"),
        ("keys(n)", "null"),
        ("abs(`-9007199254740993`)", "9007199254740993"),
        ("abs(f)", "2.5"),
        ("floor(f)", "-3"),
        ("ceil(f)", "-2"),
        ("floor(i)", "3"),
        ("sum(numbers)", "16"),
        ("avg(numbers)", "4"),
        ("abs(`18446744073709551615`)", "18446744073709551615"),
        ("max_by(`[{\"a\":1,\"b\":1},{\"a\":1,\"b\":2}]`, &a).b", "1"),
    ] {
        assert_eq!(evaluated(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn invalid_expressions_are_refused_with_their_place() {
    for (expression, message) in [
        ("", "empty"),
        ("  ", "empty"),
        ("a.", "character 3"),
        ("a b", "character 3"),
        ("é", "character 1"),
        ("'é' b", "character 5"),
        ("[", "character"),
        ("'open", "character 1"),
        ("a[", "character"),
        ("foo(", "character"),
        ("99999999999", "character 1"),
        ("exec(a)", "no function `exec`"),
        ("length()", "0 arguments"),
        ("length(a, b)", "2 arguments"),
        ("not_null()", "0 arguments"),
        ("map(a, b)", "argument 1"),
        ("sort_by(a, b)", "argument 2"),
        ("sort_by(&a, b)", "`&`"),
        ("length(&a)", "`&`"),
        ("&a", "`&`"),
        ("[&a, &b]", "`&`"),
        ("to_string([&a])", "`&`"),
        ("a[::0]", "step"),
        ("a[2147483647]", "1,000,000"),
        ("a[-2147483647]", "1,000,000"),
        ("a[1:3:2147483647]", "1,000,000"),
    ] {
        let error = Expression::compile(expression).expect_err(expression);
        assert!(error.contains(message), "{expression}: {error}");
    }
}

/// Runs a test on a stack of 512 kB, a quarter of what a worker has.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(test);
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn expressions_that_explode_are_refused_at_once() {
    on_a_small_stack(|| {
        for piece in [
            "(",
            "[",
            "{a:",
            "[?",
            "!",
            "&",
            "*.",
            "[*]",
            "a[?",
            "f(",
            "a.[",
            "[a,",
            "!(",
            "[0:",
            "[]",
            "a||(",
            "`[",
            "*.*",
            "! ",
            "[*].",
            "a[*].[*]",
            "&&",
            "||",
            "a==",
            "a|",
            "[@,@]|",
            "[[@,@],[@,@]]|",
            "(a)[*]",
            "*[*]",
            "a|b||c&&d==(",
            "a|b||c&&d==[*].[",
            "!(*[*].[",
            "{a:!*[*].",
            "a||b&&c!=f(",
            "[?a==[?",
        ] {
            for len in [50, 100, 400, 1_000, 100_000] {
                let mut expression = piece.repeat(len / piece.len());
                let result = Expression::compile(&expression);
                assert!(result.is_err() || len < 400, "{piece} {len}");
                expression.push('a');
                if let Ok(expression) = Expression::compile(&expression) {
                    let _ = expression.evaluate(&data(), &mut Budget::new());
                }
            }
        }
    });
}

#[test]
fn limits_of_an_expression() {
    let is_valid = |expression: &str| Expression::compile(expression).is_ok();
    assert!(is_valid(&"a".repeat(1_000)) && !is_valid(&"a".repeat(1_001)));
    let nested = |depth| ["(".repeat(depth), "a".to_owned(), ")".repeat(depth)].concat();
    assert!(is_valid(&nested(32)) && !is_valid(&nested(33)));
    assert!(
        is_valid("'(((((((((((((((((((((((((((((((((((((((((('")
            && is_valid("`\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"`")
    );
    let chain = |nodes: usize| ["a"].repeat(nodes.div_ceil(2)).join(".");
    assert!(is_valid(&chain(199)) && !is_valid(&chain(201)));
    let pipe = |count| vec!["[@,@]"; count].join("|");
    assert!(is_valid(&pipe(9)) && !is_valid(&pipe(10)));
    for (expression, expected) in [
        ("[[@,@,@,@,@,@,@,@,@,@],[@,@,@,@,@,@,@,@,@,@]]|[@,@,@,@,@,@,@,@,@,@]|[@,@,@,@]", true),
        (
            "[[@,@,@,@,@,@,@,@,@,@],[@,@,@,@,@,@,@,@,@,@]]|[@,@,@,@,@,@,@,@,@,@]|[@,@,@,@,@,@]",
            false,
        ),
        ("[@,@,@,@,@,@,@,@,@,@][*].[@,@,@,@,@,@,@,@,@,@][*].[@,@,@,@,@,@,@,@,@,@][*].[@,@]", false),
        ("map(&[@,@,@,@,@,@,@,@,@,@], [@,@,@,@,@,@,@,@,@,@])|[@,@,@,@,@,@,@,@,@,@,@]", false),
        (
            "{a:[@,@,@,@,@,@,@,@,@,@],b:@}|{a:[@,@,@,@,@,@,@,@,@,@],b:@}|{a:[@,@,@,@,@,@,@,@,@,@],b:@}",
            false,
        ),
    ] {
        assert_eq!(is_valid(expression), expected, "{expression}");
    }
}

#[test]
fn evaluation_stops_when_its_steps_are_used_up() {
    let list: Vec<_> = (0..100_000).map(|at| Rcvar::new(Variable::Number(at.into()))).collect();
    let list = Rcvar::new(Variable::Array(list));
    let text = Rcvar::new(Variable::String("x".repeat(1_000_000)));
    let double = ["[@,@]"; 9].join("|");
    let joined = ["join('',[@,@,@,@])"; 4].join("|");
    for (expression, data) in [
        (format!("{double}|[][][][][][][][][]"), &list),
        ("[@,@,@,@,@,@,@,@,@,@,@] == @".to_owned(), &list),
        (format!("{double}|to_string(@)"), &list),
        ("contains([@,@,@,@,@,@,@,@,@,@,@], @)".to_owned(), &list),
        ("map(&[@,@,@,@,@,@,@,@,@,@], @)".to_owned(), &list),
        ("sort_by(@, &@)".to_owned(), &list),
        (joined, &text),
        ("join(@, map(&'', `[1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3]`))".to_owned(), &text),
        ("[reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@),reverse(@)]".to_owned(), &text),
    ] {
        let compiled = Expression::compile(&expression).expect("within the static limits");
        let result = compiled.evaluate(data, &mut Budget::new());
        assert_eq!(result.err(), Some(LimitExceeded::Steps), "{expression}");
    }
    let projected = Expression::compile("[*]").expect("valid");
    assert!(projected.evaluate(&list, &mut Budget::new()).is_ok());
}

fn pieces() -> impl Strategy<Value = String> {
    let pieces = vec![
        "a",
        "b",
        "list",
        "numbers",
        "name",
        "@",
        "*",
        ".",
        "[",
        "]",
        "[]",
        "[*]",
        "[?",
        "[0]",
        "[-1]",
        "[::-1]",
        "[1:",
        "{",
        "}",
        "(",
        ")",
        ":",
        ",",
        "|",
        "||",
        "&&",
        "&",
        "!",
        "==",
        "<",
        "'x'",
        "`1`",
        "`[1]`",
        "\"a\"",
        "length(",
        "sort_by(",
        "map(&",
        "join('',",
        "to_string(",
        " ",
        "-1",
        "\\",
        "'",
        "`",
        "\"",
        "é",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..24)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_compiled_and_evaluated_without_a_panic(expression in prop_oneof![pieces(), any::<String>()]) {
        if let Ok(compiled) = Expression::compile(&expression) {
            let result = compiled.evaluate(&data(), &mut Budget::new());
            let mut text = String::new();
            if let Ok(value) = result {
                write!(text, "{value}").expect("written");
            }
        }
    }
}
