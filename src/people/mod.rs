//! Who someone is: the users row, its identifiers, and a person as others see them.
//!
//! It knows nothing of passwords, sessions or what people do: proving who one is belongs to `accounts`.

mod change;
mod entity;
pub mod graphql;
mod identity;
pub mod loaders;
mod register;
mod topics;

pub use change::{Changes, set_phone, update};
pub use entity::{
    Model as Person, Role, by_id, by_identifier, by_ids, discoverable, forget, get, living_of,
    lock, lock_own, own, prove_phone, set_role, set_two_factor, waive_two_factor,
};
pub use identity::{Email, Identifier, Nickname, person_name};
pub use register::{NewPerson, register};
pub use topics::{number_topic, tell, topic};
