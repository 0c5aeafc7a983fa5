//! GraphQL of accounts: sign-up, login, sessions, codes, passwords, profile, deletion, and the fields of `User`.

mod auth_result;
mod authentication;
mod code_challenge;
mod codes;
mod context;
mod delete_account;
mod error_info;
mod password;
mod profile;
mod session;
mod user;

pub use authentication::{AuthenticationMutation, AuthenticationQuery};
pub use codes::{CodeMutation, CodeQuery, CodeSubscription};
pub use delete_account::DeleteAccountMutation;
pub use password::PasswordMutation;
pub use profile::ProfileMutation;
pub use session::SessionMutation;
pub use user::AccountSubscription;
