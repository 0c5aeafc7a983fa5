//! Verification codes by SMS (one-time passwords): entering the code proves the phone number.
//!
//! A challenge is a code that was sent for one account and purpose and, if the user is signed in, one session.
//! The code is stored as a keyed hash; its text is sealed in its message until a gateway has accepted it.

pub use super::entity::challenges::Purpose;

mod code;
mod find;
mod last_states;
mod public_id;
pub mod rate_limits;
mod resend;
mod resend_schedule;
mod send;
mod verify;
mod view;
mod watch;

pub use code::{EnteredCode, Verification, recovery_code};
pub use find::{find_view, find_visible};
pub use last_states::LastStates;
pub use resend::resend_account_code;
pub use resend_schedule::{CODE_LIFETIME, ensure_resendable, next_resend_at, resend_wait, resent};
pub use send::{CodeRequest, create_challenge, queue_code, send_code};
pub use verify::{Claimant, verify_and_begin};
pub use view::{ChallengeView, anonymous_view};
pub use watch::{publish_challenge_changes, watch_challenge};
