//! GraphQL for avatars: upload, removal, subscriptions, and `Profile.avatar`.

use std::fs::File;
use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{ComplexObject, Context, Enum, ID, Object, Subscription, Upload};
use data_encoding::BASE32_DNSSEC;
use futures_util::{Stream, TryStreamExt};

use super::loaders::AvatarByUser;
use super::{AvatarView, Avatars, PictureName, watch_avatar, watch_contact_avatars};
use crate::api::scalars::{DateTime, Url};
use crate::api::{ApiError, ContextExt, HasMemo, Memoized, NullableResult, respond, stream_states};
use crate::error::{Error, Result};
use crate::ids::{Id, UserId, parse};
use crate::people::Person;
use crate::people::graphql::{Profile, User};
use crate::platform::response_memo::ResponseMemo;

fn avatars<'a>(ctx: &Context<'a>) -> &'a Avatars {
    ctx.data_unchecked::<Arc<Avatars>>()
}

/// How large a picture is. All are squares.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum AvatarSize {
    /// 64 pixels.
    Small,
    /// 256 pixels.
    Medium,
    /// 512 pixels.
    Large,
}

impl AvatarSize {
    fn side(self) -> u32 {
        match self {
            Self::Small => 64,
            Self::Medium => 256,
            Self::Large => 512,
        }
    }
}

/// An avatar's row in the schema.
pub struct Avatar {
    row: super::Avatar,
    picture: PictureName,
    /// The owner, if already loaded.
    person: Option<Person>,
}

impl Avatar {
    fn new(row: super::Avatar, person: Option<Person>) -> Option<Self> {
        Some(Self { picture: row.picture.clone()?, row, person })
    }

    /// A user's avatar, loaded in one query with the others of the response.
    pub async fn load(ctx: &Context<'_>, user: UserId) -> NullableResult<Self> {
        let rows = ctx.data_unchecked::<DataLoader<AvatarByUser>>();
        match rows.load_one(user).await {
            Ok(row) => row.and_then(|row| Self::new(row, None)).map(Ok),
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// A user's picture.
#[Object]
impl Avatar {
    /// Names the owner and the version: another picture is another avatar.
    async fn id(&self) -> ID {
        let name = [&self.row.user_id.uuid().into_bytes()[..], &self.row.version.to_be_bytes()];
        format!("ava_{}", BASE32_DNSSEC.encode(&name.concat())).into()
    }

    /// Where the picture is, as WebP. An address never shows another picture.
    async fn url(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "AvatarSize::Large", desc = "How large.")] size: AvatarSize,
    ) -> Url {
        Url(avatars(ctx).url(&self.picture, size.side()))
    }

    /// How often the owner's avatar has changed, removals included.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// Since when it is the owner's.
    async fn updated_at(&self) -> DateTime {
        self.row.updated_at.into()
    }

    /// Whose it is.
    async fn owner(&self, ctx: &Context<'_>) -> NullableResult<Profile> {
        match &self.person {
            Some(person) => Some(Ok(person.into())),
            None => Profile::load_shared(ctx, self.row.user_id).await,
        }
    }

    /// You, when it is yours.
    async fn user(&self, ctx: &Context<'_>) -> NullableResult<User> {
        let viewer = ctx.viewer().ok().filter(|viewer| viewer.user == self.row.user_id)?;
        match &self.person {
            Some(person) => Some(Ok(person.clone().into())),
            None => User::load_shared(ctx, viewer.user).await,
        }
    }
}

#[ComplexObject]
impl Profile {
    /// Their picture.
    async fn avatar(&self, ctx: &Context<'_>) -> NullableResult<Avatar> {
        Avatar::load(ctx, self.user).await
    }
}

/// The state of an avatar in the schema.
pub struct AvatarChange(Arc<AvatarView>);

impl HasMemo for AvatarChange {
    fn memo(&self) -> &ResponseMemo {
        &self.0.memo
    }
}

/// Somebody's avatar as it is from now on.
#[Object]
impl AvatarChange {
    /// Whose it is.
    async fn user_id(&self) -> ID {
        self.0.person.id.to_string().into()
    }

    /// Whose it is, as others see them.
    async fn profile(&self) -> Option<Profile> {
        Some(Profile::from(&self.0.person))
    }

    /// You, when it is yours.
    async fn user(&self, ctx: &Context<'_>) -> Option<User> {
        ctx.viewer().ok().filter(|viewer| viewer.user == self.0.person.id)?;
        Some(self.0.person.clone().into())
    }

    /// The picture. Null: there is none.
    async fn avatar(&self) -> Option<Avatar> {
        Avatar::new(self.0.avatar.clone()?, Some(self.0.person.clone()))
    }

    /// How often it has changed, removals included. 0: there never was one.
    async fn version(&self) -> i32 {
        self.0.version()
    }

    /// When it changed. Null: there never was one.
    async fn changed_at(&self) -> Option<DateTime> {
        self.0.avatar.as_ref().map(|avatar| avatar.updated_at.into())
    }
}

fn to_change(view: Arc<AvatarView>) -> Memoized<AvatarChange> {
    Memoized(AvatarChange(view))
}

/// Changing one's avatar.
#[derive(Default)]
pub struct AvatarMutation;

#[Object]
impl AvatarMutation {
    /// Shows a picture from now on: PNG, JPEG, WebP or GIF, recognised by its content, of at most 5 MB and 40
    /// megapixels. Its middle is shown, and of an animation the first frame.
    async fn upload_avatar(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The picture, by the GraphQL multipart request specification.")]
        file: Upload,
    ) -> NullableResult<Avatar> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            let file: File = file.value(ctx).map_err(Error::internal)?.content;
            let (person, row) =
                super::upload_avatar(avatars(ctx), ctx.platform(), viewer.user, file).await?;
            Avatar::new(row, Some(person)).ok_or_else(|| Error::internal("it shows nothing"))
        })
        .await
    }

    /// Shows no picture any more.
    async fn remove_avatar(&self, ctx: &Context<'_>) -> NullableResult<User> {
        respond(ctx, async {
            let viewer = ctx.viewer()?;
            Ok(super::remove_avatar(ctx.platform(), viewer.user).await?.into())
        })
        .await
    }
}

/// Avatars, live.
#[derive(Default)]
pub struct AvatarSubscription;

#[Subscription]
impl AvatarSubscription {
    /// An avatar now, and each time it is another: your own, or that of a user who lets others find them and
    /// whose verified number is among your contacts. Ends with NOT_FOUND when it is not yours to see any more.
    async fn avatar_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user's id. Null: yourself.")] user_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<Memoized<AvatarChange>, ApiError>> + use<>, ApiError>
    {
        let viewer = ctx.viewer()?.user;
        let user = match user_id {
            Some(id) => parse(&id).ok_or_else(|| Error::not_found("user"))?,
            None => viewer,
        };
        Ok(stream_states(watch_avatar(ctx.shared_platform(), viewer, user).map_ok(to_change)))
    }

    /// The avatar of each contact with a visible profile, then each time that one is another. Contacts that are
    /// added, or become visible, come along.
    async fn contact_avatar_changed(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<Memoized<AvatarChange>, ApiError>> + use<>, ApiError>
    {
        let viewer = ctx.viewer()?.user;
        Ok(stream_states(watch_contact_avatars(ctx.shared_platform(), viewer).map_ok(to_change)))
    }
}
