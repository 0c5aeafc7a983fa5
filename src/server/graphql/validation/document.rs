//! A parsed document and the operation of it that runs. Every check sees a request through this type.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread,
    InlineFragment, OperationDefinition, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::visitor::{Arguments, Visitor, VisitorMut, walk_selection_set, walk_selection_set_mut};
use crate::error::{ErrorCode, UserError};

/// A document and its selected operation.
#[derive(Debug)]
pub struct Document {
    parsed: ExecutableDocument,
    /// The name of the selected operation. `None` if the only operation is anonymous.
    operation_name: Option<Name>,
}

impl Document {
    /// Selects the operation of this name, or without a name the only one.
    ///
    /// # Errors
    /// OPERATION_RESOLUTION_FAILURE
    pub fn select(parsed: ExecutableDocument, name: Option<&str>) -> Result<Self, UserError> {
        let mut operations = parsed.operations.iter();
        let selected = match name {
            Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name == wanted)),
            None => operations.next().filter(|_| parsed.operations.iter().len() == 1),
        };
        let operation_name = selected.map(|(name, _)| name.cloned()).ok_or_else(|| {
            let message = "Name one of the document's operations with operationName.";
            UserError::new(ErrorCode::OperationResolutionFailure, message)
        })?;
        Ok(Self { parsed, operation_name })
    }

    /// The selected operation.
    pub fn operation(&self) -> &OperationDefinition {
        let operation = match (&self.parsed.operations, &self.operation_name) {
            (DocumentOperations::Single(operation), _) => Some(operation),
            (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
            (DocumentOperations::Multiple(_), None) => None,
        };
        &operation.expect("it was selected").node
    }

    /// The selected operation, to change it.
    pub fn operation_mut(&mut self) -> &mut OperationDefinition {
        let operation = match (&mut self.parsed.operations, &self.operation_name) {
            (DocumentOperations::Single(operation), _) => Some(operation),
            (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(name),
            (DocumentOperations::Multiple(_), None) => None,
        };
        &mut operation.expect("it was selected").node
    }

    /// All operations, the selected one among them.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = &OperationDefinition> {
        self.parsed.operations.iter().map(|(_, operation)| &operation.node)
    }

    /// Removes the operations that do not run.
    pub fn remove_other_operations(&mut self) {
        if let DocumentOperations::Multiple(operations) = &mut self.parsed.operations {
            operations.retain(|name, _| Some(name) == self.operation_name.as_ref());
        }
    }

    /// Frees the unused capacity of the selected operation: thousands of subscriptions keep theirs in memory.
    pub fn shrink_to_fit(&mut self) {
        Shrink.visit_selection_set(&mut self.operation_mut().selection_set.node);
    }

    /// All fragments, by name.
    pub fn fragments(&self) -> &HashMap<Name, Positioned<FragmentDefinition>> {
        &self.parsed.fragments
    }

    /// A fragment.
    pub fn fragment(&self, name: &str) -> Option<&FragmentDefinition> {
        self.parsed.fragments.get(name).map(|fragment| &fragment.node)
    }

    /// The selection sets of all fragments, to change them.
    pub fn fragment_sets_mut(&mut self) -> impl Iterator<Item = &mut SelectionSet> {
        self.parsed.fragments.values_mut().map(|fragment| &mut fragment.node.selection_set.node)
    }

    /// The fragments that the selected operation spreads, directly or through other fragments.
    pub fn reachable_fragments(&self) -> HashSet<&str> {
        let set = &self.operation().selection_set.node;
        let mut collector =
            FragmentCollector { document: self, reachable: HashSet::new(), pending: vec![set] };
        while let Some(set) = collector.pending.pop() {
            let Ok(()) = walk_selection_set(&mut collector, set, None);
        }
        collector.reachable
    }

    /// The top level of the selected operation.
    pub fn root_selection(&self) -> RootSelection<'_> {
        let set = &self.operation().selection_set.node;
        let mut collector = RootCollector {
            document: self,
            root: RootSelection::default(),
            spread: HashSet::new(),
            pending: vec![set],
        };
        while let Some(set) = collector.pending.pop() {
            let Ok(()) = walk_selection_set(&mut collector, set, None);
        }
        collector.root
    }

    /// The document for the executor.
    pub fn into_parsed(self) -> ExecutableDocument {
        self.parsed
    }
}

/// The top level of an operation, through fragments. Each fragment is visited once.
#[derive(Debug, Default)]
pub struct RootSelection<'d> {
    /// The fields.
    pub fields: Vec<&'d Positioned<Field>>,
    /// Whether a field, an inline fragment or a spread has @skip or @include.
    pub is_conditional: bool,
    /// Whether a fragment is spread more than once, so that its fields are selected again.
    pub repeats_fragment: bool,
}

impl RootSelection<'_> {
    /// The names of the fields, each once.
    pub fn field_names(&self) -> Vec<Name> {
        let mut names = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let name = &field.node.name.node;
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether a field has an argument of this name.
    pub fn has_argument(&self, name: &str) -> bool {
        let mut arguments = self.fields.iter().flat_map(|field| &field.node.arguments);
        arguments.any(|(argument, _)| argument.node.as_str() == name)
    }
}

struct RootCollector<'d> {
    document: &'d Document,
    root: RootSelection<'d>,
    spread: HashSet<&'d str>,
    /// Selection sets of fragments that are still to be visited.
    pending: Vec<&'d SelectionSet>,
}

