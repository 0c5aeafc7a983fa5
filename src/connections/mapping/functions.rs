//! The functions of expressions. What they do is limited by the budget, which they pay before they do it.

use std::sync::LazyLock;

use jmespath::functions::{
    AbsFn, AvgFn, CeilFn, ContainsFn, EndsWithFn, FloorFn, JoinFn, KeysFn, LengthFn, MaxFn,
    MergeFn, MinFn, NotNullFn, ReverseFn, SortFn, StartsWithFn, SumFn, ToArrayFn, TypeFn, ValuesFn,
};
use jmespath::{Context, Rcvar, Runtime, Variable};
use serde_json::Number;

use super::budget::{Budget, LimitExceeded};
use super::output::Output;

/// What a function takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    /// Minimum number of arguments.
    min_args: usize,
    /// Whether it takes more.
    is_variadic: bool,
    /// Which argument is an expression.
    pub(super) expression: Option<usize>,
}

impl Signature {
    /// The signature of a function. `None` if there is no such function.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (min_args, is_variadic, expression) = match name {
            "abs" | "avg" | "ceil" | "floor" | "keys" | "length" | "max" | "min" | "reverse"
            | "sort" | "sum" | "to_array" | "to_number" | "to_string" | "type" | "values" => {
                (1, false, None)
            }
            "contains" | "ends_with" | "join" | "starts_with" => (2, false, None),
            "merge" | "not_null" => (1, true, None),
            "map" => (2, false, Some(0)),
            "max_by" | "min_by" | "sort_by" => (2, false, Some(1)),
            _ => return None,
        };
        Some(Self { min_args, is_variadic, expression })
    }

    /// Whether it takes this many arguments.
    pub(super) fn takes(self, args: usize) -> bool {
        args == self.min_args || (self.is_variadic && args > self.min_args)
    }
}

/// The functions of the crate, which take no expressions.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = Runtime::new();
    macro_rules! register {
        ($($name:literal $function:ident),+) => {
            $(runtime.register_function($name, Box::new($function::new()));)+
        };
    }
    register! {
        "abs" AbsFn, "avg" AvgFn, "ceil" CeilFn, "contains" ContainsFn, "ends_with" EndsWithFn,
        "floor" FloorFn, "join" JoinFn, "keys" KeysFn, "length" LengthFn, "max" MaxFn, "merge" MergeFn,
        "min" MinFn, "not_null" NotNullFn, "reverse" ReverseFn, "sort" SortFn, "starts_with" StartsWithFn,
        "sum" SumFn, "to_array" ToArrayFn, "type" TypeFn, "values" ValuesFn
    }
    runtime
});

/// Calls a function that takes no expression. Arguments of a wrong type, such as a missing value, make it null.
pub(super) fn call(
    name: &str,
    args: &[Rcvar],
    budget: &mut Budget,
) -> Result<Rcvar, LimitExceeded> {
    for arg in args {
        budget.spend_shallow(arg)?;
    }
    match (name, args) {
        ("to_number", [value]) => return Ok(to_number(value)),
        ("to_string", [value]) => return to_string(value, budget),
        ("abs" | "ceil" | "floor", [value]) => {
            if let Some(integer) = integer_function(name, value) {
                return Ok(integer);
            }
        }
        ("contains", [list, value]) if value.is_array() || value.is_object() => {
            budget.spend_deep(list)?;
        }
        ("join", [glue, list]) => {
            let glue = glue.as_string().map_or(0, String::len);
            let count = list.as_array().map_or(0, Vec::len);
            budget.spend_text(glue.saturating_mul(count))?;
        }
        ("sort", [list]) => spend_sort(list.as_array().map_or(&[], |list| list), budget)?,
        _ => {}
    }
    let mut context = Context::new("", &RUNTIME);
    let function = RUNTIME.get_function(name);
    let result = function.and_then(|function| function.evaluate(args, &mut context).ok());
    Ok(result.map_or_else(null, as_integer))
}

/// Null.
pub(super) fn null() -> Rcvar {
    Rcvar::new(Variable::Null)
}

/// Pays for sorting by these keys.
pub(super) fn spend_sort(keys: &[Rcvar], budget: &mut Budget) -> Result<(), LimitExceeded> {
    let comparisons_each = keys.len().checked_ilog2().map_or(1, |log| log as usize + 1);
    budget.spend(keys.len().saturating_mul(comparisons_each))?;
    let bytes: usize = keys.iter().filter_map(|key| key.as_string()).map(String::len).sum();
    budget.spend_text(bytes.saturating_mul(comparisons_each))
}

/// Sorts by keys that are all numbers or all strings. `None` if they are not.
pub(super) fn sort_by_keys(mut pairs: Vec<(Rcvar, Rcvar)>) -> Option<Vec<(Rcvar, Rcvar)>> {
    let are_numbers = pairs.iter().all(|(_, key)| key.is_number());
    if !are_numbers && !pairs.iter().all(|(_, key)| key.is_string()) {
        return None;
    }
    pairs.sort_by(|(_, a), (_, b)| a.cmp(b));
    Some(pairs)
}

/// A number from its JSON notation. The crate's function would answer with any JSON that a text contains.
fn to_number(value: &Rcvar) -> Rcvar {
    match &**value {
        Variable::Number(_) => value.clone(),
        Variable::String(text) => {
            let number = serde_json::from_str::<Number>(text).ok();
            number.map_or_else(null, |number| Rcvar::new(Variable::Number(number)))
        }
        _ => null(),
    }
}

/// The JSON of a value, within the limits of a result.
fn to_string(value: &Rcvar, budget: &mut Budget) -> Result<Rcvar, LimitExceeded> {
    if value.is_string() {
        return Ok(value.clone());
    }
    budget.spend_deep(value)?;
    let mut output = Output::new();
    output.write(value)?;
    Ok(Rcvar::new(Variable::String(output.into_json())))
}

/// The function of an integer, which the crate would make a float.
fn integer_function(name: &str, value: &Rcvar) -> Option<Rcvar> {
    let Variable::Number(number) = &**value else { return None };
    match number.as_i64() {
        Some(integer) if name == "abs" => {
            Some(Rcvar::new(Variable::Number(integer.unsigned_abs().into())))
        }
        Some(_) => Some(value.clone()),
        None => number.is_u64().then(|| value.clone()),
    }
}

/// Largest float below which every integer is exact.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A float that is whole, as an integer: the sum of 1 and 2 is 3, not 3.0.
fn as_integer(value: Rcvar) -> Rcvar {
    let Variable::Number(number) = &*value else { return value };
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return value };
    if float.fract() != 0.0 || float.abs() >= MAX_EXACT {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range")]
    let integer = float as i64;
    Rcvar::new(Variable::Number(integer.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_has_a_function() {
        let own = ["map", "max_by", "min_by", "sort_by", "to_number", "to_string"];
        let mut all = Runtime::new();
        all.register_builtin_functions();
        let names = [
            "abs",
            "avg",
            "ceil",
            "contains",
            "ends_with",
            "floor",
            "join",
            "keys",
            "length",
            "map",
            "max",
            "max_by",
            "merge",
            "min",
            "min_by",
            "not_null",
            "reverse",
            "sort",
            "sort_by",
            "starts_with",
            "sum",
            "to_array",
            "to_number",
            "to_string",
            "type",
            "values",
        ];
        for name in names {
            assert!(Signature::of(name).is_some() && all.get_function(name).is_some(), "{name}");
            assert_ne!(RUNTIME.get_function(name).is_some(), own.contains(&name), "{name}");
        }
        assert!(Signature::of("exec").is_none());
    }
}
