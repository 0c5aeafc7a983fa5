//! People in the schema: a profile as others see it, and the shell of one's own record.

use async_graphql::dataloader::{DataLoader, HashMapCache};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use super::entity::{self, Model};
use super::loaders::PersonById;
use crate::api::{Answer, Asks, answer};
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

// The avatar is resolved in `avatars`, which knows it.
/// What others may see of a user.
#[derive(SimpleObject, Clone)]
#[graphql(complex)]
pub struct Profile {
    /// The user's id.
    pub id: ID,
    /// The nickname, else the name, else "Player".
    pub display_name: String,
    /// Whose it is.
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
    /// A profile for a field that stands in many places of one answer: read once.
    pub async fn shared(ctx: &Context<'_>, id: UserId) -> Answer<Self> {
        let people = ctx.data_unchecked::<DataLoader<PersonById, HashMapCache>>();
        answer(ctx, async {
            let person = people.load_one(id).await?;
            person.as_ref().map(Self::from).ok_or_else(|| Error::not_found("user"))
        })
        .await
    }
}

// The fields of `User` are resolved in `accounts`, which sees every room that they lead into. The type
// stands here, so that each of those rooms can answer with it.
/// Your own account, which only you see.
#[derive(SimpleObject, Clone)]
#[graphql(complex)]
pub struct User {
    /// The user's id.
    pub id: ID,
    /// The row behind it.
    #[graphql(skip)]
    pub person: Model,
}

impl From<Model> for User {
    fn from(person: Model) -> Self {
        Self { id: person.id.to_string().into(), person }
    }
}

impl User {
    /// Reads one's own record.
    pub async fn load(ctx: &Context<'_>, id: UserId) -> Answer<Self> {
        answer(ctx, async {
            let person = entity::by_id(ctx.platform().database.reads(), id).await?;
            person.map(Self::from).ok_or_else(|| Error::not_found("user"))
        })
        .await
    }
}

impl User {
    /// One's own record for a field that stands in many places of one answer: read once.
    pub async fn shared(ctx: &Context<'_>, id: UserId) -> Answer<Self> {
        let people = ctx.data_unchecked::<DataLoader<PersonById, HashMapCache>>();
        answer(ctx, async {
            let person = people.load_one(id).await?;
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
    ) -> Answer<Profile> {
        answer(ctx, async {
            let viewer = ctx.viewer()?;
            let unknown = || Error::not_found("user");
            let id = ids::parse::<UserId>(&id).ok_or_else(unknown)?;
            let person = entity::by_id(ctx.platform().database.reads(), id).await?;
            let visible = person.filter(|person| person.discoverable || person.id == viewer.user);
            visible.as_ref().map(Profile::from).ok_or_else(unknown)
        })
        .await
    }
}
