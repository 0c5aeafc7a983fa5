//! Validates literals, arguments and directives before execution. async-graphql would report one error per
//! occurrence, thousands of them, or none.

use std::collections::HashMap;
use std::convert::Infallible;

use async_graphql::parser::types::{
    Directive, Field, FragmentDefinition, FragmentSpread, InlineFragment, OperationDefinition,
    SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, Value};
use async_graphql_value::Value as Literal;

use super::request_error::{MAX_ERRORS, RequestError};
use super::schema_index::{InputDefinitions, SchemaIndex};
use super::value_checker::ValueChecker;
use super::variable_usage::VariableUsages;
use super::visitor::{Visitor, type_condition, walk_inline_fragment, walk_selection_set};
use crate::error::{ErrorCode, UserError};

/// Visits each operation and fragment of a document once.
pub struct LiteralVisitor<'d> {
    schema: &'d SchemaIndex,
    /// Whether variable usages are recorded: in the operation that runs, and what it spreads.
    pub record_usages: bool,
    /// The recorded usages.
    pub usages: VariableUsages,
    /// The errors, at most [`MAX_ERRORS`].
    pub errors: Vec<RequestError>,
    /// The fields of the selection set that is visited.
    fields: FieldsByKey<'d>,
    /// The type condition of the inline fragment that is visited.
    condition: Option<&'d str>,
}

/// The fields of a selection set, by type condition and response key.
type FieldsByKey<'d> = HashMap<(Option<&'d str>, &'d str), &'d Field>;

