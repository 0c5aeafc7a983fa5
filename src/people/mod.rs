//! People: the users row, the identifiers, and the profile that others see.
//!
//! Passwords, sessions and everything else that proves an identity belong to `accounts`.

mod account_topic;
mod activity;
mod demo;
mod entity;
pub mod graphql;
mod identifiers;
pub mod loaders;
pub mod measures;
mod profile_topics;
mod register;
mod update;
mod verified_owners;

pub use account_topic::account_topic;
pub use activity::{
    ACTIVITY_RETENTION, Activity, ActivityCounts, BitmapComparison, BitmapDifference,
    correct_bitmaps, count_activity, find_first_active_hour, fold_activity, purge_activity,
    read_activity, record_activity,
};
pub use demo::{DemoPerson, find_last_phone, insert_demo_people};
pub use entity::{
    Model as Person, Role, find_by_id, find_by_identifier, find_by_ids, find_discoverable,
    find_existing_ids, get, get_own, lock, lock_own, set_role, set_two_factor, waive_two_factor,
};
pub use identifiers::{Email, Identifier, Nickname, parse_person_name};
pub use profile_topics::{phone_topic, profile_topic, publish_profile_change};
pub use register::{NewPerson, register};
pub use update::{PersonChanges, erase, mark_phone_verified, set_phone, update};
pub use verified_owners::lock_verified_owners;
