//! Index of the schema's types, fields and arguments, read from its SDL, for cost and input validation.

use std::collections::{HashMap, HashSet};

use async_graphql::Positioned;
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, OperationType, SchemaDefinition, Type,
    TypeKind, TypeSystemDefinition,
};

/// Lists of a few items from memory, by type and field. Counted as a page each, the forms of all providers would be too
/// complex to ask for at once.
const SHORT_LISTS: [(&str, &str); 2] = [("Provider", "schemes"), ("ProviderScheme", "fields")];

/// Fields that may hold megabytes, with the number of fields that each counts as. Otherwise a few aliases of one would
/// make a response of gigabytes.
const LARGE_FIELDS: [(&str, &str, u64); 4] = [
    ("CallResult", "body", 1_500),
    ("CallResult", "bodyBase64", 500),
    ("CallResult", "mapped", 250),
    ("Query", "previewMapping", 250),
];

/// The types and directives of a schema, by name.
pub struct SchemaIndex {
    /// The types of queries, mutations and subscriptions.
    root_types: [Option<String>; 3],
    types: HashMap<String, TypeDefinition>,
    directives: HashMap<String, InputDefinitions>,
}

/// The definition of a type.
pub enum TypeDefinition {
    /// A scalar.
    Scalar,
    /// An enum: the names of its values.
    Enum(HashSet<String>),
    /// An input object.
    InputObject(InputObject),
    /// An object or an interface: its fields.
    Composite(HashMap<String, Field>),
    /// A union: it has no fields but `__typename`.
    Union,
}

/// An input object.
pub struct InputObject {
    /// Its fields.
    pub fields: InputDefinitions,
    /// Whether it must have exactly one field, which is not null.
    pub is_one_of: bool,
}

/// A field of an object.
pub struct Field {
    /// Its arguments.
    pub arguments: InputDefinitions,
    /// The name of its type, without list and non-null.
    pub type_name: String,
    /// Whether it is a list whose length no argument says. Not the rows of a page: the page's `first` counts.
    pub is_list: bool,
    /// The number of fields that it counts as.
    pub weight: u64,
}

impl Field {
    /// Whether `first` says how many rows it has.
    pub fn is_paged(&self) -> bool {
        self.arguments.contains_key("first")
    }

    /// Whether the rows are in a list of its type.
    fn is_page(&self) -> bool {
        self.is_paged() && !self.is_list
    }
}

/// Arguments, or the fields of an input object, by name, in the order of the schema.
pub type InputDefinitions = IndexMap<String, InputDefinition>;

/// An argument or a field of an input object.
pub struct InputDefinition {
    /// Its type.
    pub ty: Type,
    /// Whether it has a default.
    pub has_default: bool,
}

impl InputDefinition {
    /// Whether it cannot be left out.
    pub fn is_required(&self) -> bool {
        !self.ty.nullable && !self.has_default
    }
}

