//! Traversal of selection sets: [`Visitor`] reads, and descends into a field only if it calls a walk function;
//! [`VisitorMut`] changes, and descends by default. Fragment spreads are not followed: each visitor decides whether it
//! visits the fragment.

use async_graphql::parser::types::{
    Directive, Field, FragmentSpread, InlineFragment, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value as Literal;

/// Visits the selections of a document. `parent_type` is the name of the type that a selection belongs to, unless
/// the type is unknown or the visitor does not need types.
pub trait Visitor<'d> {
    /// What ends the traversal early.
    type Error;

    /// The directives of a selection, before the selection itself.
    fn visit_directives(&mut self, _: &'d [Positioned<Directive>]) -> Result<(), Self::Error> {
        Ok(())
    }

    /// A field. Its selection set is only visited if this calls [`walk_selection_set`].
    fn visit_field(
        &mut self,
        field: &'d Positioned<Field>,
        parent_type: Option<&'d str>,
    ) -> Result<(), Self::Error>;

    /// An inline fragment.
    fn visit_inline_fragment(
        &mut self,
        inline: &'d InlineFragment,
        parent_type: Option<&'d str>,
    ) -> Result<(), Self::Error> {
        walk_inline_fragment(self, inline, parent_type)
    }

    /// A fragment spread.
    fn visit_fragment_spread(&mut self, spread: &'d FragmentSpread) -> Result<(), Self::Error>;
}

/// Visits the selections of a set, in the order of the document.
pub fn walk_selection_set<'d, V: Visitor<'d> + ?Sized>(
    visitor: &mut V,
    set: &'d SelectionSet,
    parent_type: Option<&'d str>,
) -> Result<(), V::Error> {
    for selection in &set.items {
        visitor.visit_directives(selection.node.directives())?;
        match &selection.node {
            Selection::Field(field) => visitor.visit_field(field, parent_type)?,
            Selection::InlineFragment(inline) => {
                visitor.visit_inline_fragment(&inline.node, parent_type)?;
            }
            Selection::FragmentSpread(spread) => visitor.visit_fragment_spread(&spread.node)?,
        }
    }
    Ok(())
}

/// Visits the selections of an inline fragment.
pub fn walk_inline_fragment<'d, V: Visitor<'d> + ?Sized>(
    visitor: &mut V,
    inline: &'d InlineFragment,
    parent_type: Option<&'d str>,
) -> Result<(), V::Error> {
    let set = &inline.selection_set.node;
    walk_selection_set(visitor, set, type_condition(inline).or(parent_type))
}

/// The type that an inline fragment names.
pub fn type_condition(inline: &InlineFragment) -> Option<&str> {
    inline.type_condition.as_ref().map(|condition| &*condition.node.on.node)
}

/// Arguments of a field or a directive.
pub type Arguments = Vec<(Positioned<Name>, Positioned<Literal>)>;

/// Changes the selections of a document. Every method descends unless it is overridden.
pub trait VisitorMut {
    /// The selections of an operation, a fragment or a field.
    fn visit_selection_set(&mut self, set: &mut SelectionSet) {
        walk_selection_set_mut(self, set);
    }

    /// The directives of an operation or a selection.
    fn visit_directives(&mut self, directives: &mut Vec<Positioned<Directive>>) {
        for directive in directives {
            self.visit_arguments(&mut directive.node.arguments);
        }
    }

    /// The arguments of a field or a directive.
    fn visit_arguments(&mut self, _: &mut Arguments) {}
}

/// Visits directives, arguments and selection sets of the selections of a set.
pub fn walk_selection_set_mut<V: VisitorMut + ?Sized>(visitor: &mut V, set: &mut SelectionSet) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                visitor.visit_directives(&mut field.node.directives);
                visitor.visit_arguments(&mut field.node.arguments);
                visitor.visit_selection_set(&mut field.node.selection_set.node);
            }
            Selection::InlineFragment(inline) => {
                visitor.visit_directives(&mut inline.node.directives);
                visitor.visit_selection_set(&mut inline.node.selection_set.node);
            }
            Selection::FragmentSpread(spread) => {
                visitor.visit_directives(&mut spread.node.directives);
            }
        }
    }
}
