//! Event topic of an account.

use crate::ids::UserId;

/// The topic of a person's account, which only they follow.
pub fn account_topic(user: UserId) -> String {
    format!("account:{user}")
}
