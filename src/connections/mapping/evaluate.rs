//! Interpreter of a JMESPath syntax tree. It does what the crate's does, but pays for each step.

use jmespath::ast::{Ast, Comparator};
use jmespath::{Rcvar, Variable};

use super::budget::{Budget, LimitExceeded};
use super::functions::{call, null, sort_by_keys, spend_sort};

/// Evaluates a node on a value. The tree has passed the checks of `limits`, which also bound the recursion.
pub(super) fn evaluate(
    data: &Rcvar,
    node: &Ast,
    budget: &mut Budget,
) -> Result<Rcvar, LimitExceeded> {
    budget.spend(1)?;
    match node {
        Ast::Identity { .. } => Ok(data.clone()),
        Ast::Field { name, .. } => Ok(data.get_field(name)),
        Ast::Literal { value, .. } => Ok(value.clone()),
        Ast::Index { idx, .. } => Ok(index(data, *idx)),
        Ast::Slice { start, stop, step, .. } => {
            budget.spend(data.as_array().map_or(0, Vec::len))?;
            Ok(data.slice(*start, *stop, *step).map_or_else(null, array))
        }
        Ast::Subexpr { lhs, rhs, .. } => {
            let left = evaluate(data, lhs, budget)?;
            evaluate(&left, rhs, budget)
        }
        Ast::Or { lhs, rhs, .. } => {
            let left = evaluate(data, lhs, budget)?;
            if left.is_truthy() { Ok(left) } else { evaluate(data, rhs, budget) }
        }
        Ast::And { lhs, rhs, .. } => {
            let left = evaluate(data, lhs, budget)?;
            if left.is_truthy() { evaluate(data, rhs, budget) } else { Ok(left) }
        }
        Ast::Not { node, .. } => {
            let value = evaluate(data, node, budget)?;
            Ok(Rcvar::new(Variable::Bool(!value.is_truthy())))
        }
        Ast::Condition { predicate, then, .. } => {
            if evaluate(data, predicate, budget)?.is_truthy() {
                evaluate(data, then, budget)
            } else {
                Ok(null())
            }
        }
        Ast::Comparison { comparator, lhs, rhs, .. } => {
            let (left, right) = (evaluate(data, lhs, budget)?, evaluate(data, rhs, budget)?);
            compare(&left, comparator, &right, budget)
        }
        Ast::ObjectValues { node, .. } => {
            let value = evaluate(data, node, budget)?;
            let Some(fields) = value.as_object() else { return Ok(null()) };
            budget.spend(fields.len())?;
            Ok(array(fields.values().cloned().collect()))
        }
        Ast::Projection { lhs, rhs, .. } => {
            let left = evaluate(data, lhs, budget)?;
            let Some(values) = left.as_array() else { return Ok(null()) };
            let mut projected = evaluate_each(values, rhs, budget)?;
            projected.retain(|value| !value.is_null());
            Ok(array(projected))
        }
        Ast::Flatten { node, .. } => flatten(&evaluate(data, node, budget)?, budget),
        Ast::MultiList { .. } | Ast::MultiHash { .. } if data.is_null() => Ok(null()),
        Ast::MultiList { elements, .. } => {
            let values = elements.iter().map(|element| evaluate(data, element, budget));
            Ok(array(values.collect::<Result<_, _>>()?))
        }
        Ast::MultiHash { elements, .. } => {
            let fields = elements.iter().map(|pair| {
                budget.spend_text(pair.key.len())?;
                Ok((pair.key.clone(), evaluate(data, &pair.value, budget)?))
            });
            Ok(Rcvar::new(Variable::Object(fields.collect::<Result<_, _>>()?)))
        }
        Ast::Function { name, args, .. } => call_function(data, name, args, budget),
        // Only as an argument of a function, which takes it apart.
        Ast::Expref { .. } => Ok(null()),
    }
}

fn array(values: Vec<Rcvar>) -> Rcvar {
    Rcvar::new(Variable::Array(values))
}

fn index(data: &Variable, index: i32) -> Rcvar {
    let distance = index.unsigned_abs() as usize;
    if index < 0 { data.get_negative_index(distance) } else { data.get_index(distance) }
}

fn evaluate_each(
    values: &[Rcvar],
    node: &Ast,
    budget: &mut Budget,
) -> Result<Vec<Rcvar>, LimitExceeded> {
    values.iter().map(|value| evaluate(value, node, budget)).collect()
}

fn compare(
    left: &Rcvar,
    comparator: &Comparator,
    right: &Rcvar,
    budget: &mut Budget,
) -> Result<Rcvar, LimitExceeded> {
    // Two of one type are compared to the end. Both may be shared, and much larger than what is in memory.
    if left.get_type() == right.get_type() {
        budget.spend_deep(left)?;
    }
    let result = left.compare(comparator, right);
    Ok(result.map_or_else(null, |result| Rcvar::new(Variable::Bool(result))))
}

fn flatten(value: &Rcvar, budget: &mut Budget) -> Result<Rcvar, LimitExceeded> {
    let Some(values) = value.as_array() else { return Ok(null()) };
    let mut flat = Vec::new();
    for value in values {
        match value.as_array() {
            Some(inner) => {
                budget.spend(inner.len() + 1)?;
                flat.extend(inner.iter().cloned());
            }
            None => {
                budget.spend(1)?;
                flat.push(value.clone());
            }
        }
    }
    Ok(array(flat))
}

fn call_function(
    data: &Rcvar,
    name: &str,
    args: &[Ast],
    budget: &mut Budget,
) -> Result<Rcvar, LimitExceeded> {
    let (list, expression) = match args {
        [Ast::Expref { ast, .. }, list] | [list, Ast::Expref { ast, .. }] => (list, ast),
        args => {
            let args = args.iter().map(|arg| evaluate(data, arg, budget));
            return call(name, &args.collect::<Result<Vec<_>, _>>()?, budget);
        }
    };
    let list = evaluate(data, list, budget)?;
    let Some(values) = list.as_array() else { return Ok(null()) };
    let results = evaluate_each(values, expression, budget)?;
    if name == "map" {
        return Ok(array(results));
    }
    spend_sort(&results, budget)?;
    let pairs = values.iter().cloned().zip(results).collect();
    let Some(sorted) = sort_by_keys(pairs) else { return Ok(null()) };
    Ok(match name {
        "sort_by" => array(sorted.into_iter().map(|(value, _)| value).collect()),
        "min_by" => sorted.into_iter().next().map_or_else(null, |(value, _)| value),
        // The first of several that are largest.
        _ => {
            let largest = sorted.last().map(|(_, key)| key.clone());
            let is_largest =
                |key: &Rcvar| largest.as_ref().is_some_and(|largest| key.cmp(largest).is_eq());
            let first = sorted.into_iter().find(|(_, key)| is_largest(key));
            first.map_or_else(null, |(value, _)| value)
        }
    })
}