impl SchemaIndex {
    /// Reads the SDL that the schema wrote itself.
    pub fn from_sdl(sdl: &str) -> Self {
        let document = parse_schema(sdl).expect("a schema writes valid SDL");
        let mut index = Self {
            root_types: Default::default(),
            types: HashMap::new(),
            directives: HashMap::new(),
        };
        for scalar in ["Int", "Float", "String", "Boolean", "ID"] {
            index.types.insert(scalar.to_owned(), TypeDefinition::Scalar);
        }
        for definition in document.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    let SchemaDefinition { query, mutation, subscription, .. } = schema.node;
                    index.root_types = [query, mutation, subscription]
                        .map(|root| root.map(|root| root.node.to_string()));
                }
                TypeSystemDefinition::Type(ty) => {
                    let is_one_of = ty.node.directives.iter().any(|d| d.node.name.node == "oneOf");
                    let definition = type_definition(ty.node.kind, is_one_of);
                    index.types.insert(ty.node.name.node.to_string(), definition);
                }
                TypeSystemDefinition::Directive(directive) => {
                    let name = directive.node.name.node.to_string();
                    index.directives.insert(name, input_definitions(directive.node.arguments));
                }
            }
        }
        index.exempt_page_lists();
        index.exempt_short_lists();
        index.weigh_large_fields();
        index
    }

    fn exempt_short_lists(&mut self) {
        for (type_name, name) in SHORT_LISTS {
            if let Some(field) = self.field_mut(type_name, name) {
                field.is_list = false;
            }
        }
    }

    fn weigh_large_fields(&mut self) {
        for (type_name, name, weight) in LARGE_FIELDS {
            if let Some(field) = self.field_mut(type_name, name) {
                field.weight = weight;
            }
        }
    }

    fn field_mut(&mut self, type_name: &str, name: &str) -> Option<&mut Field> {
        match self.types.get_mut(type_name)? {
            TypeDefinition::Composite(fields) => fields.get_mut(name),
            _ => None,
        }
    }

    /// Does not count the lists in the type of a page: they are as long as its `first` says, which is counted already.
    fn exempt_page_lists(&mut self) {
        let page_types = |definition: &TypeDefinition| match definition {
            TypeDefinition::Composite(fields) => fields
                .values()
                .filter(|field| field.is_page())
                .map(|field| field.type_name.clone())
                .collect(),
            _ => Vec::new(),
        };
        let pages: Vec<String> = self.types.values().flat_map(page_types).collect();
        for page in pages {
            if let Some(TypeDefinition::Composite(fields)) = self.types.get_mut(&page) {
                for field in fields.values_mut() {
                    field.is_list = false;
                }
            }
        }
    }

    /// The type of an operation's root fields.
    pub fn root_type(&self, operation: OperationType) -> Option<&str> {
        let root_type = match operation {
            OperationType::Query => &self.root_types[0],
            OperationType::Mutation => &self.root_types[1],
            OperationType::Subscription => &self.root_types[2],
        };
        root_type.as_deref()
    }

    /// The definition of a type.
    pub fn type_definition(&self, name: &str) -> Option<&TypeDefinition> {
        self.types.get(name)
    }

    /// A field of an object or interface. Not one of introspection.
    pub fn field(&self, type_name: &str, name: &str) -> Option<&Field> {
        match self.types.get(type_name)? {
            TypeDefinition::Composite(fields) => fields.get(name),
            _ => None,
        }
    }

    /// The arguments of a directive.
    pub fn directive_arguments(&self, name: &str) -> Option<&InputDefinitions> {
        self.directives.get(name)
    }

    /// The names of all scalars.
    #[cfg(test)]
    pub fn scalars(&self) -> impl Iterator<Item = &str> {
        let is_scalar = |definition: &TypeDefinition| matches!(definition, TypeDefinition::Scalar);
        self.types
            .iter()
            .filter(move |(_, definition)| is_scalar(definition))
            .map(|(name, _)| &**name)
    }
}

fn type_definition(kind: TypeKind, is_one_of: bool) -> TypeDefinition {
    match kind {
        TypeKind::Scalar => TypeDefinition::Scalar,
        TypeKind::Object(object) => TypeDefinition::Composite(fields(object.fields)),
        TypeKind::Interface(interface) => TypeDefinition::Composite(fields(interface.fields)),
        TypeKind::Union(_) => TypeDefinition::Union,
        TypeKind::Enum(values) => TypeDefinition::Enum(
            values.values.iter().map(|value| value.node.value.to_string()).collect(),
        ),
        TypeKind::InputObject(object) => TypeDefinition::InputObject(InputObject {
            fields: input_definitions(object.fields),
            is_one_of,
        }),
    }
}

fn fields(fields: Vec<Positioned<FieldDefinition>>) -> HashMap<String, Field> {
    let to_field = |field: Positioned<FieldDefinition>| {
        let field = field.node;
        let type_name = named_type(&field.ty.node).to_owned();
        let is_list = matches!(field.ty.node.base, BaseType::List(_));
        let arguments = input_definitions(field.arguments);
        (field.name.to_string(), Field { arguments, type_name, is_list, weight: 1 })
    };
    fields.into_iter().map(to_field).collect()
}

fn input_definitions(inputs: Vec<Positioned<InputValueDefinition>>) -> InputDefinitions {
    let to_definition = |input: Positioned<InputValueDefinition>| {
        let input = input.node;
        let has_default = input.default_value.is_some();
        (input.name.to_string(), InputDefinition { ty: input.ty.node, has_default })
    };
    inputs.into_iter().map(to_definition).collect()
}

/// The name of a type without list and non-null.
fn named_type(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named_type(item),
    }
}
