//! The limits of an expression: of its text before it is parsed, because the parser recurses, and of its syntax tree.

use std::iter::Peekable;
use std::str::Bytes;

use jmespath::ast::Ast;

use super::functions::Signature;

/// Maximum length of an expression in characters.
const MAX_EXPRESSION_LEN: usize = 1_000;
/// How deep brackets may be nested.
const MAX_BRACKET_DEPTH: usize = 32;
/// How often the parser may call itself, which takes up to 7 kB of the stack each time.
const MAX_RECURSIONS: usize = 48;
/// Maximum number of nodes of the syntax tree.
const MAX_NODES: usize = 200;
/// Maximum number of values that multi-selects make of one. Those that are nested or piped multiply.
const MAX_MULTIPLE: usize = 1_000;
/// Largest index, and largest number of a slice.
const MAX_INDEX: u32 = 1_000_000;

/// Checks the text of an expression. It may still be no JMESPath.
pub(super) fn check_text(expression: &str) -> Result<(), &'static str> {
    if expression.trim().is_empty() {
        return Err("The expression is empty.");
    }
    if expression.chars().count() > MAX_EXPRESSION_LEN {
        return Err("The expression is longer than 1,000 characters.");
    }
    // For each open bracket, how often the parser has called itself since.
    let mut recursions = vec![0_usize];
    let mut bytes = expression.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let mut is_next = |expected| bytes.next_if_eq(&expected).is_some();
        let level = recursions.len() - 1;
        match byte {
            b'"' | b'\'' | b'`' => skip_quoted(&mut bytes, byte),
            b'[' | b'{' | b'(' => {
                // A projection goes on behind its brackets.
                recursions[level] += 1;
                recursions.push(0);
            }
            b']' | b'}' | b')' if level > 0 => _ = recursions.pop(),
            b',' | b':' => recursions[level] = 0,
            // Operators by how strongly they bind: the parser returns to the weakest before it goes on.
            b'|' => recursions[level] = if is_next(b'|') { 2 } else { 1 },
            b'&' if is_next(b'&') => recursions[level] = 3,
            b'!' if is_next(b'=') => recursions[level] = 4,
            b'=' | b'<' | b'>' => recursions[level] = 4,
            b'*' | b'&' | b'!' => recursions[level] += 1,
            _ => {}
        }
        if recursions.len() - 1 > MAX_BRACKET_DEPTH {
            return Err("The expression has brackets that are nested deeper than 32 levels.");
        }
        if recursions.iter().sum::<usize>() > MAX_RECURSIONS {
            return Err("The expression is nested too deep.");
        }
    }
    Ok(())
}

/// Skips the rest of a quoted text, in which a backslash escapes.
fn skip_quoted(bytes: &mut Peekable<Bytes<'_>>, quote: u8) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            byte if byte == quote => return,
            _ => {}
        }
    }
}

/// Checks the syntax tree of an expression.
pub(super) fn check_tree(tree: &Ast) -> Result<(), String> {
    let mut nodes = 0;
    let multiple = check_node(tree, &mut nodes)?;
    if multiple > MAX_MULTIPLE {
        return Err("The expression multiplies what it selects by more than 1,000: nest or pipe fewer lists and objects.".to_owned());
    }
    Ok(())
}

/// Checks a node and what is below. Returns how many values its multi-selects make of one.
fn check_node(node: &Ast, nodes: &mut usize) -> Result<usize, String> {
    *nodes += 1;
    if *nodes > MAX_NODES {
        return Err("The expression has more than 200 parts.".to_owned());
    }
    Ok(match node {
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Literal { .. } => 1,
        Ast::Index { idx, .. } => {
            check_index(Some(*idx))?;
            1
        }
        Ast::Slice { start, stop, step, .. } => {
            [*start, *stop, Some(*step)].into_iter().try_for_each(check_index)?;
            if *step == 0 {
                return Err("The step of a slice is 0.".to_owned());
            }
            1
        }
        Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => {
            check_node(lhs, nodes)?.max(check_node(rhs, nodes)?)
        }
        Ast::Condition { predicate, then, .. } => {
            check_node(predicate, nodes)?.max(check_node(then, nodes)?)
        }
        Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => {
            check_node(node, nodes)?
        }
        Ast::Projection { lhs, rhs, .. } | Ast::Subexpr { lhs, rhs, .. } => {
            check_node(lhs, nodes)?.saturating_mul(check_node(rhs, nodes)?)
        }
        Ast::MultiList { elements, .. } => sum(elements.iter(), nodes)?,
        Ast::MultiHash { elements, .. } => sum(elements.iter().map(|pair| &pair.value), nodes)?,
        Ast::Function { name, args, .. } => check_function(name, args, nodes)?,
        Ast::Expref { .. } => {
            return Err("`&` stands where no function takes an expression.".to_owned());
        }
    })
}

fn sum<'a>(elements: impl Iterator<Item = &'a Ast>, nodes: &mut usize) -> Result<usize, String> {
    let mut sum = 0_usize;
    for element in elements {
        sum = sum.saturating_add(check_node(element, nodes)?);
    }
    Ok(sum.max(1))
}

fn check_function(name: &str, args: &[Ast], nodes: &mut usize) -> Result<usize, String> {
    let Some(signature) = Signature::of(name) else {
        return Err(format!("There is no function `{name}`."));
    };
    if !signature.takes(args.len()) {
        return Err(format!("The function `{name}` does not take {} arguments.", args.len()));
    }
    let mut product = 1_usize;
    for (position, arg) in args.iter().enumerate() {
        let multiple = match (arg, signature.expression == Some(position)) {
            (Ast::Expref { ast, .. }, true) => check_node(ast, nodes)?,
            (_, true) => {
                let position = position + 1;
                return Err(format!(
                    "The function `{name}` takes an expression, with `&`, as argument {position}."
                ));
            }
            (arg, false) => check_node(arg, nodes)?,
        };
        product = product.saturating_mul(multiple);
    }
    Ok(product)
}

/// Larger numbers overflow in a slice.
fn check_index(index: Option<i32>) -> Result<(), String> {
    match index {
        Some(index) if index.unsigned_abs() > MAX_INDEX => {
            Err("An index or a number of a slice is beyond 1,000,000.".to_owned())
        }
        _ => Ok(()),
    }
}
