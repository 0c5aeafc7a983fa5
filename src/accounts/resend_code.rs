//! Resending a code of any purpose, by the public id of its challenge.

use super::challenge::{self, ChallengeView, Purpose, find_visible};
use super::{Accounts, Client, forgot_password};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;

/// Sends another code for the same challenge.
///
/// # Errors
/// NOT_FOUND; RATE_LIMITED until `resend_at` and when a rate limit is reached; CODE_INVALID when the code was used;
/// CODE_EXPIRED when it has expired.
pub async fn resend_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    viewer: Option<UserId>,
    id: &str,
) -> Result<ChallengeView> {
    let challenge = find_visible(platform, viewer, id).await?;
    match challenge.purpose {
        Purpose::ResetPassword => {
            forgot_password::resend_reset_code(accounts, platform, client, &challenge).await
        }
        _ => challenge::resend_account_code(accounts, platform, client, &challenge).await,
    }
}
