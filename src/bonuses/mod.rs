//! Bonuses: campaigns that give coins to phone numbers, each number once per campaign.
//!
//! An import applies a file of numbers in chunks; [`file`] reads it. A number of a user with a verified phone is credited
//! at once; any other waits, and [`pay_pending`] credits it in the transaction in which somebody verifies it. Numbers also
//! come from lead forms of social media and from claim links ([`leads`]).

mod apply_chunk;
mod campaign;
mod chunk_size;
mod control_import;
mod demo;
mod entity;
pub mod file;
mod follow_import;
mod give;
pub mod graphql;
mod inbox;
mod leads;
pub mod loaders;
mod newest_campaigns;
mod notify;
mod number_key;
mod pay_pending;
mod purge_files;
mod reference;
mod report;
mod reseal;
mod run_imports;
mod start_import;
mod state;
mod topics;

pub use campaign::CampaignTerms;
pub use demo::{
    DemoBonus, DemoCampaign, end_demo_campaigns, insert_demo_bonuses, insert_demo_campaign,
};
pub use entity::campaigns::Model as Campaign;
pub use entity::imports::{ImportSource, ImportStatus, Model as BonusImport};
pub use follow_import::{announce_progress, do_imports_give_way, find_import};
pub use inbox::{Inbox, watch_inbox};
pub use leads::{
    Claim, ClaimLink, Handshake, Leads, NewClaim, WebhookRejection, answer_handshake, apply_leads,
    claim_bonus, erase, fetch_leads, find_claim_link, purge_leads, receive_google_ads_lead,
    receive_meta_leads, receive_signed_lead,
};
pub use newest_campaigns::find_newest_campaigns;
pub use pay_pending::{hold_off_imports, pay_pending};
pub use purge_files::purge_files;
pub use report::read_report;
pub use reseal::reseal;
pub use run_imports::{run_imports, take_part};
pub use start_import::{NewImport, start_import};
pub use state::Bonuses;
