//! A compiled JMESPath expression.

use jmespath::Rcvar;
use jmespath::ast::Ast;

use super::budget::{Budget, LimitExceeded};
use super::evaluate::evaluate;
use super::limits::{check_text, check_tree};

/// A compiled expression, within its limits.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    tree: Ast,
}

impl Expression {
    /// Compiles an expression. The error says what is wrong, in a sentence.
    pub(super) fn compile(expression: &str) -> Result<Self, String> {
        check_text(expression)?;
        let tree = jmespath::parse(expression).map_err(|error| {
            let before = expression.get(..error.offset).unwrap_or(expression);
            format!("This is not JMESPath; see character {}.", before.chars().count() + 1)
        })?;
        check_tree(&tree)?;
        Ok(Self { tree })
    }

    /// Evaluates it on a value.
    pub(super) fn evaluate(
        &self,
        data: &Rcvar,
        budget: &mut Budget,
    ) -> Result<Rcvar, LimitExceeded> {
        evaluate(data, &self.tree, budget)
    }
}
