//! People: the users row, the identifiers, and the profile that others see.
//!
//! Passwords, sessions and everything else that proves an identity belong to `accounts`.

mod entity;
pub mod graphql;
mod identifiers;
pub mod loaders;
mod profile_topics;
mod register;
mod update;

pub use entity::{
    Model as Person, Role, erase, existing_ids, find_by_id, find_by_identifier, find_by_ids,
    find_discoverable, get, get_own, lock, lock_own, prove_phone, set_role, set_two_factor,
    waive_two_factor,
};
pub use identifiers::{Email, Identifier, Nickname, parse_person_name};
pub use profile_topics::{notify_profile_changed, phone_topic, profile_topic};
pub use register::{NewPerson, register};
pub use update::{PersonChanges, set_phone, update};