impl<'d> Visitor<'d> for LiteralVisitor<'d> {
    type Error = Infallible;

    fn visit_directives(
        &mut self,
        directives: &'d [Positioned<Directive>],
    ) -> Result<(), Infallible> {
        self.check_directives(directives);
        Ok(())
    }

    fn visit_field(
        &mut self,
        field: &'d Positioned<Field>,
        parent_type: Option<&'d str>,
    ) -> Result<(), Infallible> {
        let (field, position) = (&field.node, field.pos);
        self.check_field_merge(field, position);
        let schema = self.schema;
        let definition = parent_type.and_then(|parent| schema.field(parent, &field.name.node));
        if let Some(definition) = definition {
            self.check_arguments(&field.arguments, &definition.arguments, field.name.pos);
        }
        let field_type = definition.map(|definition| definition.type_name.as_str());
        self.check_selection_set(&field.selection_set.node, field_type);
        Ok(())
    }

    fn visit_inline_fragment(
        &mut self,
        inline: &'d InlineFragment,
        parent_type: Option<&'d str>,
    ) -> Result<(), Infallible> {
        let outer = std::mem::replace(&mut self.condition, type_condition(inline));
        walk_inline_fragment(self, inline, parent_type)?;
        self.condition = outer;
        Ok(())
    }

    /// The definition of the fragment is visited by itself.
    fn visit_fragment_spread(&mut self, _: &'d FragmentSpread) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<'d> LiteralVisitor<'d> {
    /// A visitor that has visited nothing.
    pub fn new(schema: &'d SchemaIndex) -> Self {
        Self {
            schema,
            record_usages: true,
            usages: VariableUsages::new(),
            errors: Vec::new(),
            fields: FieldsByKey::new(),
            condition: None,
        }
    }

    /// Checks an operation: defaults of its variables, directives and selections.
    pub fn check_operation(&mut self, operation: &'d OperationDefinition) {
        for definition in &operation.variable_definitions {
            let definition = &definition.node;
            if let Some(default) = definition.default_value() {
                let mut checker = ValueChecker::default();
                checker.check(self.schema, default, &definition.var_type.node, false);
                self.add_value_errors(checker, &definition.name.node, definition.name.pos);
            }
        }
        self.check_directives(&operation.directives);
        self.check_selection_set(
            &operation.selection_set.node,
            self.schema.root_type(operation.ty),
        );
    }

    /// Checks a fragment.
    pub fn check_fragment(&mut self, fragment: &'d FragmentDefinition) {
        let fragment_type = &fragment.type_condition.node.on.node;
        self.check_selection_set(&fragment.selection_set.node, Some(fragment_type));
    }

    /// Checks that no variable of an operation is passed to where its type does not fit because of null (section
    /// 5.8.5), and that all of them are defined.
    pub fn check_variable_usages(&mut self, operation: &OperationDefinition) {
        let definitions = &operation.variable_definitions;
        let is_defined =
            |name: &Name| definitions.iter().any(|definition| definition.node.name.node == *name);
        if let Some(undefined) = self.usages.keys().find(|name| !is_defined(name)) {
            let message = format!("There is no variable ${undefined}.");
            self.add_error(message, operation.selection_set.pos);
        }
        for definition in definitions {
            let (definition, position) = (&definition.node, definition.pos);
            let name = &definition.name.node;
            let is_nullable = definition.var_type.node.nullable
                && definition.default_value().is_none_or(|value| *value == Value::Null);
            let usages = self.usages.get(name).map_or(&[][..], Vec::as_slice);
            if is_nullable && usages.iter().any(|usage| usage.requires_value) {
                let message = format!("${name} may be null, and goes where a value must be.");
                self.add_error(message, position);
            }
            for directive in &definition.directives {
                let message = format!("@{} cannot stand here.", directive.node.name.node);
                self.add_error(message, position);
            }
        }
    }

    fn check_selection_set(&mut self, set: &'d SelectionSet, parent_type: Option<&'d str>) {
        if set.items.is_empty() {
            return;
        }
        let outer_fields = std::mem::take(&mut self.fields);
        let outer_condition = self.condition.take();
        let Ok(()) = walk_selection_set(self, set, parent_type);
        self.fields = outer_fields;
        self.condition = outer_condition;
    }

    /// Checks that fields with the same response key are the same, with the same arguments (section 5.3.2).
    /// async-graphql compares all pairs, argument by argument: thousands of repetitions would be millions of errors.
    fn check_field_merge(&mut self, field: &'d Field, position: Pos) {
        let key = field.response_key().node.as_str();
        let Some(other) = self.fields.get(&(self.condition, key)) else {
            self.fields.insert((self.condition, key), field);
            return;
        };
        let is_same = other.name.node == field.name.node
            && other.arguments.len() == field.arguments.len()
            && other.arguments.iter().all(|(name, value)| {
                let argument = field.get_argument(&name.node);
                argument.is_some_and(|argument| argument.node == value.node)
            });
        if !is_same {
            let message = format!("{key}: Is asked for in two ways. Give one of them an alias.");
            self.add_error(message, position);
        }
    }

    fn check_directives(&mut self, directives: &'d [Positioned<Directive>]) {
        for directive in directives {
            let (name, position) = (&directive.node.name.node, directive.pos);
            match self.schema.directive_arguments(name) {
                Some(definitions) => {
                    self.check_arguments(&directive.node.arguments, definitions, position);
                }
                None => self.add_error(format!("There is no directive @{name}."), position),
            }
            if directives.iter().filter(|other| other.node.name.node == *name).count() > 1 {
                self.add_error(format!("@{name} stands here more than once."), position);
            }
        }
    }

    fn check_arguments(
        &mut self,
        arguments: &'d [(Positioned<Name>, Positioned<Literal>)],
        definitions: &InputDefinitions,
        position: Pos,
    ) {
        for (name, value) in arguments {
            if arguments.iter().filter(|(other, _)| other.node == name.node).count() > 1 {
                self.add_error(format!("{}: Stands here more than once.", name.node), name.pos);
                return;
            }
            let Some(definition) = definitions.get(name.node.as_str()) else {
                self.add_error(format!("There is no argument {}.", name.node), name.pos);
                return;
            };
            let mut checker = ValueChecker::default();
            checker.path.push(name.node.to_string());
            checker.check(self.schema, &value.node, &definition.ty, definition.has_default);
            if self.record_usages {
                for (variable, usage) in std::mem::take(&mut checker.variable_usages) {
                    self.usages.entry(variable).or_default().push(usage);
                }
            }
            self.add_value_errors(checker, &name.node, value.pos);
        }
        let is_present = |wanted: &str| arguments.iter().any(|(name, _)| name.node == wanted);
        for (name, definition) in definitions {
            if definition.is_required() && !is_present(name) {
                self.add_error(format!("{name}: Is missing."), position);
            }
        }
    }

    fn add_value_errors(&mut self, checker: ValueChecker<'_>, name: &str, position: Pos) {
        for (path, message) in checker.errors {
            let path = if path.is_empty() { name.to_owned() } else { path.join(".") };
            self.add_error(format!("{path}: {message}"), position);
        }
    }

    fn add_error(&mut self, message: String, position: Pos) {
        if self.errors.len() < MAX_ERRORS {
            let error = UserError::new(ErrorCode::GraphqlValidationFailed, message);
            self.errors.push(RequestError::at(error, position));
        }
    }
}
