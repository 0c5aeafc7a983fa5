//! The schema's types as costs and coercion see them, read from the schema's own text.

use std::collections::{HashMap, HashSet};

use async_graphql::Positioned;
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, OperationType, SchemaDefinition, Type,
    TypeKind, TypeSystemDefinition,
};

/// Every type by its name.
pub struct Types {
    /// Of queries, mutations and subscriptions.
    roots: [Option<String>; 3],
    kinds: HashMap<String, Kind>,
    directives: HashMap<String, Inputs>,
}

/// What a type is made of.
pub enum Kind {
    /// A leaf whose values have a form of their own.
    Scalar,
    /// One of these names.
    Enum(HashSet<String>),
    /// An input object.
    Input(InputObject),
    /// An object or an interface: its fields.
    Composite(HashMap<String, Field>),
    /// A union, which has no fields but `__typename`.
    Union,
}

/// An input object.
pub struct InputObject {
    /// Its fields.
    pub fields: Inputs,
    /// Exactly one field must be there, and not null.
    pub is_one_of: bool,
}

/// A field of an object.
pub struct Field {
    /// Its arguments.
    pub arguments: Inputs,
    /// The name of its type, without lists and exclamation marks.
    pub of: String,
    /// Whether it answers a list whose length nobody asks for. Not the rows of a page: the page counts.
    pub is_list: bool,
}

impl Field {
    /// Whether it answers a page whose size `first` says.
    pub fn is_paged(&self) -> bool {
        self.arguments.contains_key("first")
    }

    /// The same, with the rows in a list of what it answers.
    fn is_page(&self) -> bool {
        self.is_paged() && !self.is_list
    }
}

/// Arguments, or the fields of an input object, by their names, in the order of the schema.
pub type Inputs = IndexMap<String, Input>;

/// An argument or a field of an input object.
pub struct Input {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out although it is not null.
    pub has_default: bool,
}

impl Types {
    /// Reads the schema's text, which the schema wrote itself.
    pub fn read(sdl: &str) -> Self {
        let document = parse_schema(sdl).expect("the schema writes what can be read");
        let mut types =
            Self { roots: Default::default(), kinds: HashMap::new(), directives: HashMap::new() };
        for scalar in ["Int", "Float", "String", "Boolean", "ID"] {
            types.kinds.insert(scalar.to_owned(), Kind::Scalar);
        }
        for definition in document.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    let SchemaDefinition { query, mutation, subscription, .. } = schema.node;
                    types.roots = [query, mutation, subscription]
                        .map(|root| root.map(|root| root.node.to_string()));
                }
                TypeSystemDefinition::Type(ty) => {
                    let is_one_of = ty.node.directives.iter().any(|d| d.node.name.node == "oneOf");
                    let kind = kind(ty.node.kind, is_one_of);
                    types.kinds.insert(ty.node.name.node.to_string(), kind);
                }
                TypeSystemDefinition::Directive(directive) => {
                    let name = directive.node.name.node.to_string();
                    types.directives.insert(name, inputs(directive.node.arguments));
                }
            }
        }
        types.count_pages_once();
        types
    }

    /// The lists of what a field with `first` answers are as long as that says, which counts already.
    fn count_pages_once(&mut self) {
        let answered = |kind: &Kind| match kind {
            Kind::Composite(fields) => {
                fields.values().filter(|it| it.is_page()).map(|it| it.of.clone()).collect()
            }
            _ => Vec::new(),
        };
        let pages: Vec<String> = self.kinds.values().flat_map(answered).collect();
        for page in pages {
            if let Some(Kind::Composite(fields)) = self.kinds.get_mut(&page) {
                for field in fields.values_mut() {
                    field.is_list = false;
                }
            }
        }
    }

    /// The type of an operation's top fields.
    pub fn root(&self, operation: OperationType) -> Option<&str> {
        let root = match operation {
            OperationType::Query => &self.roots[0],
            OperationType::Mutation => &self.roots[1],
            OperationType::Subscription => &self.roots[2],
        };
        root.as_deref()
    }

    /// A type by its name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// A field of an object or interface. Introspection's own are not among them.
    pub fn field(&self, of: &str, name: &str) -> Option<&Field> {
        match self.kinds.get(of)? {
            Kind::Composite(fields) => fields.get(name),
            _ => None,
        }
    }

    /// The arguments of a directive.
    pub fn directive(&self, name: &str) -> Option<&Inputs> {
        self.directives.get(name)
    }

    /// The names of all scalars.
    #[cfg(test)]
    pub fn scalars(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().filter(|(_, kind)| matches!(kind, Kind::Scalar)).map(|(name, _)| &**name)
    }
}

fn kind(kind: TypeKind, is_one_of: bool) -> Kind {
    match kind {
        TypeKind::Scalar => Kind::Scalar,
        TypeKind::Object(object) => Kind::Composite(fields(object.fields)),
        TypeKind::Interface(interface) => Kind::Composite(fields(interface.fields)),
        TypeKind::Union(_) => Kind::Union,
        TypeKind::Enum(values) => {
            Kind::Enum(values.values.iter().map(|value| value.node.value.to_string()).collect())
        }
        TypeKind::InputObject(object) => {
            Kind::Input(InputObject { fields: inputs(object.fields), is_one_of })
        }
    }
}

fn fields(fields: Vec<Positioned<FieldDefinition>>) -> HashMap<String, Field> {
    let read = |field: Positioned<FieldDefinition>| {
        let field = field.node;
        let of = innermost(&field.ty.node).to_owned();
        let is_list = matches!(field.ty.node.base, BaseType::List(_));
        (field.name.to_string(), Field { arguments: inputs(field.arguments), of, is_list })
    };
    fields.into_iter().map(read).collect()
}

fn inputs(inputs: Vec<Positioned<InputValueDefinition>>) -> Inputs {
    let read = |input: Positioned<InputValueDefinition>| {
        let input = input.node;
        let has_default = input.default_value.is_some();
        (input.name.to_string(), Input { ty: input.ty.node, has_default })
    };
    inputs.into_iter().map(read).collect()
}

/// A type's name without lists and exclamation marks.
pub fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => innermost(item),
    }
}