impl<'d> Visitor<'d> for RootCollector<'d> {
    type Error = Infallible;

    fn visit_directives(
        &mut self,
        directives: &'d [Positioned<Directive>],
    ) -> Result<(), Infallible> {
        self.root.is_conditional |= directives
            .iter()
            .any(|directive| matches!(directive.node.name.node.as_str(), "skip" | "include"));
        Ok(())
    }

    fn visit_field(
        &mut self,
        field: &'d Positioned<Field>,
        _: Option<&'d str>,
    ) -> Result<(), Infallible> {
        self.root.fields.push(field);
        Ok(())
    }

    fn visit_inline_fragment(
        &mut self,
        inline: &'d InlineFragment,
        _: Option<&'d str>,
    ) -> Result<(), Infallible> {
        self.pending.push(&inline.selection_set.node);
        Ok(())
    }

    fn visit_fragment_spread(&mut self, spread: &'d FragmentSpread) -> Result<(), Infallible> {
        let name = spread.fragment_name.node.as_str();
        if let Some(fragment) = self.document.fragment(name) {
            match self.spread.insert(name) {
                true => self.pending.push(&fragment.selection_set.node),
                false => self.root.repeats_fragment = true,
            }
        }
        Ok(())
    }
}

struct FragmentCollector<'d> {
    document: &'d Document,
    reachable: HashSet<&'d str>,
    /// Selection sets of fragments that are still to be visited.
    pending: Vec<&'d SelectionSet>,
}

impl<'d> Visitor<'d> for FragmentCollector<'d> {
    type Error = Infallible;

    fn visit_field(
        &mut self,
        field: &'d Positioned<Field>,
        _: Option<&'d str>,
    ) -> Result<(), Infallible> {
        walk_selection_set(self, &field.node.selection_set.node, None)
    }

    fn visit_fragment_spread(&mut self, spread: &'d FragmentSpread) -> Result<(), Infallible> {
        let name = spread.fragment_name.node.as_str();
        if let Some(fragment) = self.document.fragment(name)
            && self.reachable.insert(name)
        {
            self.pending.push(&fragment.selection_set.node);
        }
        Ok(())
    }
}

struct Shrink;

impl VisitorMut for Shrink {
    fn visit_selection_set(&mut self, set: &mut SelectionSet) {
        set.items.shrink_to_fit();
        walk_selection_set_mut(self, set);
    }

    fn visit_arguments(&mut self, arguments: &mut Arguments) {
        arguments.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn select(text: &str, name: Option<&str>) -> Result<Document, UserError> {
        Document::select(parse_query(text).expect("it parses"), name)
    }

    #[test]
    fn an_operation_is_selected_by_its_name_or_as_the_only_one() {
        for (text, name, field) in [
            ("{ a }", None, Some("a")),
            ("query A { a }", None, Some("a")),
            ("query A { a }", Some("A"), Some("a")),
            ("query A { a } query B { b }", Some("B"), Some("b")),
            ("{ a }", Some("A"), None),
            ("query A { a } query B { b }", None, None),
            ("query A { a } query B { b }", Some("C"), None),
        ] {
            let selected = select(text, name).ok().map(|mut document| {
                let names = document.root_selection().field_names();
                document.remove_other_operations();
                assert_eq!(document.operations().len(), 1, "{text}");
                assert_eq!(document.operation_mut().selection_set.node.items.len(), 1);
                names[0].to_string()
            });
            assert_eq!(selected.as_deref(), field, "{text} {name:?}");
        }
        let error = select("{ a }", Some("A")).expect_err("there is no operation A");
        assert_eq!(error.code, ErrorCode::OperationResolutionFailure);
    }

    #[test]
    fn root_fields_are_found_through_fragments() {
        let text = "{ a { x } ...F ... on Query { b a } c: b }
                    fragment F on Query { d { y } ...G } fragment G on Query { e ...F }";
        let document = select(text, None).expect("an operation");
        let root = document.root_selection();
        let mut names = root.field_names().iter().map(ToString::to_string).collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "d", "e"]);
        assert_eq!(root.fields.len(), 6, "one for each time that a field is written");
        assert!(root.repeats_fragment && !root.is_conditional);
    }

    #[test]
    fn conditions_count_at_the_top_level_only() {
        for (text, is_conditional) in [
            ("{ a { b @skip(if: true) } }", false),
            ("{ a @include(if: true) }", true),
            ("{ ... @skip(if: true) { a } }", true),
            ("{ ...F } fragment F on Query { a @skip(if: true) }", true),
            ("{ a { ...F } } fragment F on Query { a @skip(if: true) }", false),
        ] {
            let document = select(text, None).expect("an operation");
            assert_eq!(document.root_selection().is_conditional, is_conditional, "{text}");
        }
    }

    #[test]
    fn fragments_are_reachable_through_fields_and_other_fragments() {
        let text = "query A { a { ...F } ... { a { ...G } } } query B { ...Other }
                    fragment F on Query { a { ...H } } fragment G on Query { a ...G }
                    fragment H on Query { a ...F } fragment Other on Query { a ...F }";
        let document = select(text, Some("A")).expect("an operation");
        let mut reachable = document.reachable_fragments().into_iter().collect::<Vec<_>>();
        reachable.sort_unstable();
        assert_eq!(reachable, ["F", "G", "H"]);
    }
}
