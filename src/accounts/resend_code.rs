//! Having a code sent again.

use super::challenge::{self, Challenge, Purpose, visible};
use super::{Accounts, Client, forgot_password};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;

/// Sends another code under the same id.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED when it is somebody's and nobody is signed in; RATE_LIMITED until its
/// `resend_at` and when a budget is used up; CODE_INVALID when it was answered, CODE_EXPIRED when its time is
/// over.
pub async fn resend_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    viewer: Option<UserId>,
    id: &str,
) -> Result<Challenge> {
    let row = visible(platform, viewer, id).await?;
    match row.purpose {
        Purpose::ResetPassword => forgot_password::again(accounts, platform, client, &row).await,
        _ => challenge::resend(accounts, platform, client, &row).await,
    }
}
