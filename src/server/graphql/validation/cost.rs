//! Cost of an operation, computed before anything validates or executes it.
//!
//! Fragments count each time they are spread, but are visited once. async-graphql visits them each time: a few hundred
//! bytes of fragments that spread one another would keep a core busy for minutes.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Field, FragmentSpread, InlineFragment, OperationDefinition, SelectionSet,
};
use async_graphql::{Positioned, Value, Variables};
use async_graphql_value::Value as Literal;

use super::document::Document;
use super::schema_index::SchemaIndex;
use super::visitor::{Visitor, type_condition, walk_selection_set};
use crate::api;
use crate::config::graphql::DocumentLimits;
use crate::error::{ErrorCode, UserError};

/// How deeply fragments may be nested in fragments.
const MAX_FRAGMENT_DEPTH: usize = 16;
/// Assumed length of a page without `first`, and of a list that has no such argument.
const DEFAULT_PAGE_SIZE: u64 = api::DEFAULT_PAGE_SIZE.unsigned_abs() as u64;
const MAX_PAGE_SIZE: u64 = api::MAX_PAGE_SIZE.unsigned_abs() as u64;
/// GraphiQL's introspection query has about 200.
const MAX_INTROSPECTION_SELECTIONS: u64 = 400;
/// Validation visits fragments again for each operation.
const MAX_OPERATIONS: usize = 50;

/// The cost of a selection, including the fragments that it spreads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Fields of the response, multiplied by page sizes.
    pub fields: u64,
    /// Fields, spreads and inline fragments, those of a fragment each time it is spread.
    selections: u64,
    /// Fields at the top level of the selection.
    root_fields: u64,
    aliases: u64,
    directives: u64,
    depth: u64,
}

impl Cost {
    fn add(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            selections: self.selections.saturating_add(other.selections),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
        }
    }

    /// The cost of a spread or an inline fragment with this content.
    fn in_fragment(self, directives: usize) -> Self {
        self.add(Self { selections: 1, directives: to_u64(directives), ..Self::default() })
    }

    /// The cost of a field with this selection set, for this number of rows. The field itself counts as `weight` fields.
    fn in_field(self, field: &Field, rows: u64, weight: u64) -> Self {
        Self {
            fields: self.fields.saturating_mul(rows).saturating_add(weight),
            selections: self.selections.saturating_add(1),
            root_fields: 1,
            aliases: self.aliases.saturating_add(u64::from(field.alias.is_some())),
            directives: self.directives.saturating_add(to_u64(field.directives.len())),
            depth: self.depth + 1,
        }
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Computes the cost of the selected operation. Checks that all operations of the document are within the limits,
/// because async-graphql validates all of them.
///
/// # Errors
/// QUERY_TOO_COMPLEX; GRAPHQL_VALIDATION_FAILED for fragments that are unknown, unused or part of a cycle.
pub fn check_operation_cost(
    schema: &SchemaIndex,
    limits: &DocumentLimits,
    document: &Document,
    variables: &Variables,
) -> Result<Cost, UserError> {
    if document.operations().len() > MAX_OPERATIONS {
        return Err(too_complex(format!(
            "The document has more than {MAX_OPERATIONS} operations."
        )));
    }
    let mut visitor = CostVisitor {
        schema,
        variables,
        document,
        defaults: HashMap::new(),
        memo: HashMap::new(),
        path: Vec::new(),
        cost: Cost::default(),
    };
    let mut selected = Cost::default();
    let mut total = Cost::default();
    let mut used: HashSet<&str> = HashSet::new();
    for operation in document.operations() {
        let cost = visitor.operation(operation)?;
        if std::ptr::eq(operation, document.operation()) {
            selected = cost;
        }
        total = total.add(cost);
        used.extend(visitor.memo.keys());
        for (name, count, max) in [
            ("selections", total.selections, limits.max_selections),
            ("fields in its answer", cost.fields, limits.max_cost),
            ("fields at the root", cost.root_fields, limits.max_root_fields),
            ("aliases", total.aliases, limits.max_aliases),
            ("directives", total.directives, limits.max_directives),
            ("levels", cost.depth, limits.max_depth),
        ] {
            if count > max {
                return Err(too_complex(format!("The operation has more than {max} {name}.")));
            }
        }
    }
    // The cost of a fragment that no operation spreads was not counted.
    if let Some(unused) = document.fragments().keys().find(|name| !used.contains(name.as_str())) {
        return Err(invalid(format!("The fragment {unused} is not used.")));
    }
    Ok(selected)
}

struct CostVisitor<'d> {
    schema: &'d SchemaIndex,
    variables: &'d Variables,
    document: &'d Document,
    /// The defaults of the operation's variables.
    defaults: HashMap<&'d str, &'d Value>,
    /// The costs of the fragments that were visited for this operation.
    memo: HashMap<&'d str, Cost>,
    /// The fragments that are being visited, each inside the one before.
    path: Vec<&'d str>,
    /// The cost of the selection set that is being visited, so far.
    cost: Cost,
}

