//! GraphQL for people: the profile that others see, and the type of one's own account.

use async_graphql::dataloader::{DataLoader, HashMapCache};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use super::entity::{self, Model};
use super::loaders::PersonById;
use crate::api::{ContextExt, NullableResult, respond};
use crate::error::Error;
use crate::ids::{self, UserId};

/// What somebody may do.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "super::Role")]
pub enum Role {
    /// Plays.
    Player,
    /// Operates the installation.
    Admin,
}

// The field `avatar` is resolved in `avatars`.
/// What others may see of a user.
#[derive(SimpleObject, Clone)]
#[graphql(complex)]
pub struct Profile {
    /// The user's id.
    pub id: ID,
    /// The nickname, else the name, else "Player".
    pub display_name: String,
    /// The user.
    #[graphql(skip)]
    pub user: UserId,
}

impl From<&Model> for Profile {
    fn from(person: &Model) -> Self {
        Self {
            id: person.id.to_string().into(),
            display_name: person.display_name().to_owned(),
            user: person.id,
        }
    }
}

impl Profile {
    /// A profile, loaded once per response however many fields show it.
    pub async fn load_shared(ctx: &Context<'_>, id: UserId) -> NullableResult<Self> {
        let loader = ctx.data_unchecked::<DataLoader<PersonById, HashMapCache>>();
        respond(ctx, async {
            let person = loader.load_one(id).await?;
            person.as_ref().map(Self::from).ok_or_else(|| Error::not_found("user"))
        })
        .await
    }
}

// The fields of `User` are resolved in `accounts`, which may import every feature. The type is defined here, so that
// each feature can return it.
/// Your own account, which only you see.
#[derive(SimpleObject, Clone)]
#[graphql(complex)]
pub struct User {
    /// The user's id.
    pub id: ID,
    /// The stored person.
    #[graphql(skip)]
    pub person: Model,
}

impl From<Model> for User {
    fn from(person: Model) -> Self {
        Self { id: person.id.to_string().into(), person }
    }
}

impl User {
    /// Loads the viewer's account.
    pub async fn load(ctx: &Context<'_>, id: UserId) -> NullableResult<Self> {
        respond(ctx, async {
            let person = entity::find_by_id(ctx.platform().database.reads(), id).await?;
            person.map(Self::from).ok_or_else(|| Error::not_found("user"))
        })
        .await
    }

    /// The viewer's account, loaded once per response however many fields show it.
    pub async fn load_shared(ctx: &Context<'_>, id: UserId) -> NullableResult<Self> {
        let loader = ctx.data_unchecked::<DataLoader<PersonById, HashMapCache>>();
        respond(ctx, async {
            let person = loader.load_one(id).await?;
            person.map(Self::from).ok_or_else(|| Error::not_found("user"))
        })
        .await
    }
}

/// Reading people.
#[derive(Default)]
pub struct PeopleQuery;

#[Object]
impl PeopleQuery {
    /// The profile of a user: your own, or that of a discoverable user whose id you were shown.
    async fn profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user's id.")] id: ID,
    ) -> NullableResult<Profile> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            let not_found = || Error::not_found("user");
            let id = ids::parse::<UserId>(&id).ok_or_else(not_found)?;
            let person = entity::find_by_id(ctx.platform().database.reads(), id).await?;
            let visible = person.filter(|person| person.discoverable || person.id == viewer.user);
            visible.as_ref().map(Profile::from).ok_or_else(not_found)
        })
        .await
    }
}
