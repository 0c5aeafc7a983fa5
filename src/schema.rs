//! The schema: the rooms' roots merged, and its text.

use async_graphql::{EmptySubscription, MergedObject, SDLExportOptions, SchemaBuilder};

use crate::accounts::graphql::{AccountMutation, AccountQuery};
use crate::contacts::graphql::{ContactMutation, Contacts};
use crate::people::graphql::PeopleQuery;

/// Reading. A field that fails is null beside its error; the others answer all the same.
#[derive(MergedObject, Default)]
pub struct Query(AccountQuery, PeopleQuery);

/// Changing. Fields run one after the other; one that fails is null beside its error and stops no other.
#[derive(MergedObject, Default)]
pub struct Mutation(AccountMutation, ContactMutation);

/// The schema, made once.
pub type Schema = async_graphql::Schema<Query, Mutation, EmptySubscription>;

/// The schema without what its resolvers need.
pub fn builder() -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query::default(), Mutation::default(), EmptySubscription)
        .override_output_type_description::<Contacts>("A page of contacts, by name.")
}

/// The schema as text, as in `schema.graphql`.
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by())
}