impl<'d> Visitor<'d> for CostVisitor<'d> {
    type Error = UserError;

    fn visit_field(
        &mut self,
        field: &'d Positioned<Field>,
        parent_type: Option<&'d str>,
    ) -> Result<(), UserError> {
        let (schema, field) = (self.schema, &field.node);
        let definition = parent_type.and_then(|parent| schema.field(parent, &field.name.node));
        let field_type = definition.map(|definition| &*definition.type_name);
        let content = self.selection_set(&field.selection_set.node, field_type)?;
        let rows = match definition {
            Some(definition) if definition.is_paged() => self.page_size(field),
            Some(definition) if definition.is_list => DEFAULT_PAGE_SIZE,
            _ => 1,
        };
        let weight = definition.map_or(1, |definition| definition.weight);
        let cost = content.in_field(field, rows, weight);
        // The types of introspection are not in the schema's text: their lists of lists count as single objects.
        let is_introspection = matches!(field.name.node.as_str(), "__schema" | "__type");
        if is_introspection && cost.selections > MAX_INTROSPECTION_SELECTIONS {
            return Err(too_complex(format!(
                "Introspection has more than {MAX_INTROSPECTION_SELECTIONS} selections."
            )));
        }
        self.cost = self.cost.add(cost);
        Ok(())
    }

    fn visit_inline_fragment(
        &mut self,
        inline: &'d InlineFragment,
        parent_type: Option<&'d str>,
    ) -> Result<(), UserError> {
        let parent_type = type_condition(inline).or(parent_type);
        let content = self.selection_set(&inline.selection_set.node, parent_type)?;
        self.cost = self.cost.add(content.in_fragment(inline.directives.len()));
        Ok(())
    }

    fn visit_fragment_spread(&mut self, spread: &'d FragmentSpread) -> Result<(), UserError> {
        let content = self.fragment(&spread.fragment_name.node)?;
        self.cost = self.cost.add(content.in_fragment(spread.directives.len()));
        Ok(())
    }
}

impl<'d> CostVisitor<'d> {
    fn operation(&mut self, operation: &'d OperationDefinition) -> Result<Cost, UserError> {
        self.enter_operation(operation);
        self.selection_set(&operation.selection_set.node, self.schema.root_type(operation.ty))
    }

    /// Forgets the costs of fragments: they depend on the variables of the operation.
    fn enter_operation(&mut self, operation: &'d OperationDefinition) {
        let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
        self.defaults = definitions
            .filter_map(|definition| Some((&*definition.name.node, definition.default_value()?)))
            .collect();
        self.memo.clear();
    }

    fn selection_set(
        &mut self,
        set: &'d SelectionSet,
        parent_type: Option<&'d str>,
    ) -> Result<Cost, UserError> {
        let outer = std::mem::take(&mut self.cost);
        walk_selection_set(self, set, parent_type)?;
        Ok(std::mem::replace(&mut self.cost, outer))
    }

    fn fragment(&mut self, name: &'d str) -> Result<Cost, UserError> {
        if let Some(cost) = self.memo.get(name) {
            return Ok(*cost);
        }
        let Some(fragment) = self.document.fragment(name) else {
            return Err(invalid(format!("There is no fragment {name}.")));
        };
        if self.path.contains(&name) {
            return Err(invalid(format!("The fragment {name} spreads itself.")));
        }
        if self.path.len() >= MAX_FRAGMENT_DEPTH {
            return Err(too_complex(format!(
                "Fragments are nested more than {MAX_FRAGMENT_DEPTH} deep."
            )));
        }
        self.path.push(name);
        let fragment_type = &fragment.type_condition.node.on.node;
        let cost = self.selection_set(&fragment.selection_set.node, Some(fragment_type))?;
        self.path.pop();
        self.memo.insert(name, cost);
        Ok(cost)
    }

