//! What a parsed document would cost, computed before anything validates or executes it.
//!
//! Fragments are counted each time they are spread, but walked once: async-graphql walks them each time,
//! so that a few hundred bytes of fragments that spread one another would keep a core busy for minutes.

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::Positioned;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
};

use crate::error::{ErrorCode, Failure, Result};

/// Every field counts, introspection's too; a GraphiQL page's own query has some 200.
const MOST_FIELDS: u64 = 2_000;
const MOST_ROOT_FIELDS: u64 = 20;
const MOST_ALIASES: u64 = 50;
const MOST_DIRECTIVES: u64 = 100;
/// Introspection's own query is 15 deep.
const DEEPEST: u64 = 20;
/// How long a chain of fragments within fragments may be.
const LONGEST_CHAIN: usize = 32;

/// What a selection costs, with everything that it spreads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    fields: u64,
    /// Fields at the top of the selection.
    top: u64,
    aliases: u64,
    directives: u64,
    depth: u64,
}

impl Cost {
    /// One selection beside another.
    fn beside(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            top: self.top.saturating_add(other.top),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
        }
    }

    fn directives(count: usize) -> Self {
        Self { directives: u64::try_from(count).unwrap_or(u64::MAX), ..Self::default() }
    }
}

/// Refuses an operation that asks for too much.
///
/// # Errors
/// QUERY_TOO_COMPLEX
pub fn check(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
) -> Result<(), Failure> {
    let mut walk =
        Walk { fragments: &document.fragments, known: HashMap::new(), chain: Vec::new() };
    let cost = walk.selection(&operation.selection_set.node)?;
    for (what, count, most) in [
        ("fields", cost.fields, MOST_FIELDS),
        ("fields at the root", cost.top, MOST_ROOT_FIELDS),
        ("aliases", cost.aliases, MOST_ALIASES),
        ("directives", cost.directives, MOST_DIRECTIVES),
        ("levels", cost.depth, DEEPEST),
    ] {
        if count > most {
            return Err(too_complex(format!("The operation has more than {most} {what}.")));
        }
    }
    Ok(())
}

struct Walk<'d> {
    fragments: &'d HashMap<Name, Positioned<FragmentDefinition>>,
    known: HashMap<&'d str, Cost>,
    /// The fragments that are being walked, each within the one before.
    chain: Vec<&'d str>,
}

impl<'d> Walk<'d> {
    fn selection(&mut self, set: &'d SelectionSet) -> Result<Cost, Failure> {
        let mut cost = Cost::default();
        for item in &set.items {
            let one = match &item.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let below = self.selection(&field.selection_set.node)?;
                    Cost {
                        fields: below.fields.saturating_add(1),
                        top: 1,
                        aliases: below.aliases.saturating_add(u64::from(field.alias.is_some())),
                        depth: below.depth + 1,
                        ..below.beside(Cost::directives(field.directives.len()))
                    }
                }
                Selection::InlineFragment(inline) => {
                    let below = self.selection(&inline.node.selection_set.node)?;
                    below.beside(Cost::directives(inline.node.directives.len()))
                }
                Selection::FragmentSpread(spread) => {
                    let below = self.fragment(&spread.node.fragment_name.node)?;
                    below.beside(Cost::directives(spread.node.directives.len()))
                }
            };
            cost = cost.beside(one);
        }
        Ok(cost)
    }

    fn fragment(&mut self, name: &'d str) -> Result<Cost, Failure> {
        if let Some(cost) = self.known.get(name) {
            return Ok(*cost);
        }
        // An unknown one is for validation to tell.
        let Some(fragment) = self.fragments.get(name) else { return Ok(Cost::default()) };
        if self.chain.contains(&name) {
            let message = format!("The fragment {name} spreads itself.");
            return Err(Failure::new(ErrorCode::GraphqlValidationFailed, message));
        }
        if self.chain.len() >= LONGEST_CHAIN {
            return Err(too_complex(format!(
                "Fragments are nested more than {LONGEST_CHAIN} deep."
            )));
        }
        self.chain.push(name);
        let cost = self.selection(&fragment.node.selection_set.node)?;
        self.chain.pop();
        self.known.insert(name, cost);
        Ok(cost)
    }
}

fn too_complex(message: String) -> Failure {
    Failure::new(ErrorCode::QueryTooComplex, message)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn checked(document: &str) -> Result<(), ErrorCode> {
        let document = parse_query(document).expect("it parses");
        let (_, operation) = document.operations.iter().next().expect("an operation");
        check(&document, &operation.node).map_err(|failure| failure.code)
    }

    /// Fragments that each spread the next so many times.
    fn bomb(levels: usize, spreads: usize) -> String {
        let fragments = (0..levels).map(|level| {
            let next = format!("...F{} ", level + 1).repeat(spreads);
            format!("fragment F{level} on Query {{ {next} }} ")
        });
        format!("{{ ...F0 }} {} fragment F{levels} on Query {{ a }}", fragments.collect::<String>())
    }

    #[test]
    fn each_bound_holds_and_what_is_below_passes() {
        let fields = |n: usize| format!("{{ a {{ {} }} }}", "b ".repeat(n));
        let roots = |n: usize| format!("{{ {} }}", "a ".repeat(n));
        let aliases = |n: usize| format!("{{ a {{ {} }} }}", "x: b ".repeat(n));
        let directives = |n: usize| format!("{{ a {} }}", "@include(if: true) ".repeat(n));
        let levels = |n: usize| format!("{}{}", "{ a ".repeat(n), "}".repeat(n));
        for (good, bad) in [
            (fields(1_999), fields(2_000)),
            (roots(20), roots(21)),
            (aliases(50), aliases(51)),
            (directives(100), directives(101)),
            (levels(20), levels(21)),
            (bomb(31, 1), bomb(32, 1)),
            (bomb(4, 2), bomb(5, 2)),
        ] {
            assert_eq!(checked(&good), Ok(()), "{good:.60}");
            assert_eq!(checked(&bad), Err(ErrorCode::QueryTooComplex), "{bad:.60}");
        }
    }

    #[test]
    fn a_bomb_is_counted_without_being_set_off() {
        assert_eq!(checked(&bomb(30, 60)), Err(ErrorCode::QueryTooComplex));
    }

    #[test]
    fn a_fragment_within_itself_is_refused() {
        let document = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert_eq!(checked(document), Err(ErrorCode::GraphqlValidationFailed));
        assert_eq!(checked("{ ...Unknown }"), Ok(()));
    }
}
