//! What a parsed document would cost, computed before anything validates or executes it.
//!
//! Fragments are counted each time they are spread, but walked once: async-graphql walks them each time,
//! so that a few hundred bytes of fragments that spread one another would keep a core busy for minutes.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Value, Variables};
use async_graphql_value::Value as Literal;

use super::types::Types;
use crate::api;
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, Failure};

/// How long a chain of fragments within fragments may be.
const LONGEST_CHAIN: usize = 16;
/// How many rows a page has when `first` does not say, and a list that has no `first`.
const PAGE: u64 = 25;
/// The most rows of a page.
const LARGEST_PAGE: u64 = api::LARGEST_PAGE.unsigned_abs() as u64;
/// The query that GraphiQL asks has some 200.
const MOST_INTROSPECTED: u64 = 400;
/// Validation walks fragments anew for each operation.
const MOST_OPERATIONS: usize = 50;

/// What a selection costs, with everything that it spreads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The fields of the answer, as `first` multiplies them.
    pub fields: u64,
    /// Fields, spreads and inline fragments as they are written, each as often as it is spread.
    selections: u64,
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
            selections: self.selections.saturating_add(other.selections),
            top: self.top.saturating_add(other.top),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
        }
    }

    /// A spread or an inline fragment around this.
    fn spread(self, directives: usize) -> Self {
        let around = Self { selections: 1, directives: count(directives), ..Self::default() };
        self.beside(around)
    }

    /// A field around this, that many times.
    fn field(self, field: &Field, times: u64) -> Self {
        Self {
            fields: self.fields.saturating_mul(times).saturating_add(1),
            selections: self.selections.saturating_add(1),
            top: 1,
            aliases: self.aliases.saturating_add(u64::from(field.alias.is_some())),
            directives: self.directives.saturating_add(count(field.directives.len())),
            depth: self.depth + 1,
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// What an operation costs, if no operation of its document asks for too much: validation walks them all.
///
/// # Errors
/// QUERY_TOO_COMPLEX, and GRAPHQL_VALIDATION_FAILED for fragments that spread themselves or nothing.
pub fn of(
    types: &Types,
    limits: &DocumentLimits,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<Cost, Failure> {
    let mut walk = Walk {
        types,
        variables,
        defaults: HashMap::new(),
        fragments: &document.fragments,
        known: HashMap::new(),
        chain: Vec::new(),
    };
    if document.operations.iter().count() > MOST_OPERATIONS {
        return Err(too_complex(format!(
            "The document has more than {MOST_OPERATIONS} operations."
        )));
    }
    let mut all = Cost::default();
    let mut used: HashSet<&str> = HashSet::new();
    for (_, one) in document.operations.iter() {
        walk.turn_to(&one.node);
        let cost = walk.selection(&one.node.selection_set.node, types.root(one.node.ty))?;
        all = all.beside(cost);
        used.extend(walk.known.keys());
        for (what, count, most) in [
            ("selections", all.selections, limits.selections),
            ("fields in its answer", cost.fields, limits.cost),
            ("fields at the root", cost.top, limits.root_fields),
            ("aliases", all.aliases, limits.aliases),
            ("directives", all.directives, limits.directives),
            ("levels", cost.depth, limits.depth),
        ] {
            if count > most {
                return Err(too_complex(format!("The operation has more than {most} {what}.")));
            }
        }
    }
    // One that nothing spreads was not counted.
    if let Some(unused) = document.fragments.keys().find(|name| !used.contains(name.as_str())) {
        return Err(invalid(format!("The fragment {unused} is not used.")));
    }
    walk.turn_to(operation);
    walk.selection(&operation.selection_set.node, types.root(operation.ty))
}

struct Walk<'d> {
    types: &'d Types,
    variables: &'d Variables,
    /// Those of the variables, of the operation that is walked.
    defaults: HashMap<&'d str, &'d Value>,
    fragments: &'d HashMap<Name, Positioned<FragmentDefinition>>,
    known: HashMap<&'d str, Cost>,
    /// The fragments that are being walked, each within the one before.
    chain: Vec<&'d str>,
}

impl<'d> Walk<'d> {
    /// Each operation has variables of its own, so a fragment may cost something else in it.
    fn turn_to(&mut self, operation: &'d OperationDefinition) {
        let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
        self.defaults = definitions
            .filter_map(|definition| Some((&*definition.name.node, definition.default_value()?)))
            .collect();
        self.known.clear();
    }

    fn selection(&mut self, set: &'d SelectionSet, of: Option<&'d str>) -> Result<Cost, Failure> {
        let mut cost = Cost::default();
        for item in &set.items {
            let one = match &item.node {
                Selection::Field(field) => self.field(&field.node, of)?,
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    let of = inline.type_condition.as_ref().map_or(of, |on| Some(&on.node.on.node));
                    self.selection(&inline.selection_set.node, of)?.spread(inline.directives.len())
                }
                Selection::FragmentSpread(spread) => {
                    let spread = &spread.node;
                    self.fragment(&spread.fragment_name.node)?.spread(spread.directives.len())
                }
            };
            cost = cost.beside(one);
        }
        Ok(cost)
    }

    fn field(&mut self, field: &'d Field, of: Option<&'d str>) -> Result<Cost, Failure> {
        let definition = of.and_then(|of| self.types.field(of, &field.name.node));
        let below = self
            .selection(&field.selection_set.node, definition.map(|definition| &*definition.of))?;
        let times = match definition {
            Some(definition) if definition.is_paged() => self.rows(field),
            Some(definition) if definition.is_list => PAGE,
            _ => 1,
        };
        let cost = below.field(field, times);
        // The schema is all lists of lists, and no type of ours says how long they are.
        let is_introspection = matches!(field.name.node.as_str(), "__schema" | "__type");
        if is_introspection && cost.selections > MOST_INTROSPECTED {
            return Err(too_complex(format!(
                "Introspection has more than {MOST_INTROSPECTED} selections."
            )));
        }
        Ok(cost)
    }

    /// How many rows a page has.
    fn rows(&self, field: &Field) -> u64 {
        let first = field.get_argument("first").and_then(|value| match &value.node {
            Literal::Variable(name) => {
                let given = self.variables.get(name).or(self.defaults.get(&**name).copied());
                match given {
                    Some(Value::Number(number)) => number.as_u64(),
                    _ => None,
                }
            }
            Literal::Number(number) => number.as_u64(),
            _ => None,
        });
        // Beyond, it is refused where it is read.
        first.unwrap_or(PAGE).clamp(1, LARGEST_PAGE)
    }

    fn fragment(&mut self, name: &'d str) -> Result<Cost, Failure> {
        if let Some(cost) = self.known.get(name) {
            return Ok(*cost);
        }
        let Some(fragment) = self.fragments.get(name) else {
            return Err(invalid(format!("There is no fragment {name}.")));
        };
        if self.chain.contains(&name) {
            return Err(invalid(format!("The fragment {name} spreads itself.")));
        }
        if self.chain.len() >= LONGEST_CHAIN {
            return Err(too_complex(format!(
                "Fragments are nested more than {LONGEST_CHAIN} deep."
            )));
        }
        self.chain.push(name);
        let of = &fragment.node.type_condition.node.on.node;
        let cost = self.selection(&fragment.node.selection_set.node, Some(of))?;
        self.chain.pop();
        self.known.insert(name, cost);
        Ok(cost)
    }
}

fn too_complex(message: String) -> Failure {
    Failure::new(ErrorCode::QueryTooComplex, message)
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::GraphqlValidationFailed, message)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    const SDL: &str = "
        type Query { a: Query, b: Int, list(first: Int, after: String): Page, all: [Query!]!,
            board(first: Int! = 10): Board }
        type Board { id: ID!, entries: [Query!]! }
        type Page { nodes: [Query!]!, pageInfo: PageInfo! }
        type PageInfo { hasNextPage: Boolean! }
        schema { query: Query }
    ";

    fn cost(document: &str, variables: serde_json::Value) -> Result<u64, ErrorCode> {
        let document = parse_query(document).expect("it parses");
        let (_, operation) = document.operations.iter().next().expect("an operation");
        let limits = Config::from_values([].into()).expect("good defaults").graphql.documents;
        let variables = Variables::from_json(variables);
        of(&Types::read(SDL), &limits, &document, &operation.node, &variables)
            .map(|cost| cost.fields)
            .map_err(|failure| failure.code)
    }

    fn checked(document: &str) -> Result<(), ErrorCode> {
        cost(document, json!({})).map(|_| ())
    }

    /// Fragments that each spread the next so many times. The last selects `leaf`.
    fn bomb(levels: usize, spreads: usize, leaf: &str) -> String {
        let fragments = (0..levels).map(|level| {
            let next = format!("...F{} ", level + 1).repeat(spreads);
            format!("fragment F{level} on Query {{ {next} }} ")
        });
        let fragments = fragments.collect::<String>();
        format!("{{ ...F0 }} {fragments} fragment F{levels} on Query {{ {leaf} }}")
    }

    #[test]
    fn each_bound_holds_and_what_is_below_passes() {
        let fields = |n: usize| format!("{{ a {{ {} }} }}", "b ".repeat(n));
        let empty = |n: usize| format!("{{ a {{ {} b }} }}", "... { b } ".repeat(n));
        let roots = |n: usize| format!("{{ {} }}", "b ".repeat(n));
        let aliases = |n: usize| format!("{{ a {{ {} }} }}", "x: b ".repeat(n));
        let directives = |n: usize| format!("{{ a {} {{ b }} }}", "@include(if: true) ".repeat(n));
        let levels = |n: usize| format!("{}b{}", "{ a ".repeat(n - 1) + "{", "}".repeat(n));
        for (good, bad) in [
            (fields(1_999), fields(2_000)),
            (empty(999), empty(1_000)),
            (roots(20), roots(21)),
            (aliases(50), aliases(51)),
            (directives(100), directives(101)),
            (levels(20), levels(21)),
            (bomb(15, 1, "b"), bomb(16, 1, "b")),
            (bomb(4, 2, "b"), bomb(5, 2, "b")),
        ] {
            assert_eq!(checked(&good), Ok(()), "{good:.60}");
            assert_eq!(checked(&bad), Err(ErrorCode::QueryTooComplex), "{bad:.60}");
        }
    }

    #[test]
    fn a_bomb_is_counted_without_being_set_off() {
        let too_complex = Err(ErrorCode::QueryTooComplex);
        assert_eq!(checked(&bomb(15, 60, "b")), too_complex);
        let elsewhere = bomb(15, 60, "b").replacen('{', "query A { b } query B {", 1);
        assert_eq!(checked(&elsewhere), too_complex, "in an operation that is not asked for");
        let inline = format!("{{ {} b {} }}", "... { ".repeat(14), "b } ".repeat(14));
        assert_eq!(checked(&inline), Ok(()));
    }

    #[test]
    fn a_fragment_of_itself_or_of_nothing_is_refused() {
        let invalid = Err(ErrorCode::GraphqlValidationFailed);
        let itself = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert_eq!(checked(itself), invalid);
        assert_eq!(checked("{ ...Unknown }"), invalid);
        assert_eq!(checked(&bomb(15, 60, "...Unknown")), invalid, "however often it is spread");
    }

    #[test]
    fn a_list_without_first_is_as_long_as_a_page() {
        assert_eq!(cost("{ all { b } }", json!({})), Ok(26));
        assert_eq!(checked("{ all { all { all { b } } } }"), Err(ErrorCode::QueryTooComplex));
    }

    #[test]
    fn what_validation_would_walk_without_need_is_refused() {
        let unused = "{ b } fragment F on Query { b }";
        assert_eq!(checked(unused), Err(ErrorCode::GraphqlValidationFailed));
        let many =
            |n: usize| (0..n).map(|n| format!("query Q{n} {{ b }} ")).collect::<Vec<_>>().concat();
        assert_eq!(checked(&many(50)), Ok(()));
        assert_eq!(checked(&many(51)), Err(ErrorCode::QueryTooComplex));
        let introspection =
            |n: usize| format!("{{ __schema {{ types {{ {} }} }} }}", "name ".repeat(n));
        assert_eq!(checked(&introspection(398)), Ok(()));
        assert_eq!(checked(&introspection(399)), Err(ErrorCode::QueryTooComplex));
    }

    #[test]
    fn a_page_costs_as_much_as_its_rows() {
        let page = |first: &str| format!("query Q($n: Int) {{ list{first} {{ nodes {{ b }} }} }}");
        assert_eq!(cost(&page("(first: 10)"), json!({})), Ok(21));
        assert_eq!(cost(&page("(first: $n)"), json!({ "n": 7 })), Ok(15));
        assert_eq!(cost(&page(""), json!({})), Ok(51), "25 rows when it does not say");
        assert_eq!(cost(&page("(first: -5)"), json!({})), Ok(51));
        assert_eq!(cost(&page("(first: 101)"), json!({})), Ok(201), "refused where it is read");
        assert_eq!(cost(&page("(first: $n)"), json!({ "n": 1_u64 << 63 })), Ok(201));
        let default = "query Q($n: Int = 100) { list(first: $n) { nodes { b } } }";
        assert_eq!(cost(default, json!({})), Ok(201));
        assert_eq!(cost(default, json!({ "n": 2 })), Ok(5));
        let nested = "{ list(first: 100) { nodes { list(first: 100) { nodes { b } } } } }";
        assert_eq!(cost(nested, json!({})), Err(ErrorCode::QueryTooComplex));
        let board = "{ board(first: 100) { entries { b } } }";
        assert_eq!(cost(board, json!({})), Ok(201), "the rows of what is no connection");
        let by_fragment = "{ list(first: 2) { ...P } } fragment P on Page { nodes { b } }";
        assert_eq!(cost(by_fragment, json!({})), Ok(5));
    }
}
