//! What is wrong with a value, literal or variable, held against its type.

use std::collections::HashSet;

use async_graphql::Name;
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{BaseType, Type};

use super::coercion::{MOST_FAULTS, Place};
use super::types::{InputObject, Kind, Types};
use super::values::{Given, Seen, scalar_fault};

/// What is wrong with one value, each with the way to it.
#[derive(Default)]
pub struct Faults<'f> {
    /// The way to the value that is checked.
    pub path: Vec<String>,
    /// What is wrong, and where.
    pub found: Vec<(Vec<String>, String)>,
    /// The variables within a literal.
    pub variables: Vec<(Name, Place)>,
    /// The files that come with the request, and the variable that is checked.
    pub files: Option<(&'f HashSet<String>, &'f Name)>,
    /// Those of the files whose places were met.
    pub met: HashSet<String>,
}

impl Faults<'_> {
    /// Something is wrong with the value that is checked.
    pub fn add(&mut self, message: String) {
        if self.found.len() < MOST_FAULTS {
            self.found.push((self.path.clone(), message));
        }
    }

    fn within<V: Given>(
        &mut self,
        step: String,
        types: &Types,
        value: &V,
        ty: &Type,
        default: Option<bool>,
    ) {
        self.path.push(step);
        self.check(types, value, ty, default);
        self.path.pop();
    }

    /// Checks a value. `default` says of an argument or an input field whether it has one.
    pub fn check<V: Given>(&mut self, types: &Types, value: &V, ty: &Type, default: Option<bool>) {
        let seen = value.seen();
        match (&seen, &ty.base) {
            (Seen::Variable(name), _) => {
                let has_default = default == Some(true);
                let place = Place {
                    path: self.path.clone(),
                    needs_value: !ty.nullable && !has_default,
                    refuses_null: !ty.nullable,
                };
                self.variables.push(((*name).clone(), place));
            }
            (Seen::Null, _) => {
                if !self.is_file(ty) && !ty.nullable {
                    self.add("Must not be null.".into());
                }
            }
            (Seen::List(items), BaseType::List(of)) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(index.to_string(), types, item, of, None);
                }
            }
            // One value stands for a list of one.
            (_, BaseType::List(of)) => self.check(types, value, of, None),
            (_, BaseType::Named(name)) => match types.kind(name) {
                Some(Kind::Scalar) => {
                    if let Some(fault) = scalar_fault(name, &seen) {
                        self.add(fault.into());
                    }
                }
                Some(Kind::Enum(names)) => self.check_enum::<V>(name, names, &seen),
                Some(Kind::Input(object)) => match seen {
                    Seen::Object(fields) => self.check_object(types, object, fields),
                    _ => self.add("Must be an object.".into()),
                },
                // Not an input type: validation tells.
                _ => {}
            },
        }
    }

    /// The null that a file of the request takes the place of.
    fn is_file(&mut self, ty: &Type) -> bool {
        let is_upload = matches!(&ty.base, BaseType::Named(name) if name == "Upload");
        let Some((files, variable)) = self.files.filter(|_| is_upload) else { return false };
        let path = ["variables", variable].into_iter().chain(self.path.iter().map(String::as_str));
        let path = path.collect::<Vec<_>>().join(".");
        let is_file = files.contains(&path);
        if is_file {
            self.met.insert(path);
        }
        is_file
    }

    fn check_enum<V: Given>(&mut self, name: &str, names: &HashSet<String>, seen: &Seen<'_, V>) {
        let given = match seen {
            Seen::Enum(name) => Some(name.as_str()),
            Seen::String(text) if !V::IS_LITERAL => Some(*text),
            _ => None,
        };
        if !given.is_some_and(|given| names.contains(given)) {
            self.add(format!("Must be a value of {name}."));
        }
    }

    fn check_object<V: Given>(
        &mut self,
        types: &Types,
        object: &InputObject,
        fields: &IndexMap<Name, V>,
    ) {
        for (name, value) in fields {
            match object.fields.get(&**name) {
                // The one field is there, and not null.
                Some(input) if object.is_one_of && matches!(value.seen(), Seen::Variable(_)) => {
                    let ty = Type { nullable: false, ..input.ty.clone() };
                    self.within(name.to_string(), types, value, &ty, Some(false));
                }
                Some(input) => {
                    let default = Some(input.has_default);
                    self.within(name.to_string(), types, value, &input.ty, default);
                }
                None => {
                    self.path.push(name.to_string());
                    self.add("There is no such field.".into());
                    self.path.pop();
                }
            }
        }
        for (name, input) in &object.fields {
            if !input.ty.nullable && !input.has_default && !fields.contains_key(name.as_str()) {
                self.path.push(name.clone());
                self.add("Is missing.".into());
                self.path.pop();
            }
        }
        let is_null = |value: &V| matches!(value.seen(), Seen::Null);
        if object.is_one_of && (fields.len() != 1 || fields.values().any(is_null)) {
            self.add("Must have exactly one field, which is not null.".into());
        }
    }
}
