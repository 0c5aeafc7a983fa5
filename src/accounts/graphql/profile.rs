//! GraphQL of the viewer's profile: names, phone number, two-factor login.

use async_graphql::{Context, Enum, InputObject, Object};

use super::code_challenge::{CodeChallenge, VerificationInput};
use super::context::{accounts, respond_with_viewer};
use crate::accounts::phone::{add_phone, verify_phone};
use crate::accounts::second_factor::set_two_factor;
use crate::accounts::{challenge, update_profile};
use crate::api::scalars::{EmailAddress, PhoneNumber};
use crate::api::{ContextExt, NullableResult, Viewer, respond};
use crate::people::graphql::User;

/// What can be cleared.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "update_profile::ProfileField")]
pub enum ProfileField {
    /// The nickname.
    Nickname,
    /// The name.
    Name,
    /// The e-mail address.
    Email,
}

/// What to change about yourself; what is not given stays. With a verified phone it needs `verification`, a code
/// of the purpose UPDATE_PROFILE, else `currentPassword`. The phone number never changes.
#[derive(InputObject)]
struct UpdateProfileInput {
    /// What to clear. One of nickname, e-mail and phone must be left.
    clear: Option<Vec<ProfileField>>,
    /// 3 to 32 letters of one writing system, digits, '.', '_' and '-', starting with a letter.
    nickname: Option<String>,
    /// 1 to 100 characters.
    name: Option<String>,
    /// At most 254 characters.
    email: Option<EmailAddress>,
    /// Whether others who have your number may see your profile.
    discoverable: Option<bool>,
    /// The answer to a challenge, when your phone is verified.
    verification: Option<VerificationInput>,
    /// Your password, when it is not.
    current_password: Option<String>,
}

impl From<UpdateProfileInput> for update_profile::UpdateProfileInput {
    fn from(input: UpdateProfileInput) -> Self {
        Self {
            clear: input.clear.unwrap_or_default().into_iter().map(Into::into).collect(),
            nickname: input.nickname,
            name: input.name,
            email: input.email.map(|email| email.0),
            discoverable: input.discoverable,
            verification: input.verification.map(Into::into),
            current_password: input.current_password,
        }
    }
}

/// Mutations of the profile.
#[derive(Default)]
pub struct ProfileMutation;

#[Object]
impl ProfileMutation {
    /// Changes nickname, name, e-mail address or discoverability.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What changes, and what shows that it is you.")] input: UpdateProfileInput,
    ) -> NullableResult<User> {
        respond_with_viewer(ctx, async |Viewer { user, session, .. }| {
            let (accounts, platform) = (accounts(ctx), ctx.platform());
            let viewer = (user, session);
            update_profile::update_profile(accounts, platform, viewer, input.into()).await
        })
        .await
    }

    /// Adds a phone number to an account that has none, and sends it a code. It can never be changed.
    async fn add_phone(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A number that can receive SMS.")] phone: PhoneNumber,
        #[graphql(desc = "Your password.")] current_password: String,
    ) -> NullableResult<CodeChallenge> {
        respond(ctx, async {
            let Viewer { user, session, .. } = ctx.viewer()?;
            let (accounts, platform, viewer) = (accounts(ctx), ctx.platform(), (user, session));
            let client = ctx.client();
            let view = add_phone(accounts, platform, client, viewer, &phone.0, &current_password);
            Ok(view.await?.into())
        })
        .await
    }

    /// Shows that your phone number is yours.
    async fn verify_phone(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The answer to a challenge of the purpose VERIFY_PHONE.")]
        verification: VerificationInput,
    ) -> NullableResult<User> {
        respond_with_viewer(ctx, async |Viewer { user, session, .. }| {
            let verification = challenge::Verification::from(verification);
            verify_phone(accounts(ctx), ctx.platform(), (user, session), &verification).await
        })
        .await
    }

    /// Turns two-factor login on or off. It needs a verified phone, and a code of the purpose TWO_FACTOR.
    async fn set_two_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whether a login asks for a code by SMS from now on.")] enabled: bool,
        #[graphql(desc = "The answer to a challenge of the purpose TWO_FACTOR.")]
        verification: VerificationInput,
    ) -> NullableResult<User> {
        respond_with_viewer(ctx, async |Viewer { user, session, .. }| {
            let verification = challenge::Verification::from(verification);
            let (accounts, platform, viewer) = (accounts(ctx), ctx.platform(), (user, session));
            set_two_factor(accounts, platform, viewer, enabled, &verification).await
        })
        .await
    }
}
