//! The literals of a document against their types, and what else must be told early: what async-graphql's
//! validation would tell once for each of thousands of places, or not at all.

use std::collections::HashMap;

use async_graphql::parser::types::{
    Directive, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, Value};
use async_graphql_value::Value as Literal;

use super::coercion::{MOST_FAULTS, Places};
use super::faults::Faults;
use super::types::{Inputs, Types};
use crate::error::{ErrorCode, Failure};

/// A walk over the literals of a document.
pub struct Literals<'d> {
    types: &'d Types,
    /// Whether this part belongs to the operation whose variables count.
    pub notes: bool,
    /// Where its variables go.
    pub places: Places,
    /// What is wrong.
    pub faults: Vec<(Failure, Pos)>,
}

/// The fields of one level of the answer, by their keys and the types that they are asked of.
type Level<'d> = HashMap<(Option<&'d str>, &'d str), &'d Field>;

impl<'d> Literals<'d> {
    /// Nothing is known to be wrong.
    pub fn new(types: &'d Types) -> Self {
        Self { types, notes: true, places: Places::new(), faults: Vec::new() }
    }

    /// The fields of an operation or a fragment, and those below them.
    pub fn selection(&mut self, set: &'d SelectionSet, of: Option<&'d str>) {
        self.level(set, of, None, &mut Level::new());
    }

    /// `on` is the type that an inline fragment names, as the keys of a level have it.
    fn level(
        &mut self,
        set: &'d SelectionSet,
        of: Option<&'d str>,
        on: Option<&'d str>,
        level: &mut Level<'d>,
    ) {
        for item in &set.items {
            self.directives(item.node.directives());
            match &item.node {
                Selection::Field(field) => {
                    let pos = field.pos;
                    let field = &field.node;
                    self.overlap(field, on, level, pos);
                    let definition = of.and_then(|of| self.types.field(of, &field.name.node));
                    if let Some(definition) = definition {
                        let pos = field.name.pos;
                        self.arguments(&field.arguments, &definition.arguments, pos);
                    }
                    let below = definition.map(|definition| definition.of.as_str());
                    self.selection(&field.selection_set.node, below);
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|on| &*on.node.on.node);
                    self.level(&inline.node.selection_set.node, on.or(of), on, level);
                }
                // Its definition is walked by itself.
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// Two fields of one key must be the same, with the same arguments (section 5.3.2). async-graphql tells
    /// each pair, argument by argument: thousands of repetitions would be millions of errors.
    fn overlap(&mut self, field: &'d Field, on: Option<&'d str>, level: &mut Level<'d>, at: Pos) {
        let key = field.response_key().node.as_str();
        let Some(other) = level.get(&(on, key)) else {
            level.insert((on, key), field);
            return;
        };
        let is_same = other.name.node == field.name.node
            && other.arguments.len() == field.arguments.len()
            && other.arguments.iter().all(|(name, value)| {
                let same = field.get_argument(&name.node);
                same.is_some_and(|same| same.node == value.node)
            });
        if !is_same {
            self.fault(format!("{key}: Is asked for in two ways. Give one of them an alias."), at);
        }
    }

    /// What is said of an operation as a whole.
    pub fn operation(&mut self, operation: &'d OperationDefinition) {
        for definition in &operation.variable_definitions {
            let definition = &definition.node;
            if let Some(default) = definition.default_value() {
                let mut faults = Faults::default();
                faults.check(self.types, default, &definition.var_type.node, None);
                self.invalid(faults, &definition.name.node, definition.name.pos);
            }
        }
        self.directives(&operation.directives);
        self.selection(&operation.selection_set.node, self.types.root(operation.ty));
    }

    fn directives(&mut self, directives: &'d [Positioned<Directive>]) {
        for directive in directives {
            let (name, pos) = (&directive.node.name.node, directive.pos);
            match self.types.directive(name) {
                Some(inputs) => self.arguments(&directive.node.arguments, inputs, pos),
                None => self.fault(format!("There is no directive @{name}."), pos),
            }
            if directives.iter().filter(|other| other.node.name.node == *name).count() > 1 {
                self.fault(format!("@{name} stands here more than once."), pos);
            }
        }
    }

    /// A variable that may be null goes nowhere where null may not be (section 5.8.5).
    pub fn positions(&mut self, operation: &OperationDefinition) {
        let definitions = &operation.variable_definitions;
        let is_defined =
            |name: &Name| definitions.iter().any(|definition| definition.node.name.node == *name);
        if let Some(unknown) = self.places.keys().find(|name| !is_defined(name)) {
            let message = format!("There is no variable ${unknown}.");
            self.fault(message, operation.selection_set.pos);
        }
        for definition in definitions {
            let (definition, pos) = (&definition.node, definition.pos);
            let name = &definition.name.node;
            let may_be_null = definition.var_type.node.nullable
                && definition.default_value().is_none_or(|value| *value == Value::Null);
            let places = self.places.get(name).map_or(&[][..], Vec::as_slice);
            if may_be_null && places.iter().any(|place| place.needs_value) {
                self.fault(format!("${name} may be null, and goes where a value must be."), pos);
            }
            for directive in &definition.directives {
                self.fault(format!("@{} cannot stand here.", directive.node.name.node), pos);
            }
        }
    }

    fn fault(&mut self, message: String, at: Pos) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push((Failure::new(ErrorCode::GraphqlValidationFailed, message), at));
        }
    }

    fn arguments(
        &mut self,
        given: &'d [(Positioned<Name>, Positioned<Literal>)],
        inputs: &Inputs,
        at: Pos,
    ) {
        for (name, value) in given {
            if given.iter().filter(|(other, _)| other.node == name.node).count() > 1 {
                self.fault(format!("{}: Stands here more than once.", name.node), name.pos);
                return;
            }
            let Some(input) = inputs.get(name.node.as_str()) else {
                self.fault(format!("There is no argument {}.", name.node), name.pos);
                return;
            };
            let mut faults = Faults::default();
            faults.path.push(name.node.to_string());
            faults.check(self.types, &value.node, &input.ty, Some(input.has_default));
            for (variable, place) in std::mem::take(&mut faults.variables) {
                if !self.notes {
                    continue;
                }
                self.places.entry(variable).or_default().push(place);
            }
            self.invalid(faults, &name.node, value.pos);
        }
        let is_given = |wanted: &str| given.iter().any(|(name, _)| name.node == wanted);
        for (name, input) in inputs {
            if !input.ty.nullable && !input.has_default && !is_given(name) {
                self.fault(format!("{name}: Is missing."), at);
            }
        }
    }

    fn invalid(&mut self, faults: Faults<'_>, name: &str, at: Pos) {
        for (path, message) in faults.found {
            let place = if path.is_empty() { name.to_owned() } else { path.join(".") };
            self.fault(format!("{place}: {message}"), at);
        }
    }
}
