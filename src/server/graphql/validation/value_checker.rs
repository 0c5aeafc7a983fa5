//! Checks a value, literal or variable, against its input type.

use std::collections::HashSet;

use async_graphql::Name;
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{BaseType, Type};

use super::request_error::MAX_ERRORS;
use super::schema_index::{InputObject, SchemaIndex, TypeDefinition};
use super::values::{InputValue, ValueKind, scalar_error};
use super::variable_usage::VariableUsage;

/// Checks one value, and collects its errors, variables and files.
#[derive(Default)]
pub struct ValueChecker<'f> {
    /// The path to the value that is being checked.
    pub path: Vec<String>,
    /// The errors: path and message.
    pub errors: Vec<(Vec<String>, String)>,
    /// The variables in a literal.
    pub variable_usages: Vec<(Name, VariableUsage)>,
    /// The paths of the request's files, and the variable that is being checked.
    pub files: Option<(&'f HashSet<String>, &'f Name)>,
    /// The paths of files whose value has the type `Upload`.
    pub matched_files: HashSet<String>,
}

impl ValueChecker<'_> {
    /// Adds an error of the value that is being checked.
    pub fn add_error(&mut self, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push((self.path.clone(), message));
        }
    }

    /// Checks a value. `has_default` tells whether its argument or input field has a default.
    pub fn check<V: InputValue>(
        &mut self,
        schema: &SchemaIndex,
        value: &V,
        ty: &Type,
        has_default: bool,
    ) {
        let kind = value.kind();
        match (&kind, &ty.base) {
            (ValueKind::Variable(name), _) => {
                let usage = VariableUsage {
                    path: self.path.clone(),
                    requires_value: !ty.nullable && !has_default,
                    is_non_null: !ty.nullable,
                };
                self.variable_usages.push(((*name).clone(), usage));
            }
            (ValueKind::Null, _) => {
                if !self.is_file(ty) && !ty.nullable {
                    self.add_error("Must not be null.".into());
                }
            }
            (ValueKind::List(items), BaseType::List(item_type)) => {
                for (index, item) in items.iter().enumerate() {
                    self.check_at(index.to_string(), schema, item, item_type, false);
                }
            }
            // A single value is accepted as a list with one item.
            (_, BaseType::List(item_type)) => self.check(schema, value, item_type, false),
            (_, BaseType::Named(name)) => match schema.type_definition(name) {
                Some(TypeDefinition::Scalar) => {
                    if let Some(error) = scalar_error(name, &kind) {
                        self.add_error(error.into());
                    }
                }
                Some(TypeDefinition::Enum(values)) => self.check_enum::<V>(name, values, &kind),
                Some(TypeDefinition::InputObject(object)) => match kind {
                    ValueKind::Object(fields) => self.check_object(schema, object, fields),
                    _ => self.add_error("Must be an object.".into()),
                },
                // Not an input type: async-graphql's validation reports it.
                _ => {}
            },
        }
    }

    fn check_at<V: InputValue>(
        &mut self,
        segment: String,
        schema: &SchemaIndex,
        value: &V,
        ty: &Type,
        has_default: bool,
    ) {
        self.path.push(segment);
        self.check(schema, value, ty, has_default);
        self.path.pop();
    }

    /// Whether a null is the placeholder of a file in the request.
    fn is_file(&mut self, ty: &Type) -> bool {
        let is_upload = matches!(&ty.base, BaseType::Named(name) if name == "Upload");
        let Some((files, variable)) = self.files.filter(|_| is_upload) else { return false };
        let path = ["variables", variable].into_iter().chain(self.path.iter().map(String::as_str));
        let path = path.collect::<Vec<_>>().join(".");
        let is_file = files.contains(&path);
        if is_file {
            self.matched_files.insert(path);
        }
        is_file
    }

    fn check_enum<V: InputValue>(
        &mut self,
        type_name: &str,
        values: &HashSet<String>,
        kind: &ValueKind<'_, V>,
    ) {
        let value = match kind {
            ValueKind::Enum(name) => Some(name.as_str()),
            ValueKind::String(text) if !V::IS_LITERAL => Some(*text),
            _ => None,
        };
        if !value.is_some_and(|value| values.contains(value)) {
            self.add_error(format!("Must be a value of {type_name}."));
        }
    }

    fn check_object<V: InputValue>(
        &mut self,
        schema: &SchemaIndex,
        object: &InputObject,
        fields: &IndexMap<Name, V>,
    ) {
        for (name, value) in fields {
            match object.fields.get(&**name) {
                // The field of a @oneOf object must not be null, although its type is nullable.
                Some(definition)
                    if object.is_one_of && matches!(value.kind(), ValueKind::Variable(_)) =>
                {
                    let ty = Type { nullable: false, ..definition.ty.clone() };
                    self.check_at(name.to_string(), schema, value, &ty, false);
                }
                Some(definition) => {
                    let has_default = definition.has_default;
                    self.check_at(name.to_string(), schema, value, &definition.ty, has_default);
                }
                None => {
                    self.path.push(name.to_string());
                    self.add_error("There is no such field.".into());
                    self.path.pop();
                }
            }
        }
        for (name, definition) in &object.fields {
            if definition.is_required() && !fields.contains_key(name.as_str()) {
                self.path.push(name.clone());
                self.add_error("Is missing.".into());
                self.path.pop();
            }
        }
        let is_null = |value: &V| matches!(value.kind(), ValueKind::Null);
        if object.is_one_of && (fields.len() != 1 || fields.values().any(is_null)) {
            self.add_error("Must have exactly one field, which is not null.".into());
        }
    }
}
