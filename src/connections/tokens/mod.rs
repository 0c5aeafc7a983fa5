//! Access tokens of connections: which credentials a call uses, and how they are renewed.
//!
//! A token is renewed when it is due, when a call needs one, after the provider refused it, and when the holder of the
//! secret asks for it. However many callers and instances want that at once, one request goes to the token endpoint.

mod exchange;
mod failures;
mod refresh;
mod rounds;
mod rules;
mod use_tokens;

pub use exchange::fetch_first_token;
pub use rounds::{refresh_due, retry_failed};
pub use use_tokens::{after_unauthorized, current, refresh_now};
