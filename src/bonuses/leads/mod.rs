//! Leads: phone numbers that people give in lead forms of social media, or at a claim link, to get a campaign's bonus.
//!
//! Webhooks and claims only store leads, so that none is lost; jobs fetch the numbers that a network keeps to itself
//! ([`fetch_leads`]) and give the bonuses ([`apply_leads`]). Nothing is collected that its owner did not send.

mod apply;
mod claim;
mod erase;
mod fetch;
mod figures;
mod google_ads;
mod meta;
mod meta_lead;
mod network_id;
mod phone;
mod purge;
mod rejection;
mod signature;
mod signed_webhook;
mod state;
mod store;

pub use apply::apply_leads;
pub use claim::{Claim, ClaimLink, NewClaim, claim_bonus, find_claim_link};
pub use erase::erase;
pub use fetch::fetch_leads;
pub use figures::{FormFigures, read_figures};
pub use google_ads::receive_google_ads_lead;
pub use meta::{Handshake, answer_handshake, receive_meta_leads};
pub use purge::purge_leads;
pub use rejection::WebhookRejection;
pub use signed_webhook::receive_signed_lead;
pub use state::Leads;