    /// The number of rows that a page is requested with.
    fn page_size(&self, field: &Field) -> u64 {
        let first = field.get_argument("first").and_then(|value| match &value.node {
            Literal::Variable(name) => {
                let value = self.variables.get(name).or(self.defaults.get(&**name).copied());
                match value {
                    Some(Value::Number(number)) => number.as_u64(),
                    _ => None,
                }
            }
            Literal::Number(number) => number.as_u64(),
            _ => None,
        });
        // The field itself rejects a larger page.
        first.unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE)
    }
}

fn too_complex(message: String) -> UserError {
    UserError::new(ErrorCode::QueryTooComplex, message)
}

fn invalid(message: String) -> UserError {
    UserError::new(ErrorCode::GraphqlValidationFailed, message)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    const SDL: &str = "
        type Query { a: Query, b: Int, call: CallResult, list(first: Int, after: String): Page, all: [Query!]!,
            board(first: Int! = 10): Board }
        type Board { id: ID!, entries: [Query!]! }
        type Page { nodes: [Query!]!, pageInfo: PageInfo! }
        type PageInfo { hasNextPage: Boolean! }
        type CallResult { body: Int, status: Int }
        schema { query: Query }
    ";

    /// The cost of the first operation.
    fn cost(document: &str, variables: serde_json::Value) -> Result<u64, ErrorCode> {
        let parsed = parse_query(document).expect("it parses");
        let name = parsed.operations.iter().next().and_then(|(name, _)| name.cloned());
        let document = Document::select(parsed, name.as_deref()).expect("an operation");
        let limits = Config::from_values([].into()).expect("good defaults").graphql.document_limits;
        let (schema, variables) = (SchemaIndex::from_sdl(SDL), Variables::from_json(variables));
        check_operation_cost(&schema, &limits, &document, &variables)
            .map(|cost| cost.fields)
            .map_err(|error| error.code)
    }

    fn check(document: &str) -> Result<(), ErrorCode> {
        cost(document, json!({})).map(|_| ())
    }

    /// Fragments that each spread the next one this many times. The last selects `leaf`.
    fn bomb(levels: usize, spreads: usize, leaf: &str) -> String {
        let fragments = (0..levels).map(|level| {
            let next = format!("...F{} ", level + 1).repeat(spreads);
            format!("fragment F{level} on Query {{ {next} }} ")
        });
        let fragments = fragments.collect::<String>();
        format!("{{ ...F0 }} {fragments} fragment F{levels} on Query {{ {leaf} }}")
    }

    #[test]
    fn documents_within_a_limit_pass_and_one_more_is_rejected() {
        let fields = |n: usize| format!("{{ a {{ {} }} }}", "b ".repeat(n));
        let inline_fragments = |n: usize| format!("{{ a {{ {} b }} }}", "... { b } ".repeat(n));
        let root_fields = |n: usize| format!("{{ {} }}", "b ".repeat(n));
        let aliases = |n: usize| format!("{{ a {{ {} }} }}", "x: b ".repeat(n));
        let directives = |n: usize| format!("{{ a {} {{ b }} }}", "@include(if: true) ".repeat(n));
        let levels = |n: usize| format!("{}b{}", "{ a ".repeat(n - 1) + "{", "}".repeat(n));
        for (good, bad) in [
            (fields(1_999), fields(2_000)),
            (inline_fragments(999), inline_fragments(1_000)),
            (root_fields(20), root_fields(21)),
            (aliases(50), aliases(51)),
            (directives(100), directives(101)),
            (levels(20), levels(21)),
            (bomb(15, 1, "b"), bomb(16, 1, "b")),
            (bomb(4, 2, "b"), bomb(5, 2, "b")),
        ] {
            assert_eq!(check(&good), Ok(()), "{good:.60}");
            assert_eq!(check(&bad), Err(ErrorCode::QueryTooComplex), "{bad:.60}");
        }
    }

    #[test]
    fn large_fields_count_as_many() {
        assert_eq!(cost("{ call { status } }", json!({})), Ok(2));
        assert_eq!(cost("{ call { body } }", json!({})), Ok(1_501));
        let bodies = |count| check(&format!("{{ call {{ {} }} }}", "a: body ".repeat(count)));
        assert_eq!((bodies(6), bodies(7)), (Ok(()), Err(ErrorCode::QueryTooComplex)));
    }

    #[test]
    fn fragment_bombs_are_counted_without_expanding_them() {
        let too_complex = Err(ErrorCode::QueryTooComplex);
        assert_eq!(check(&bomb(15, 60, "b")), too_complex);
        let other_operation = bomb(15, 60, "b").replacen('{', "query A { b } query B {", 1);
        assert_eq!(check(&other_operation), too_complex, "in any operation");
        let inline = format!("{{ {} b {} }}", "... { ".repeat(14), "b } ".repeat(14));
        assert_eq!(check(&inline), Ok(()));
    }

    #[test]
    fn fragment_cycles_and_unknown_fragments_are_rejected() {
        let invalid = Err(ErrorCode::GraphqlValidationFailed);
        let cycle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert_eq!(check(cycle), invalid);
        assert_eq!(check("{ ...Unknown }"), invalid);
        assert_eq!(check(&bomb(15, 60, "...Unknown")), invalid, "visited once");
    }

    #[test]
    fn lists_without_first_count_as_a_page() {
        assert_eq!(cost("{ all { b } }", json!({})), Ok(26));
        assert_eq!(check("{ all { all { all { b } } } }"), Err(ErrorCode::QueryTooComplex));
    }

    #[test]
    fn unused_fragments_and_too_many_operations_are_rejected() {
        let unused = "{ b } fragment F on Query { b }";
        assert_eq!(check(unused), Err(ErrorCode::GraphqlValidationFailed));
        let operations =
            |n: usize| (0..n).map(|n| format!("query Q{n} {{ b }} ")).collect::<Vec<_>>().concat();
        assert_eq!(check(&operations(50)), Ok(()));
        assert_eq!(check(&operations(51)), Err(ErrorCode::QueryTooComplex));
        let introspection =
            |n: usize| format!("{{ __schema {{ types {{ {} }} }} }}", "name ".repeat(n));
        assert_eq!(check(&introspection(398)), Ok(()));
        assert_eq!(check(&introspection(399)), Err(ErrorCode::QueryTooComplex));
    }

    #[test]
    fn pages_cost_as_much_as_their_rows() {
        let page = |first: &str| format!("query Q($n: Int) {{ list{first} {{ nodes {{ b }} }} }}");
        assert_eq!(cost(&page("(first: 10)"), json!({})), Ok(21));
        assert_eq!(cost(&page("(first: $n)"), json!({ "n": 7 })), Ok(15));
        assert_eq!(cost(&page(""), json!({})), Ok(51), "25 rows without first");
        assert_eq!(cost(&page("(first: -5)"), json!({})), Ok(51));
        assert_eq!(cost(&page("(first: 101)"), json!({})), Ok(201), "the field rejects it");
        assert_eq!(cost(&page("(first: $n)"), json!({ "n": 1_u64 << 63 })), Ok(201));
        let with_default = "query Q($n: Int = 100) { list(first: $n) { nodes { b } } }";
        assert_eq!(cost(with_default, json!({})), Ok(201));
        assert_eq!(cost(with_default, json!({ "n": 2 })), Ok(5));
        let nested = "{ list(first: 100) { nodes { list(first: 100) { nodes { b } } } } }";
        assert_eq!(cost(nested, json!({})), Err(ErrorCode::QueryTooComplex));
        let board = "{ board(first: 100) { entries { b } } }";
        assert_eq!(cost(board, json!({})), Ok(201), "lists in a page that is not a connection");
        let in_fragment = "{ list(first: 2) { ...P } } fragment P on Page { nodes { b } }";
        assert_eq!(cost(in_fragment, json!({})), Ok(5));
    }
}
