//! GraphQL of mappings.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::context::{caller_secrets, connections_state};
use crate::api::scalars::{DateTime, Json, RawJson};
use crate::api::{ContextExt, NullableResult, respond};
use crate::connections::{MappingRow, NewMapping, create_mapping, find_mapping, preview_mapping};
use crate::error::{Error, Result};

/// A mapping to keep.
#[derive(InputObject)]
pub struct CreateMappingInput {
    /// An object of 1 to 100 JMESPath expressions, such as {"name": "user.name", "email": "emails[0].email"}.
    mapping: Json,
    /// The JMESPath expression of the list to map item by item, when the answer wraps one, such as "data".
    items: Option<String>,
    /// A name of 1 to 200 characters.
    label: Option<String>,
}

/// A mapping to try.
#[derive(InputObject)]
pub struct PreviewMappingInput {
    /// An object of 1 to 100 JMESPath expressions, such as {"name": "user.name", "email": "emails[0].email"}.
    mapping: Json,
    /// The JMESPath expression of the list to map item by item, when the answer wraps one, such as "data".
    items: Option<String>,
    /// What a provider might answer.
    sample: Json,
}

/// What the answers of providers are turned into. It never changes.
#[derive(SimpleObject)]
pub struct Mapping {
    /// The value for `mapping` in `callConnection`. Whoever has it may use the mapping. A mapping that no call uses for 90
    /// days is deleted.
    id: ID,
    /// The expressions.
    #[graphql(name = "mapping")]
    expressions: Json,
    /// The expression of the list that is mapped item by item.
    items: Option<String>,
    /// The name that the caller gave it.
    label: Option<String>,
    /// When it was created.
    created_at: DateTime,
}

impl TryFrom<MappingRow> for Mapping {
    type Error = Error;

    fn try_from(row: MappingRow) -> Result<Self> {
        Ok(Self {
            id: row.id.to_string().into(),
            expressions: Json(serde_json::from_str(&row.mapping).map_err(Error::internal)?),
            items: row.items,
            label: row.label,
            created_at: DateTime(row.created_at),
        })
    }
}

/// Reading and trying mappings.
#[derive(Default)]
pub struct MappingQuery;

#[Object]
impl MappingQuery {
    /// A mapping, for whoever has its id.
    async fn mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id that `createMapping` returned.")] id: ID,
    ) -> NullableResult<Mapping> {
        respond(ctx, async { find_mapping(ctx.platform(), &id).await?.try_into() }).await
    }

    /// What a mapping makes of a sample. Nothing is kept.
    async fn preview_mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The mapping and the sample.")] input: PreviewMappingInput,
    ) -> NullableResult<RawJson> {
        let PreviewMappingInput { mapping, items, sample } = input;
        let mapped = async {
            let (connections, platform) = (connections_state(ctx), ctx.platform());
            let address = ctx.client_address();
            let sample = sample.0;
            let mapped =
                preview_mapping(connections, platform, address, mapping.0, items, sample).await?;
            Ok(RawJson(mapped))
        };
        respond(ctx, mapped).await
    }
}

/// Making mappings.
#[derive(Default)]
pub struct MappingMutation;

#[Object]
impl MappingMutation {
    /// Keeps a mapping for the answers of calls. Needs no account. Returns the mapping.
    async fn create_mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The expressions.")] input: CreateMappingInput,
    ) -> NullableResult<Mapping> {
        let CreateMappingInput { mapping, items, label } = input;
        let new = NewMapping { mapping: mapping.0, items, label };
        let (connections, address) = (connections_state(ctx), caller_secrets(ctx).address());
        let created =
            async { create_mapping(connections, ctx.platform(), address, new).await?.try_into() };
        respond(ctx, created).await
    }
}
