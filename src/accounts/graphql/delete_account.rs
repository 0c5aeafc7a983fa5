//! GraphQL of account deletion.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::code_challenge::VerificationInput;
use super::context::accounts;
use crate::accounts::delete_account::{self, AccountDeletion, delete_account};
use crate::api::scalars::DateTime;
use crate::api::{ContextExt, NullableResult, Viewer, respond};

/// What shows that it is you who deletes the account.
#[derive(InputObject)]
struct DeleteAccountInput {
    /// Your password.
    password: String,
    /// The answer to a challenge of the purpose DELETE_ACCOUNT, when your phone is verified.
    verification: Option<VerificationInput>,
}

impl From<DeleteAccountInput> for delete_account::DeleteAccountInput {
    fn from(input: DeleteAccountInput) -> Self {
        Self { password: input.password, verification: input.verification.map(Into::into) }
    }
}

/// What was removed. Every token of the account is refused and every socket closed by now.
#[derive(SimpleObject)]
pub struct DeletedAccount {
    /// The id that the account had.
    id: ID,
    /// When it was deleted.
    deleted_at: DateTime,
    /// Whether there was an avatar whose files are gone. False: there was none, or the store did not let them go yet;
    /// they are removed as soon as it does, and not shown until then.
    avatar_removed: bool,
    /// How many contacts went with it.
    contacts_removed: i32,
    /// How many sessions ended.
    sessions_ended: i32,
    /// How many sockets and streams were closed on the instance that answers.
    sockets_closed: i32,
}

impl From<AccountDeletion> for DeletedAccount {
    fn from(deletion: AccountDeletion) -> Self {
        Self {
            id: deletion.user.to_string().into(),
            deleted_at: deletion.deleted_at.into(),
            avatar_removed: deletion.avatar_removed,
            contacts_removed: i32::try_from(deletion.contacts_removed).unwrap_or(i32::MAX),
            sessions_ended: i32::try_from(deletion.sessions_ended).unwrap_or(i32::MAX),
            sockets_closed: i32::try_from(deletion.sockets_closed).unwrap_or(i32::MAX),
        }
    }
}

/// The mutation that deletes the account.
#[derive(Default)]
pub struct DeleteAccountMutation;

#[Object]
impl DeleteAccountMutation {
    /// Deletes your account: all of it, at once and for ever. Its nickname, e-mail address and phone number can be
    /// registered anew. Sent over a socket of its own, the answer may be the socket's end (4401).
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Your password, and a code when your phone is verified.")]
        input: DeleteAccountInput,
    ) -> NullableResult<DeletedAccount> {
        respond(ctx, async {
            let Viewer { user, session, .. } = ctx.viewer()?;
            let (accounts, platform, viewer) = (accounts(ctx), ctx.platform(), (user, session));
            Ok(delete_account(accounts, platform, viewer, input.into()).await?.into())
        })
        .await
    }
}
