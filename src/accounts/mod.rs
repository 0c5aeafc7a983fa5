//! Accounts: passwords, sessions, tokens, SMS codes, and what users do with their own account.
//!
//! Access tokens are short-lived JWTs; each request also checks that their session is live. Refresh tokens are
//! used once. Each revocation is a row, so that every instance learns of it.

mod access_token;
mod account_lock;
mod authenticate;
mod challenge;
mod change_password;
mod delete_account;
mod demo;
mod entity;
mod forgot_password;
pub mod graphql;
mod login;
mod logout;
mod password;
mod phone;
mod purge;
mod reauthentication;
mod recover;
mod refresh;
mod refresh_token;
mod request_code;
mod reseal;
mod resend_code;
mod reset_password;
mod revocation_sync;
mod revocations;
mod revoke_token;
mod role;
mod second_factor;
mod security_notice;
mod session;
mod session_cache;
mod session_watch;
mod signing_keys;
mod signup;
mod state;
mod token_family;
mod update_profile;
mod verify_code;

pub use authenticate::{Authenticated, SESSION_ENDED, authenticate, revalidate_session};
pub use challenge::{ChallengeView, Verification, publish_challenge_changes};
pub use demo::{SharedPassword, insert_shared_password};
pub use forgot_password::send_reset_codes;
pub use login::{LoginInput, login};
pub use logout::{end_session, logout};
pub use purge::purge_expired;
pub use recover::{Recovery, recover};
pub use refresh::refresh;
pub use reseal::reseal;
pub use revocation_sync::poll_revocations;
pub use revocations::revocation_topic;
pub use revoke_token::revoke_token;
pub use role::set_role;
pub use session::{Client, IssuedTokens, SignInResult};
pub use session_watch::{SessionEnd, admin_revoked, session_ended};
pub use signing_keys::{ensure_signing_key, rotate_signing_keys};
pub use signup::{SignupInput, signup};
pub use state::Accounts;
